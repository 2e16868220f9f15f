"""What a data resource is in the database: its tables, made or found made, and the row that records it.

Each function runs in the transaction of its caller, so that the tables and the row are there together or
not at all.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from psycopg2 import errors as pg

from data_resource_api.compiler.data_resource import DataResource, compile_data_resource
from data_resource_api.database import admin_schema
from data_resource_api.database.citus import require_citus
from data_resource_api.database.comparison import (
    ExistingTable,
    differences,
    existing_tables,
    physical_associations,
)
from data_resource_api.errors import Conflict, DatabaseDiffers
from data_resource_api.json_text import pretty_json, read_json


def compile_generation(generation: admin_schema.Generation) -> DataResource:
    """The data resource that a row of ``admin.generation`` holds."""
    return compile_data_resource(
        read_json(generation.payload), associations=generation.associations, trusted=True
    )


def install(
    connection: sa.Connection, resource: DataResource, live: admin_schema.Generation | None
) -> DataResource:
    """Create the tables, or find them as they should be, and record what is live.

    :param live: what has been live so far.
    :raises Conflict: the database has such tables, or does not take them.
    :raises DatabaseDiffers: the tables should be there, and are others.
    """
    existing = existing_tables(connection)
    if not resource.payload.touch_database:
        return adopt(connection, resource, existing)
    require_citus(connection, resource)
    _require_free_names(resource, live, existing)
    _create_tables(connection, resource)
    stored = pretty_json(resource.payload.document)
    admin_schema.record(connection, resource.digest, stored, {})
    return resource


def adopt(
    connection: sa.Connection, resource: DataResource, existing: Mapping[str, ExistingTable]
) -> DataResource:
    """Record a resource as live whose tables somebody else has made, and made right.

    :returns: the resource, its associations named as the database has them.
    :raises DatabaseDiffers: with every difference.
    """
    require_citus(connection, resource)
    associations = physical_associations(resource, existing)
    document = resource.payload.document
    if associations:
        resource = compile_data_resource(document, associations=associations, trusted=True)
    lines = differences(resource, existing)
    if lines:
        raise DatabaseDiffers("The database is not as the document describes it.", lines)
    admin_schema.record(connection, resource.digest, pretty_json(document), associations)
    return resource


def _require_free_names(
    resource: DataResource,
    live: admin_schema.Generation | None,
    existing: Mapping[str, ExistingTable],
) -> None:
    names = {table.name for table in resource.metadata.tables.values()}
    if live is not None:
        before = compile_generation(live)
        names |= {table.name for table in before.metadata.tables.values()}
    taken = sorted(names & existing.keys())
    if taken:
        raise Conflict(
            "The database has tables already, and nothing is generated over them. Migrate them "
            'by hand and post with "touch_database": false.',
            [f"{name}: the table exists." for name in taken],
        )


def _create_tables(connection: sa.Connection, resource: DataResource) -> None:
    try:
        resource.create_tables(connection)
    except sa.exc.DBAPIError as error:
        if error.connection_invalidated or isinstance(error.orig, pg.QueryCanceled):
            raise
        raise Conflict("The database refuses to create the tables.", [_reason(error)]) from error


def _reason(error: sa.exc.DBAPIError) -> str:
    primary = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    return f"{primary or error.orig}."

"""Citus, as the catalogue of a database knows it: whether it is there, and how tables are distributed."""

from __future__ import annotations

import sqlalchemy as sa

from data_resource_api.compiler.data_resource import DataResource
from data_resource_api.compiler.distribution import MIN_CITUS_VERSION, Distribution, local_or
from data_resource_api.compiler.tables import SCHEMA
from data_resource_api.errors import Conflict

_VERSION = sa.text("SELECT extversion FROM pg_extension WHERE extname = 'citus'")
_DISTRIBUTIONS = sa.text(
    """
    SELECT c.relname, p.partmethod::text AS method, p.repmodel::text AS replication,
           p.colocationid AS colocation, column_to_column_name(p.logicalrelid, p.partkey) AS key
    FROM pg_dist_partition p
    JOIN pg_class c ON c.oid = p.logicalrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = :schema
    """
)


def require_citus(connection: sa.Connection, resource: DataResource) -> None:
    """Refuse a data resource that states distributions where they would be forgotten.

    :raises Conflict: the database has no ``citus`` extension, or an older one.
    """
    if not resource.distributions:
        return
    version = connection.scalar(_VERSION)
    if version is not None and _major(version) >= MIN_CITUS_VERSION:
        return
    found = "no citus extension" if version is None else f"citus {version}"
    raise Conflict(
        f"The payload distributes tables, and the database has {found}. Install Citus "
        f"{MIN_CITUS_VERSION} or newer and run CREATE EXTENSION citus on the coordinator, or leave "
        '"distribution" out of every entry.',
        [
            f"{name}: should be {distribution}."
            for name, distribution in resource.distributions.items()
        ],
    )


def existing_distributions(connection: sa.Connection) -> dict[str, str]:
    """How each table of the generated schema that is not local is distributed, in words."""
    if connection.scalar(_VERSION) is None:
        return {}
    found = {}
    for row in connection.execute(_DISTRIBUTIONS, {"schema": SCHEMA}):
        match row.method, row.replication, row.colocation:
            case "h", _, _:
                found[row.relname] = str(Distribution(row.key))
            case "n", "t", _:
                found[row.relname] = str(Distribution())
            case "n", _, 0:  # local, and known to Citus because a reference table refers to it
                found[row.relname] = local_or(None)
            case _:
                found[row.relname] = "distributed without a key"
    return found


def _major(version: str) -> int:
    """``12`` of ``12.1-1``."""
    digits = version.split(".")[0]
    return int(digits) if digits.isdecimal() else 0

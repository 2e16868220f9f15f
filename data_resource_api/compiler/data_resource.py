"""``DataResource``: a payload, compiled once into an immutable value that requests are served from."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.mock import MockConnection

from data_resource_api.compiler.distribution import (
    Distribution,
    distribute_on_create,
    read_distributions,
)
from data_resource_api.compiler.faults import BrokenRule, Faults
from data_resource_api.compiler.names import ConstraintNames
from data_resource_api.compiler.openapi import (
    Operation,
    Unmatched,
    read_operations,
)
from data_resource_api.compiler.openapi_rules import broken_openapi_rules
from data_resource_api.compiler.payload import Payload, check_payload, read_payload
from data_resource_api.compiler.relationships import (
    Association,
    PhysicalAssociation,
    add_foreign_keys,
    association_name,
    build_associations,
)
from data_resource_api.compiler.tables import SCHEMA, ApiRule, ResourceTable, build_tables


@dataclass(frozen=True)
class DataResource:
    """A database and an API, as one document describes them.

    :ivar metadata: every generated table, association tables included.
    :ivar tables: by name, in the document's order.
    :ivar operations: what the embedded OpenAPI document whitelists.
    :ivar unmatched: what it names that no table answers, each with the reason.
    :ivar distributions: how tables are spread over a Citus cluster, by their names in the database,
        association tables included; a table that is not in it is local.
    """

    payload: Payload
    metadata: sa.MetaData
    tables: Mapping[str, ResourceTable]
    associations: tuple[Association, ...]
    operations: tuple[Operation, ...]
    unmatched: tuple[Unmatched, ...]
    distributions: Mapping[str, Distribution]

    @property
    def digest(self) -> str:
        """Which data resource this is: SHA-256 of what determines it."""
        return self.payload.digest

    @property
    def name(self) -> str:
        """The name that its authors gave it."""
        return str(self.payload.schema.get("name") or "Data resource")

    @property
    def description(self) -> str:
        """What its authors say of it, or an empty string."""
        return str(self.payload.schema.get("description") or "")

    @property
    def api_rules(self) -> tuple[ApiRule, ...]:
        """The constraints that only the API holds."""
        return tuple(rule for table in self.tables.values() for rule in table.api_rules)

    @functools.cached_property
    def openapi(self) -> Mapping[str, Any]:
        """The OpenAPI document as it is served: the payload's, and what it leaves open."""
        return self._described(locked=False)

    @functools.cached_property
    def locked_openapi(self) -> Mapping[str, Any]:
        """The same from a service that asks for a token wherever the payload's says nothing."""
        return self._described(locked=True)

    def _described(self, *, locked: bool) -> Mapping[str, Any]:
        from data_resource_api.compiler.description.served import served_document

        return served_document(self.payload.api, self.tables, self.operations, locked=locked)

    def association(self, left: str, right: str) -> Association:
        """The many-to-many relationship between two tables."""
        name = association_name(left, right)
        return next(
            association
            for association in self.associations
            if association_name(*association.tables) == name
        )

    def create_tables(self, bind: sa.Engine | sa.Connection | MockConnection) -> None:
        """Run the DDL: every table, constraint and index, or none.

        Where entries state a distribution, the database must be a Citus coordinator.

        :raises sqlalchemy.exc.SQLAlchemyError: a table exists already, or the database refuses.
        """
        # It is not known what Citus allows in one message.
        if self.distributions or isinstance(bind, MockConnection):
            self.metadata.create_all(bind, checkfirst=False)
            return
        dialect = bind.dialect
        statements: list[str] = []

        def note(ddl: Any, *_: object, **__: object) -> None:
            statements.append(str(ddl.compile(dialect=dialect)))

        mock = sa.create_mock_engine("postgresql+psycopg2://", note)
        self.metadata.create_all(mock, checkfirst=False)
        with bind.begin() if isinstance(bind, sa.Engine) else nullcontext(bind) as connection:
            connection.exec_driver_sql(";\n".join(statements))

    @functools.cached_property
    def models(self) -> Mapping[str, type[Any]]:
        """SQLAlchemy models with relationships, by table name: ``resource.models["provider"]``."""
        from data_resource_api.compiler.models import map_models

        return map_models(self.metadata, self.tables, self.associations)


def compile_data_resource(
    document: object,
    *,
    environment: Mapping[str, str] | None = None,
    associations: Mapping[str, PhysicalAssociation] | None = None,
    trusted: bool = False,
    openapi_rules: Callable[[Mapping[str, Any]], Iterable[BrokenRule]] = broken_openapi_rules,
) -> DataResource:
    """Compile a Data Resource Generation Payload.

    Pure: no network and no database; the document is not changed.

    :param document: ``{"data_resource_schema": {…}}``, as parsed from JSON.
    :param environment: where the keys of protected fields are looked for (the process's own).
    :param associations: association tables of an existing database that have other names.
    :param trusted: the document has been compiled before, so JSON Schema and OpenAPI rules hold.
    :param openapi_rules: tells which rules of OpenAPI the document's API breaks.
    :raises InvalidDocument: with every fault, each with its place in the Data Resource Schema.
    """
    faults = Faults()
    payload = read_payload(document, faults)
    metadata = sa.MetaData(schema=SCHEMA)
    names = ConstraintNames(
        {entry.name for entry in payload.entries}
        | {association_name(pair.left, pair.right) for pair in payload.pairs}
    )
    tables = build_tables(
        payload, metadata, names, faults, os.environ if environment is None else environment
    )
    add_foreign_keys(tables, names, faults)
    associated = tuple(
        build_associations(payload, tables, metadata, names, associations or {}, faults)
    )
    distributions = read_distributions(tables, associated, faults)
    distribute_on_create(metadata, distributions)
    operations, unmatched = read_operations(payload.api, tables, payload.pairs, faults)
    if not (trusted or payload.ignore_validation):
        check_payload(payload, faults)
        faults.add_broken(openapi_rules(payload.api))
    faults.raise_if_any("The payload")
    return DataResource(payload, metadata, tables, associated, operations, unmatched, distributions)

"""Compare a database with what a document describes, and tell every difference.

What a client could notice is compared: tables, columns, types, nullability and keys; and on a Citus
cluster, how tables are distributed. Constraints of single values are not (the API holds them), and
neither are names of constraints, defaults or columns that the document does not know and that need no
value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from data_resource_api.compiler.data_resource import DataResource
from data_resource_api.compiler.distribution import local_or
from data_resource_api.compiler.relationships import (
    PhysicalAssociation,
    association_name,
)
from data_resource_api.compiler.tables import SCHEMA
from data_resource_api.database.citus import existing_distributions


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the catalogue knows it; ``kind`` is ``e`` for a native enum type."""

    type: str
    kind: str
    nullable: bool
    has_default: bool


@dataclass(frozen=True, slots=True)
class ExistingTable:
    """A table as the catalogue knows it.

    :ivar keys: ``("p" | "u", columns)``; unique indexes are keys too.
    :ivar references: (columns, referenced table, referenced columns).
    :ivar distribution: where its rows are, in words; ``local`` without Citus.
    """

    columns: Mapping[str, Column]
    keys: frozenset[tuple[str, tuple[str, ...]]]
    references: frozenset[tuple[tuple[str, ...], str, tuple[str, ...]]]
    distribution: str


_COLUMNS: Final = sa.text(
    """
    SELECT c.relname, a.attname, format_type(a.atttypid, NULL) AS type, t.typtype AS kind,
           NOT a.attnotnull AS nullable,
           a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '' AS has_default
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_type t ON t.oid = a.atttypid
    WHERE n.nspname = :schema AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    """
)
_KEYS: Final = sa.text(
    """
    SELECT c.relname, CASE WHEN i.indisprimary THEN 'p' ELSE 'u' END AS kind,
           ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (n, o)
                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.n ORDER BY k.o) AS columns
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = :schema AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
    """
)
_REFERENCES: Final = sa.text(
    """
    SELECT c.relname, r.relname AS referenced,
           ARRAY(SELECT a.attname::text FROM unnest(f.conkey) WITH ORDINALITY k (n, o)
                 JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.n
                 ORDER BY k.o) AS columns,
           ARRAY(SELECT a.attname::text FROM unnest(f.confkey) WITH ORDINALITY k (n, o)
                 JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.n
                 ORDER BY k.o) AS targets
    FROM pg_constraint f
    JOIN pg_class c ON c.oid = f.conrelid
    JOIN pg_class r ON r.oid = f.confrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = :schema AND f.contype = 'f'
    """
)

#: Types that hold the same values for us.
_SAME: Final = {"character varying": "text", "character": "text"}


def existing_tables(connection: sa.Connection) -> dict[str, ExistingTable]:
    """Every table of the generated schema, as it is."""
    schema = {"schema": SCHEMA}
    columns: dict[str, dict[str, Column]] = {}
    for row in connection.execute(_COLUMNS, schema):
        table = columns.setdefault(row.relname, {})
        if row.attname is not None:
            table[row.attname] = Column(row.type, row.kind, row.nullable, row.has_default)
    keys: dict[str, set[tuple[str, tuple[str, ...]]]] = {}
    for row in connection.execute(_KEYS, schema):
        keys.setdefault(row.relname, set()).add((row.kind, tuple(row.columns)))
    references: dict[str, set[tuple[tuple[str, ...], str, tuple[str, ...]]]] = {}
    for row in connection.execute(_REFERENCES, schema):
        references.setdefault(row.relname, set()).add(
            (tuple(row.columns), row.referenced, tuple(row.targets))
        )
    distributions = existing_distributions(connection)
    return {
        name: ExistingTable(
            columns[name],
            frozenset(keys.get(name, ())),
            frozenset(references.get(name, ())),
            distributions.get(name, local_or(None)),
        )
        for name in columns
    }


def physical_associations(
    resource: DataResource, existing: Mapping[str, ExistingTable]
) -> dict[str, PhysicalAssociation]:
    """Association tables that exist under the original's names, by the names that we would give."""
    found = {}
    for association in resource.associations:
        name = association_name(*association.tables)
        single = all(len(end.columns) == 1 for end in association.ends)
        if name in existing or not single or len(set(association.tables)) == 1:
            continue
        left, right = name.split("/")
        for other, table in existing.items():
            if other.lower() not in (f"{left}/{right}", f"{right}/{left}"):
                continue
            by_lower = {column.lower(): column for column in table.columns}
            columns = {side: by_lower.get(f"{side}_id", "") for side in (left, right)}
            if all(columns.values()):
                found[name] = PhysicalAssociation(other, columns)
    return found


def differences(resource: DataResource, existing: Mapping[str, ExistingTable]) -> list[str]:
    """What the database lacks or has otherwise, one line each; empty when it can be served."""
    lines: list[str] = []
    for table in resource.metadata.tables.values():
        found = existing.get(table.name)
        if found is None:
            lines.append(f"{table.name}: the table is missing.")
        else:
            lines += [f"{table.name}{line}" for line in _table_differences(table, found)]
            wanted = local_or(resource.distributions.get(table.name))
            if found.distribution != wanted:
                lines.append(f"{table.name}: is {found.distribution} and should be {wanted}.")
    return lines


def _table_differences(table: sa.Table, found: ExistingTable) -> Iterator[str]:
    for column in table.columns:
        actual = found.columns.get(column.name)
        if actual is None:
            yield f".{column.name}: the column is missing."
            continue
        wanted = _type_name(column)
        if not _holds(wanted, actual):
            yield f".{column.name}: is {actual.type} and should be {wanted}."
        if actual.nullable != column.nullable:
            state, want = ("nullable", "NOT NULL") if actual.nullable else ("NOT NULL", "nullable")
            yield f".{column.name}: is {state} and should be {want}."
    for name, actual in found.columns.items():
        if name not in table.columns and not actual.nullable and not actual.has_default:
            yield f".{name}: is NOT NULL without a default, and the document does not know it."
    yield from _key_differences(table, found)


def _key_differences(table: sa.Table, found: ExistingTable) -> Iterator[str]:
    wanted_key = tuple(column.name for column in table.primary_key.columns)
    actual_key = next((columns for kind, columns in found.keys if kind == "p"), ())
    if set(wanted_key) != set(actual_key):
        actual = ", ".join(actual_key) or "missing"
        yield f": the primary key is {actual} and should be {', '.join(wanted_key) or 'missing'}."
    unique = {frozenset(columns) for _, columns in found.keys}
    for constraint in sorted(table.constraints, key=lambda constraint: str(constraint.name)):
        names = tuple(column.name for column in getattr(constraint, "columns", ()))
        if isinstance(constraint, sa.UniqueConstraint) and frozenset(names) not in unique:
            yield f": there is no unique constraint on {', '.join(names)}."
        elif isinstance(constraint, sa.ForeignKeyConstraint):
            targets = [element.column for element in constraint.elements]
            reference = (names, targets[0].table.name, tuple(column.name for column in targets))
            if not _has_reference(found, reference):
                target = f"{reference[1]} ({', '.join(reference[2])})"
                yield f": there is no foreign key from {', '.join(names)} to {target}."


def _has_reference(
    found: ExistingTable, wanted: tuple[tuple[str, ...], str, tuple[str, ...]]
) -> bool:
    fields, table, targets = wanted
    pairs = set(zip(fields, targets, strict=True))
    return any(
        other == table and set(zip(columns, others, strict=True)) == pairs
        for columns, other, others in found.references
    )


def _type_name(column: sa.Column[Any]) -> str:
    name = str(column.type.compile(dialect=_dialect())).lower()
    return _NAMES.get(name, name)


_NAMES: Final = {
    "timestamp": "timestamp without time zone",
    "time": "time without time zone",
}


def _dialect() -> sa.engine.Dialect:
    from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2

    return PGDialect_psycopg2()  # type: ignore[no-untyped-call]


def _holds(wanted: str, actual: Column) -> bool:
    """Whether a column of the actual type serves a field that wants another."""
    if wanted == "text" and actual.kind == "e":
        return True  # the original made native enum types
    if wanted == "integer" and actual.type == "bigint":
        return True
    return _SAME.get(actual.type, actual.type) == wanted

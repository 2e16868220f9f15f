"""One-to-many and many-to-many relationships: foreign keys and association tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from data_resource_api.compiler.faults import Faults, join, json_name, nearest, quote
from data_resource_api.compiler.names import ConstraintNames, identifier_fault
from data_resource_api.compiler.payload import Pair, Payload
from data_resource_api.compiler.tables import ForeignKey, ResourceTable, names_of


@dataclass(frozen=True, slots=True)
class Association:
    """A many-to-many relationship and its table.

    :ivar columns: table name → the association's column that refers to it.
    """

    pair: Pair
    table: sa.Table
    columns: Mapping[str, sa.Column[Any]]


@dataclass(frozen=True, slots=True)
class PhysicalAssociation:
    """What an association table and its columns are called in a database of the original's.

    :ivar columns: table name → column name.
    """

    table: str
    columns: Mapping[str, str]


def association_name(left: str, right: str) -> str:
    """``a/b``, the two names in alphabetical order."""
    return "/".join(sorted((left, right)))


# ── one-to-many ──────────────────────────────────────────────────────────────────────────────────


def add_foreign_keys(
    tables: dict[str, ResourceTable], names: ConstraintNames, faults: Faults
) -> None:
    """Give every table its foreign keys, each with an index from the child's side."""
    for name, table in tables.items():
        found = tuple(_foreign_keys(table, tables, names, faults))
        tables[name] = dataclasses.replace(table, foreign_keys=found)


def _foreign_keys(
    table: ResourceTable,
    tables: Mapping[str, ResourceTable],
    names: ConstraintNames,
    faults: Faults,
) -> Iterator[ForeignKey]:
    base = f"{table.entry.place}.tableSchema.foreignKeys"
    stated = table.entry.descriptor.get("foreignKeys", [])
    if not isinstance(stated, list):
        faults.add(base, f"must be a list, not {json_name(stated)}.")
        return
    seen: set[tuple[tuple[str, ...], str, tuple[str, ...]]] = set()
    for index, item in enumerate(stated):
        place = join(base, index)
        reference = item.get("reference") if isinstance(item, Mapping) else None
        resource = reference.get("resource") if isinstance(reference, Mapping) else None
        fields = names_of(item.get("fields")) if isinstance(item, Mapping) else ()
        targets = names_of(reference.get("fields")) if isinstance(reference, Mapping) else ()
        if not isinstance(resource, str) or not fields or not targets:
            faults.add(place, 'must have "fields" and a "reference" with "resource" and "fields".')
            continue
        parent = tables.get(resource.lower() or table.name)
        if parent is None:
            faults.add(
                f"{place}.reference.resource",
                f"no table is called {quote(resource)}{nearest(resource, tables) or '.'}",
            )
            continue
        problem = _reference_fault(table, fields, parent, targets)
        if (fields, parent.name, targets) in seen:
            problem = "is stated twice."
        if problem:
            faults.add(place, problem)
            continue
        seen.add((fields, parent.name, targets))
        name = names.new("fk", table.name, *fields)
        columns = [table.table.c[field] for field in fields]
        table.table.append_constraint(
            sa.ForeignKeyConstraint(columns, [parent.table.c[target] for target in targets], name)
        )
        if table.key[: len(fields)] != fields and not table.is_unique(fields):
            sa.Index(names.new("ix", table.name, *fields), *columns)
        yield ForeignKey(name, fields, parent.name, targets, place)


def _reference_fault(
    table: ResourceTable,
    fields: tuple[str, ...],
    parent: ResourceTable,
    targets: tuple[str, ...],
) -> str | None:
    if len(fields) != len(targets):
        return f"has {len(fields)} fields and refers to {len(targets)}."
    if len(set(fields)) != len(fields) or len(set(targets)) != len(targets):
        return "names a field twice."
    for holder, wanted in ((table, fields), (parent, targets)):
        for name in wanted:
            if name not in holder.fields:
                hint = nearest(name, holder.fields) or "."
                return f"{quote(holder.name)} has no field {quote(name)}{hint}"
            if holder.fields[name].protected:
                return f"{quote(name)} is protected; a reference to or from it cannot be checked."
    if not parent.is_unique(targets):
        return (
            f"refers to {', '.join(map(quote, targets))} of {quote(parent.name)}, which is neither "
            "its primary key nor unique."
        )
    for name, target in zip(fields, targets, strict=True):
        if not _comparable(table.table.c[name].type, parent.table.c[target].type):
            return (
                f"{quote(name)} is {table.fields[name].type.name} and refers to "
                f"{quote(target)}, which is {parent.fields[target].type.name}."
            )
    return None


def _comparable(left: sa.types.TypeEngine[Any], right: sa.types.TypeEngine[Any]) -> bool:
    numbers = (sa.Integer, sa.Numeric)
    return type(left) is type(right) or (isinstance(left, numbers) and isinstance(right, numbers))


# ── many-to-many ─────────────────────────────────────────────────────────────────────────────────


def build_associations(
    payload: Payload,
    tables: Mapping[str, ResourceTable],
    metadata: sa.MetaData,
    names: ConstraintNames,
    physical: Mapping[str, PhysicalAssociation],
    faults: Faults,
) -> Iterator[Association]:
    """Build the association table of every many-to-many pair.

    :param physical: those that exist under other names, by the name that we would give.
    """
    for pair in payload.pairs:
        members = [tables[name] for name in sorted((pair.left, pair.right))]
        keyless = [member.name for member in members if member.key_field is None]
        if keyless:
            faults.add(
                pair.place,
                f"{quote(keyless[0])} needs a primary key of one field for many-to-many.",
            )
            continue
        name = association_name(pair.left, pair.right)
        actual = physical.get(name) or PhysicalAssociation(
            name, {member.name: f"{member.name}_id" for member in members}
        )
        problems = map(identifier_fault, (actual.table, *actual.columns.values()))
        if problem := next(filter(None, problems), None):
            faults.add(pair.place, f"its association table cannot be named: {problem}")
            continue
        yield _build_association(pair, members, metadata, names, actual)


def _build_association(
    pair: Pair,
    members: list[ResourceTable],
    metadata: sa.MetaData,
    names: ConstraintNames,
    actual: PhysicalAssociation,
) -> Association:
    columns: dict[str, sa.Column[Any]] = {}
    references: list[sa.ForeignKeyConstraint] = []
    for member in members:
        target = member.table.c[member.key[0]]
        column = sa.Column(
            actual.columns[member.name],
            target.type,
            nullable=False,
            autoincrement=False,
            quote=True,
        )
        columns[member.name] = column
        references.append(
            sa.ForeignKeyConstraint([column], [target], names.new("fk", actual.table, member.name))
        )
    key = sa.PrimaryKeyConstraint(*columns.values(), name=names.new("pk", actual.table))
    table = sa.Table(actual.table, metadata, *columns.values(), key, *references, quote=True)
    last = columns[members[-1].name]
    sa.Index(names.new("ix", actual.table, last.name), last)
    return Association(pair, table, columns)

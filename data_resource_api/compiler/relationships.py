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
class AssociationEnd:
    """One side of a many-to-many relationship.

    :ivar columns: the association's columns that refer to the table's key, in its order.
    """

    table: str
    columns: tuple[sa.Column[Any], ...]


@dataclass(frozen=True, slots=True)
class Association:
    """A many-to-many relationship and its table.

    :ivar ends: in the order of the tables' names; of a table to itself, the parent's and the child's.
    """

    pair: Pair
    table: sa.Table
    ends: tuple[AssociationEnd, AssociationEnd]

    @property
    def tables(self) -> tuple[str, str]:
        """The names of the two tables."""
        return self.ends[0].table, self.ends[1].table

    def oriented(
        self, parent: str, *, reverse: bool = False
    ) -> tuple[AssociationEnd, AssociationEnd]:
        """A table's own end, and the other.

        :param reverse: of a table to itself, whether it is looked at from the child's side.
        """
        first, second = self.ends
        own_first = not reverse if first.table == second.table else first.table == parent
        return (first, second) if own_first else (second, first)


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
        keyless = [member.name for member in members if not member.key]
        if keyless:
            faults.add(pair.place, f"{quote(keyless[0])} needs a primary key for many-to-many.")
            continue
        name = association_name(pair.left, pair.right)
        known = physical.get(name)
        table = name if known is None else known.table
        columns = [
            [known.columns[member.name]] if known else _column_names(role, member)
            for role, member in zip(_roles(members), members, strict=True)
        ]
        every = [column for side in columns for column in side]
        problems = [*map(identifier_fault, (table, *every))]
        if len(set(every)) < len(every):
            problems.append("two of its columns would have one name.")
        if problem := next(filter(None, problems), None):
            faults.add(pair.place, f"its association table cannot be named: {problem}")
            continue
        yield _build_association(pair, members, metadata, names, table, columns)


def _roles(members: list[ResourceTable]) -> tuple[str, str]:
    """What each side's columns are called after."""
    left, right = (member.name for member in members)
    return ("parent", "child") if left == right else (left, right)


def _column_names(role: str, member: ResourceTable) -> list[str]:
    if len(member.key) == 1:
        return [f"{role}_id"]
    return [f"{role}_{field}" for field in member.key]


def _build_association(
    pair: Pair,
    members: list[ResourceTable],
    metadata: sa.MetaData,
    names: ConstraintNames,
    name: str,
    columns: list[list[str]],
) -> Association:
    ends: list[AssociationEnd] = []
    references: list[sa.ForeignKeyConstraint] = []
    for role, member, wanted in zip(_roles(members), members, columns, strict=True):
        targets = [member.table.c[field] for field in member.key]
        own = [
            sa.Column(column, target.type, nullable=False, autoincrement=False, quote=True)
            for column, target in zip(wanted, targets, strict=True)
        ]
        ends.append(AssociationEnd(member.name, tuple(own)))
        references.append(sa.ForeignKeyConstraint(own, targets, names.new("fk", name, role)))
    every = [column for end in ends for column in end.columns]
    key = sa.PrimaryKeyConstraint(*every, name=names.new("pk", name))
    table = sa.Table(name, metadata, *every, key, *references, quote=True)
    last = ends[1].columns
    sa.Index(names.new("ix", name, *(column.name for column in last)), *last)
    return Association(pair, table, (ends[0], ends[1]))

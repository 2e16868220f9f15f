"""Which tables can be embedded in which: along foreign keys, both ways, and many-to-many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from data_resource_api.compiler.data_resource import DataResource
from data_resource_api.compiler.tables import ResourceTable

#: Names of columns: of the table that embeds, and those of the other that they are equal to.
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """A way from one table to another.

    :ivar names: what it may be called.
    :ivar hints: what tells it from others of the same name.
    :ivar many: it leads to any number of rows, else to one at most.
    :ivar pairs: the columns that are equal; with ``through``, those of the association table and the
        other table's.
    :ivar through: an association table, and the columns of ours and of it that are equal.
    """

    target: ResourceTable
    names: frozenset[str]
    hints: frozenset[str]
    many: bool
    pairs: Pairs
    through: tuple[sa.Table, Pairs] | None = None


def relations_of(table: ResourceTable, resource: DataResource) -> Iterator[Relation]:
    """Every way from a table to another one, or to itself."""
    for key in table.foreign_keys:
        target = resource.tables[key.resource]
        field = key.fields[0] if len(key.fields) == 1 else ""
        names = frozenset({target.name, field} - {""})
        hints = frozenset({key.name, *key.fields})
        yield Relation(
            target, names, hints, False, tuple(zip(key.fields, key.references, strict=True))
        )
    for other in resource.tables.values():
        for key in other.foreign_keys:
            if key.resource == table.name:
                pairs = tuple(zip(key.references, key.fields, strict=True))
                many = not other.is_unique(key.fields)
                hints = frozenset({key.name, *key.fields})
                # To itself, the name of the table means the row that is referred to.
                yield Relation(other, frozenset({other.name}), hints, many, pairs)
    for association in resource.associations:
        ends = [
            key for key in association.table.constraints if isinstance(key, sa.ForeignKeyConstraint)
        ]
        for own in ends:
            for far in ends:
                if own is far or own.referred_table is not table.table:
                    continue
                target = next(
                    each for each in resource.tables.values() if each.table is far.referred_table
                )
                columns = {column.name for column in far.columns}
                yield Relation(
                    target,
                    frozenset({target.name}),
                    frozenset({str(far.name), association.table.name, *columns}),
                    True,
                    _pairs(far),
                    (association.table, tuple((there, here) for here, there in _pairs(own))),
                )


def _pairs(key: sa.ForeignKeyConstraint) -> Pairs:
    return tuple((element.parent.name, element.column.name) for element in key.elements)

"""Which tables can be embedded in which: along foreign keys, both ways, and many-to-many.

A relation is called as PostgREST calls it: by the other table's name or, where it is the table's own
foreign key of one field, by that field. Where a table refers to itself its name means the rows that refer
to this one, and the field means the row that is referred to. A *hint* tells relations of one name from
each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    :ivar hints: what tells it from others of the same name; the best comes first.
    :ivar many: it leads to any number of rows, else to one at most.
    :ivar pairs: the columns that are equal; with ``through``, those of the association table and the
        other table's.
    :ivar through: an association table, and the columns of ours and of it that are equal.
    """

    target: ResourceTable
    names: tuple[str, ...]
    hints: tuple[str, ...]
    many: bool
    pairs: Pairs
    through: tuple[sa.Table, Pairs] | None = None

    def is_called(self, name: str, hint: str) -> bool:
        """Whether a client may mean it."""
        return name in self.names and (not hint or hint in self.hints)


def relations_of(table: ResourceTable, resource: DataResource) -> Iterator[Relation]:
    """Every way from a table to another one, or to itself."""
    yield from _to_one(table, resource)
    yield from _referring(table, resource)
    for association in resource.associations:
        yield from _associated(association.table, table, resource)


def telling_hints(relations: Sequence[Relation]) -> list[str]:
    """For each of several relations that have a name in common, a hint that only it has."""
    told = []
    for relation in relations:
        others = {hint for other in relations if other is not relation for hint in other.hints}
        told += [hint for hint in relation.hints if hint not in others][:1]
    return told


def _to_one(table: ResourceTable, resource: DataResource) -> Iterator[Relation]:
    for key in table.foreign_keys:
        target = resource.tables[key.resource]
        names = [] if target.name == table.name else [target.name]
        if len(key.fields) == 1:
            names += key.fields
        pairs = tuple(zip(key.fields, key.references, strict=True))
        yield Relation(target, tuple(names) or (key.name,), (*key.fields, key.name), False, pairs)


def _referring(table: ResourceTable, resource: DataResource) -> Iterator[Relation]:
    for other in resource.tables.values():
        for key in other.foreign_keys:
            if key.resource == table.name:
                pairs = tuple(zip(key.references, key.fields, strict=True))
                many = not other.is_unique(key.fields)
                yield Relation(other, (other.name,), (*key.fields, key.name), many, pairs)


def _associated(
    association: sa.Table, table: ResourceTable, resource: DataResource
) -> Iterator[Relation]:
    ends = [key for key in association.constraints if isinstance(key, sa.ForeignKeyConstraint)]
    ends.sort(key=lambda end: list(association.c).index(end.elements[0].parent))
    by_table = {each.table: each for each in resource.tables.values()}
    for own in ends:
        for far in ends:
            if own is far or own.referred_table is not table.table:
                continue
            target = by_table[far.referred_table]
            columns = [column.name for column in far.columns]
            hints = (*columns, association.name, *([str(far.name)] if far.name else []))
            through = association, tuple((there, here) for here, there in _pairs(own))
            yield Relation(target, (target.name,), hints, True, _pairs(far), through)


def _pairs(key: sa.ForeignKeyConstraint) -> Pairs:
    return tuple((element.parent.name, element.column.name) for element in key.elements)

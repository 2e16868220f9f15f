"""SQLAlchemy models of generated tables, for those who use the database without the API.

Mapped imperatively, so that a column may have any name (``metadata``, ``class``, ``order items``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from data_resource_api.compiler.protection import Protection
from data_resource_api.compiler.relationships import Association, AssociationEnd
from data_resource_api.compiler.tables import ResourceTable


def map_models(
    metadata: sa.MetaData,
    tables: Mapping[str, ResourceTable],
    associations: Iterable[Association],
) -> Mapping[str, type[Any]]:
    """A class for every table that has a primary key, by the table's name.

    A foreign key from ``program`` to ``provider`` gives ``program.provider`` and
    ``provider.program_collection``; a many-to-many pair gives a ``…_collection`` on both sides. Where
    a column has that name, or a second relationship does, ``_by_`` and the fields' names follow.
    """
    registry = orm.registry(metadata=metadata)
    classes = {
        table.name: type(
            table.name, (), {"__init__": _construct, "__doc__": table.entry.description}
        )
        for table in tables.values()
        if table.key
    }
    properties: dict[str, dict[str, Any]] = {name: {} for name in classes}

    def free_name(owner: str, wanted: str, fields: Iterable[str]) -> str:
        taken = properties[owner].keys() | tables[owner].fields.keys()
        return wanted if wanted not in taken else f"{wanted}_by_{'_'.join(fields)}"

    for table in tables.values():
        for key in table.foreign_keys:
            if table.name not in classes or key.resource not in classes:
                continue
            scalar = free_name(table.name, key.resource, key.fields)
            properties[table.name][scalar] = None
            collection = free_name(key.resource, f"{table.name}_collection", key.fields)
            properties[key.resource][collection] = None
            columns = [table.table.c[field] for field in key.fields]
            targets = [tables[key.resource].table.c[field] for field in key.references]
            properties[table.name][scalar] = orm.relationship(
                classes[key.resource],
                foreign_keys=columns,
                remote_side=targets,
                back_populates=collection,
            )
            properties[key.resource][collection] = orm.relationship(
                classes[table.name],
                foreign_keys=columns,
                remote_side=columns,
                back_populates=scalar,
            )
    for association in associations:
        names: list[str] = []
        for own, other in (association.ends, association.ends[::-1]):
            named = (column.name for column in other.columns)
            names.append(free_name(own.table, f"{other.table}_collection", named))
            properties[own.table][names[-1]] = None
        for own, name, opposite in zip(association.ends, names, names[::-1], strict=True):
            (other,) = (end for end in association.ends if end is not own)
            properties[own.table][name] = orm.relationship(
                classes[other.table],
                secondary=association.table,
                primaryjoin=_joined(tables[own.table], own),
                secondaryjoin=_joined(tables[other.table], other),
                back_populates=opposite,
            )
    for name, class_ in classes.items():
        registry.map_imperatively(class_, tables[name].table, properties=properties[name])
        _keep_indexes(class_, tables[name])
    registry.configure()
    return classes


def _joined(table: ResourceTable, end: AssociationEnd) -> sa.ColumnElement[bool]:
    key = (table.table.c[name] for name in table.key)
    return sa.and_(*(own == column for own, column in zip(key, end.columns, strict=True)))


def _keep_indexes(class_: type[Any], table: ResourceTable) -> None:
    """Have the ORM write the blind index of a protected field whenever it writes the field."""
    for field in table.searchable_fields:
        protection = field.protection
        assert protection is not None

        def index(
            _mapper: object,
            _connection: object,
            target: Any,
            *,
            name: str = str(field.name),
            protection: Protection = protection,
        ) -> None:
            if sa.inspect(target).attrs[name].history.has_changes():
                value = getattr(target, name)
                indexed = None if value is None else protection.index_of(protection.native(value))
                setattr(target, protection.index_column, indexed)

        sa.event.listen(class_, "before_insert", index)
        sa.event.listen(class_, "before_update", index)


def _construct(self: object, **values: object) -> None:
    """Set the given columns and relationships."""
    for name, value in values.items():
        if not hasattr(type(self), name):
            raise TypeError(f"{type(self).__name__!r} has no attribute {name!r}")
        setattr(self, name, value)

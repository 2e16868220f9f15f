"""Table Schema descriptors → SQLAlchemy tables.

Types are mapped as tableschema-sql maps them. Constraints are built here, as named SQLAlchemy
constraints, because its own put a descriptor's text into DDL unquoted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa

from data_resource_api.compiler.constraints import check_expression
from data_resource_api.compiler.encryption import find_definition, index_column_name, protect
from data_resource_api.compiler.faults import Faults, join, json_name, nearest, quote
from data_resource_api.compiler.fields import BIGINT_RANGE, Field, compile_field, integer_range
from data_resource_api.compiler.names import ConstraintNames, field_name_fault
from data_resource_api.compiler.payload import Payload, TableEntry

#: Generated tables live in this schema, and nothing else does.
SCHEMA: Final = "public"

_JSON_TYPES: Final = frozenset({"object", "array", "geojson"})


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A one-to-many relationship, from the child's side.

    :ivar resource: the parent's name; :ivar references: its fields, in the order of ``fields``.
    :ivar place: where it stands in the Data Resource Schema.
    """

    name: str
    fields: tuple[str, ...]
    resource: str
    references: tuple[str, ...]
    place: str


@dataclass(frozen=True, slots=True)
class ApiRule:
    """A constraint that the database does not hold, and why."""

    table: str
    field: str
    constraint: str
    reason: str


@dataclass(frozen=True, slots=True)
class ResourceTable:
    """One generated table.

    :ivar fields: by name, in the descriptor's order.
    :ivar key: the names of the primary key's fields; empty where there is none.
    :ivar table: what SQLAlchemy knows of it.
    :ivar api_rules: the constraints that only the API holds.
    """

    entry: TableEntry
    fields: Mapping[str, Field]
    key: tuple[str, ...]
    foreign_keys: tuple[ForeignKey, ...]
    api_rules: tuple[ApiRule, ...]
    table: sa.Table

    @property
    def name(self) -> str:
        """The table's name, in lower case."""
        return self.entry.name

    def references_to(self, parent: str) -> tuple[ForeignKey, ...]:
        """The foreign keys that refer to a table."""
        return tuple(key for key in self.foreign_keys if key.resource == parent)

    @property
    def protected_fields(self) -> tuple[Field, ...]:
        """The fields that are encrypted."""
        return tuple(field for field in self.fields.values() if field.protection is not None)

    @property
    def searchable_fields(self) -> tuple[Field, ...]:
        """The encrypted fields that have a blind index."""
        return tuple(field for field in self.protected_fields if field.searchable)

    def is_unique(self, names: tuple[str, ...]) -> bool:
        """Whether these fields together tell one row from every other."""
        return set(names) == set(self.key) or (len(names) == 1 and self.fields[names[0]].unique)


def build_tables(
    payload: Payload,
    metadata: sa.MetaData,
    names: ConstraintNames,
    faults: Faults,
    environment: Mapping[str, str],
) -> dict[str, ResourceTable]:
    """Build every table, but for its relationships, noting every fault in the descriptors.

    :param environment: where encryption keys are looked for.
    """
    return {
        entry.name: _build_table(entry, payload, metadata, names, faults, environment)
        for entry in payload.entries
    }


def _build_table(
    entry: TableEntry,
    payload: Payload,
    metadata: sa.MetaData,
    names: ConstraintNames,
    faults: Faults,
    environment: Mapping[str, str],
) -> ResourceTable:
    descriptors = dict(_field_descriptors(entry, faults))
    key = _primary_key(entry, descriptors, faults)
    key_name = names.new("pk", entry.name)
    fields: dict[str, Field] = {}
    columns: list[sa.Column[Any]] = []
    items: list[sa.Constraint | sa.Index] = []
    rules: list[ApiRule] = []
    for name, (place, descriptor) in descriptors.items():

        def fault(inside: str, message: str, place: str = place) -> None:
            faults.add(f"{place}.{inside}" if inside else place, message)

        generated = key == (name,) and is_generated(entry.descriptor, descriptor)
        field = compile_field(descriptor, in_key=name in key, generated=generated, fault=fault)
        if field is None:
            continue
        if field.protected:
            definition = find_definition(name, entry.encryption, payload.encryption)
            protection = protect(place, field, entry.name, definition, environment, faults)
            field = replace(field, protection=protection)
        _check_protection(field, descriptors, in_key=name in key, fault=fault)
        fields[name] = field
        if name in key and field.type.name in _JSON_TYPES:
            fault("type", f"{field.type.name} cannot be in the primary key.")
        column = _column(field, nullable=not (field.required or name in key))
        columns.append(column)
        unique = column
        if field.searchable and index_column_name(name) not in descriptors:
            unique = _index_column(field)
            columns.append(unique)
        if field.unique and key != (name,):
            items.append(sa.UniqueConstraint(unique, name=names.new("uq", entry.name, name)))
        elif unique is not column:
            items.append(sa.Index(names.new("ix", entry.name, unique.name), unique))
        for constraint in field.constraints:
            check, reason = check_expression(field, column, constraint)
            if check is None:
                rules.append(ApiRule(entry.name, name, constraint.name, reason))
            else:
                check_name = names.new("ck", entry.name, name, constraint.name)
                items.append(sa.CheckConstraint(check, name=check_name))
    key = tuple(name for name in key if name in fields)
    if key:
        by_name = {column.name: column for column in columns}
        items.append(sa.PrimaryKeyConstraint(*(by_name[name] for name in key), name=key_name))
    comment = entry.description.replace("\0", "") or None
    table = sa.Table(entry.name, metadata, *columns, *items, comment=comment, quote=True)
    return ResourceTable(entry, fields, key, (), tuple(rules), table)


def _check_protection(
    field: Field, others: Mapping[str, object], *, in_key: bool, fault: Callable[[str, str], None]
) -> None:
    if field.descriptor.get("searchable") is True and not field.protected:
        fault("searchable", 'is for protected fields; add "protected": true, or leave it out.')
    if field.protected and in_key:
        fault("protected", "a protected field cannot be in the primary key.")
    if field.protected and field.unique and not field.searchable:
        fault(
            "constraints.unique",
            'a protected field is unique by its blind index only; add "searchable": true.',
        )
    if field.searchable and index_column_name(field.name) in others:
        fault(
            "searchable",
            f"its blind index would be called {quote(index_column_name(field.name))}, which is the "
            "name of a field; give that field another name.",
        )


def _index_column(field: Field) -> sa.Column[Any]:
    name = index_column_name(field.name)
    about = f"The blind index of {field.name}."
    return sa.Column(name, sa.LargeBinary(), nullable=True, comment=about, quote=True)


def _field_descriptors(
    entry: TableEntry, faults: Faults
) -> Iterator[tuple[str, tuple[str, Mapping[str, Any]]]]:
    """Field name, place and descriptor of the fields that can be told apart."""
    base = f"{entry.place}.tableSchema.fields"
    stated = entry.descriptor.get("fields")
    if not isinstance(stated, list) or not stated:
        faults.add(base, "must be a list of at least one field.")
        return
    seen: dict[str, str] = {}
    for index, descriptor in enumerate(stated):
        place = join(base, index)
        if not isinstance(descriptor, Mapping):
            faults.add(place, f"must be an object, not {json_name(descriptor)}.")
            continue
        name = descriptor.get("name")
        if not isinstance(name, str):
            faults.add(f"{place}.name", f"must be a string, not {json_name(name)}.")
            continue
        problem = field_name_fault(name)
        if name in seen:
            problem = f"{quote(name)} is the name of {seen[name]} already."
        if problem:
            faults.add(f"{place}.name", problem)
            continue
        seen[name] = place
        yield name, (place, descriptor)


def names_of(stated: object) -> tuple[str, ...]:
    """A field's name or a list of such names, as Table Schema writes keys; else nothing."""
    if isinstance(stated, str):
        return (stated,)
    if isinstance(stated, list) and all(isinstance(name, str) for name in stated):
        return tuple(stated)
    return ()


def _primary_key(
    entry: TableEntry, descriptors: Mapping[str, object], faults: Faults
) -> tuple[str, ...]:
    stated = entry.descriptor.get("primaryKey")
    if stated is None:
        return ()
    place = f"{entry.place}.tableSchema.primaryKey"
    key = names_of(stated)
    if not key:
        faults.add(place, "must be a field's name or a list of such names.")
    for name in key:
        if name not in descriptors:
            faults.add(
                place, f"no field is called {quote(name)}{nearest(name, descriptors) or '.'}"
            )
    if len(set(key)) != len(key):
        faults.add(place, "names a field twice.")
    return tuple(dict.fromkeys(key))


def is_generated(table: Mapping[str, Any], descriptor: Mapping[str, Any]) -> bool:
    """Whether PostgreSQL numbers the rows: not where the key is somebody else's (a foreign key).

    :param table: the table's descriptor.
    :param descriptor: the descriptor of the only field of its key.
    """
    stated = table.get("foreignKeys")
    referring = {
        name
        for item in (stated if isinstance(stated, list) else ())
        if isinstance(item, Mapping)
        for name in names_of(item.get("fields"))
    }
    return descriptor.get("type") == "integer" and descriptor["name"] not in referring


def _column(field: Field, *, nullable: bool) -> sa.Column[Any]:
    described = str(field.descriptor.get("description") or field.descriptor.get("title") or "")
    identity = []
    if field.generated:
        low = next((rule.value for rule in field.constraints if rule.name == "minimum"), 1)
        identity.append(sa.Identity(start=max(low, 1)))
    return sa.Column(
        field.name,
        _column_type(field),
        *identity,
        nullable=nullable,
        autoincrement=field.generated,
        comment=described.replace("\0", "") or None,
        quote=True,
    )


def _column_type(field: Field) -> sa.types.TypeEngine[Any]:
    if field.protection is not None:
        return field.protection.column_type()
    if field.type.name == "integer" and integer_range(field.descriptor) == BIGINT_RANGE:
        return sa.BigInteger()
    return field.type.column()

"""A table's fields → the schemas of its rows, as they come in, go out and are asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from data_resource_api.compiler.description.components import Components, component_name
from data_resource_api.compiler.fields import BIGINT_RANGE, Constraint, Field, integer_range

#: Table Schema's ``format`` of strings → OpenAPI's.
_FORMATS: Final = {"email": "email", "uri": "uri", "uuid": "uuid", "binary": "byte"}

#: What ``minLength`` and ``maxLength`` are called for each OpenAPI type.
_SIZES: Final[Mapping[str, Mapping[str, str]]] = {
    "string": {"minLength": "minLength", "maxLength": "maxLength"},
    "array": {"minLength": "minItems", "maxLength": "maxItems"},
    "object": {"minLength": "minProperties", "maxLength": "maxProperties"},
}

#: The OpenAPI types that generators of clients make an enumeration of, and what its values are here.
_ENUMERATED: Final[Mapping[str, type]] = {"string": str, "integer": int}

#: Constraints that a schema of the type has no word for, in words.
_IN_WORDS: Final[Mapping[str, str]] = {
    "minimum": "Not before {}.",
    "maximum": "Not after {}.",
    "minLength": "At least {} long.",
    "maxLength": "At most {} long.",
    "pattern": "Matches `{}` (RE2).",
    "enum": "One of {}.",
    "unique": "No two rows have the same.",
}


@dataclass(frozen=True, slots=True)
class DescribedTable:
    """What a description needs of a table.

    :ivar key: the names of the primary key's fields; empty where there is none.
    """

    name: str
    about: str
    fields: Mapping[str, Field]
    key: tuple[str, ...]

    @property
    def component(self) -> str:
        """What its components' names begin with."""
        return component_name(self.name)

    @property
    def key_fields(self) -> tuple[Field, ...]:
        """The primary key's fields."""
        return tuple(self.fields[name] for name in self.key)


def field_schema(field: Field, *, nullable: bool) -> dict[str, Any]:
    """A field's values: its type, what its constraints allow, and its own words."""
    descriptor = field.descriptor
    schema = dict(field.type.openapi)
    kind = schema.get("type", "")
    if field.type.name == "string" and descriptor.get("format") in _FORMATS:
        schema["format"] = _FORMATS[descriptor["format"]]
    if field.type.name == "integer":
        wide = integer_range(descriptor) is BIGINT_RANGE
        schema["format"] = "int64" if wide else "int32"
    words = [descriptor["description"]] if isinstance(descriptor.get("description"), str) else []
    for constraint in field.constraints:
        said = _constraint(constraint, kind)
        schema |= said
        if not said and constraint.name in _IN_WORDS:
            words.append(_IN_WORDS[constraint.name].format(_shown(constraint, field)))
    if field.unique:
        words.append(_IN_WORDS["unique"])
    if field.protected:
        words.append("Stored encrypted.")
    if nullable:
        schema["nullable"] = True
        if "enum" in schema and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
    if isinstance(descriptor.get("title"), str):
        schema["title"] = descriptor["title"]
    if words:
        schema["description"] = " ".join(words)
    return schema


def _constraint(constraint: Constraint, kind: str) -> dict[str, Any]:
    """What a schema says of a constraint; nothing where it has no word for it."""
    name, value = constraint.name, constraint.value
    if name in ("minLength", "maxLength") and kind in _SIZES:
        return {_SIZES[kind][name]: value}
    if name in ("minimum", "maximum") and kind in ("integer", "number"):
        return {name: _number(value)}
    if name == "pattern" and kind == "string" and _is_pattern(value):
        return {"pattern": f"^(?:{value})$"}
    if name == "enum" and isinstance(value[0], _ENUMERATED.get(kind, ())):
        return {"enum": list(dict.fromkeys(value))}
    return {}


def _number(value: Any) -> Any:
    """Decimals as the JSON numbers that tools of OpenAPI know."""
    if not isinstance(value, Decimal):
        return value
    return int(value) if value == value.to_integral_value() else float(value)


def _is_pattern(pattern: str) -> bool:
    """Whether tools whose regular expressions are not RE2's can read it too."""
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


def _shown(constraint: Constraint, field: Field) -> object:
    stated = (field.descriptor.get("constraints") or {}).get(constraint.name)
    shown = constraint.value if stated is None else stated
    return ", ".join(map(str, shown)) if isinstance(shown, list) else shown


# ── the schemas of a table ───────────────────────────────────────────────────────────────────────


def row(table: DescribedTable, components: Components) -> dict[str, str]:
    """A row as it is answered. ``select`` may leave fields out, so none is required."""

    def make() -> dict[str, Any]:
        properties = {
            name: field_schema(field, nullable=not (field.required or field.generated))
            for name, field in table.fields.items()
        }
        return {"type": "object", **_about(table), "properties": named(properties)}

    return components.refer("schemas", table.component, make)


def change(table: DescribedTable, components: Components) -> dict[str, str]:
    """The body of PUT and PATCH: fields that are left out keep their values."""
    return components.refer("schemas", f"{table.component}.change", lambda: _body(table))


def new(table: DescribedTable, components: Components) -> dict[str, str]:
    """A row that is to be created."""

    def make() -> dict[str, Any]:
        # Not allOf with the schema of a change: generators take a field that is an object for two.
        required = [name for name, field in table.fields.items() if field.required]
        return {**_body(table), **({"required": required} if required else {})}

    return components.refer("schemas", f"{table.component}.new", make)


def _body(table: DescribedTable) -> dict[str, Any]:
    properties = {
        name: field_schema(field, nullable=not field.required)
        for name, field in table.fields.items()
    }
    return {"type": "object", **_closed(table), "properties": named(properties)}


def sought(table: DescribedTable, components: Components) -> dict[str, str]:
    """The body of a query: fields and the values that they must equal."""

    def make() -> dict[str, Any]:
        properties = {
            name: {**field.type.openapi, "nullable": True}
            for name, field in table.fields.items()
            if not field.protected or field.searchable
        }
        return {
            "type": "object",
            "description": "Values of fields, which must be equal; or a question, as in a URL.",
            "minProperties": 1,
            "properties": named(properties),
        }

    return components.refer("schemas", f"{table.component}.query", make)


def written(table: DescribedTable, components: Components) -> dict[str, str]:
    """What a write answers."""

    def make() -> dict[str, Any]:
        properties: dict[str, Any] = {"message": {"type": "string"}}
        if table.key:
            properties["id"] = key_schema(table)
        return {"type": "object", "required": ["message"], "properties": properties}

    return components.refer("schemas", f"{table.component}.written", make)


def added(table: DescribedTable, components: Components) -> dict[str, str]:
    """What adding rows answers: ``id`` for one, ``ids`` for a list, else how many there were."""

    def make() -> dict[str, Any]:
        properties: dict[str, Any] = {"message": {"type": "string"}}
        if table.key:
            properties["id"] = key_schema(table)
            properties["ids"] = {"type": "array", "items": key_schema(table)}
        properties |= {name: {"type": "integer"} for name in ("count", "added", "updated")}
        return {"type": "object", "required": ["message"], "properties": properties}

    return components.refer("schemas", f"{table.component}.added", make)


def key_schema(table: DescribedTable) -> dict[str, Any]:
    """A primary key's value: a list where it has several fields."""
    values = [key_value(field) for field in table.key_fields]
    if len(values) == 1:
        return values[0]
    items = values[0] if all(value == values[0] for value in values) else {}
    return {"type": "array", "items": items, "minItems": len(values), "maxItems": len(values)}


def key_value(field: Field) -> dict[str, Any]:
    """A value of one of the key's fields, without its words."""
    schema = field_schema(field, nullable=False)
    return {name: schema[name] for name in schema if name not in ("title", "description")}


def named(properties: Mapping[str, Any]) -> dict[str, Any]:
    """``properties`` of a schema. One called ``$ref`` would be read as a reference by most tools."""
    return {name: schema for name, schema in properties.items() if name != "$ref"}


def _closed(table: DescribedTable) -> dict[str, Any]:
    """That there are no other properties, where all of them have been named."""
    return {} if "$ref" in table.fields else {"additionalProperties": False}


def _about(table: DescribedTable) -> dict[str, str]:
    return {"description": table.about} if table.about else {}

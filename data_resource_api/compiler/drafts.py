"""Table Schema drafts → the OpenAPI document that ``GET /swagger`` offers for a payload.

A draft is a data dictionary entry ``{"name", "tableSchema"}`` or the original's form
``{"tableschema": {"api": {"methods": […]}, "datastore": {"tablename", "schema"}}}``, whose inside is
what is stored; see ``compiler.methods`` for what ``methods`` say.
"""

from __future__ import annotations

import functools
import hashlib
import operator
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from data_resource_api.compiler.faults import Faults, join, json_name, nearest, quote
from data_resource_api.compiler.fields import FIELD_TYPES, compile_field
from data_resource_api.compiler.methods import Access, read_methods, security_schemes
from data_resource_api.compiler.names import field_name_fault, table_name_fault
from data_resource_api.compiler.openapi import KINDS, Kind, Shape
from data_resource_api.compiler.payload import check_descriptor
from data_resource_api.compiler.security import BEARER
from data_resource_api.compiler.tables import names_of


@dataclass(frozen=True, slots=True)
class DraftTable:
    """A draft, found and checked.

    :ivar related: names of tables in a many-to-many relationship with it, in lower case.
    :ivar methods: the verbs that its ``api.methods`` enable, and what they ask of their callers.
    """

    name: str
    entry: Mapping[str, Any]
    descriptor: Mapping[str, Any]
    related: tuple[str, ...]
    methods: Mapping[str, Access]

    @property
    def has_item(self) -> bool:
        """Whether a row has a path of its own."""
        return len(names_of(self.descriptor.get("primaryKey"))) == 1

    def access(self, kind: Kind, verb: str) -> Access | None:
        """What an operation asks of its callers, ``None`` where it is not enabled.

        A query is a POST that reads: it is only there where both are enabled, and asks what both ask.
        """
        wanted = (verb, "get") if kind is Kind.QUERY else (verb,)
        if any(name not in self.methods for name in wanted):
            return None
        return functools.reduce(operator.and_, (self.methods[name] for name in wanted))


def read_draft(document: object) -> DraftTable:
    """Check a draft.

    :raises InvalidDocument: with every Table Schema error and its place.
    """
    faults = Faults()
    draft = _find(document, faults)
    faults.raise_if_any("The draft")
    assert draft is not None
    return draft


def _find(document: object, faults: Faults) -> DraftTable | None:
    if not isinstance(document, Mapping):
        faults.add("", f"A draft must be a JSON object, not {json_name(document)}.")
        return None
    base, entry = "", document
    if isinstance(wrapped := document.get("tableschema"), Mapping):
        base, entry = "tableschema", wrapped
    methods = None
    name, descriptor, place = entry.get("name"), entry.get("tableSchema"), join(base, "tableSchema")
    if "datastore" in entry:
        datastore, place = entry["datastore"], join(base, "datastore", "schema")
        if not isinstance(datastore, Mapping):
            faults.add(join(base, "datastore"), f"must be an object, not {json_name(datastore)}.")
            return None
        name, descriptor = datastore.get("tablename"), datastore.get("schema")
        api = entry.get("api")
        if api is not None and not isinstance(api, Mapping):
            faults.add(join(base, "api"), f"must be an object, not {json_name(api)}.")
        methods = api.get("methods") if isinstance(api, Mapping) else None
    if not isinstance(name, str):
        faults.add("name", f"must be the table's name, a string, not {json_name(name)}.")
    elif fault := table_name_fault(name.lower()):
        faults.add("name", fault)
    if descriptor is None:
        faults.add(
            place, 'is missing; a draft is like {"name": …, "tableSchema": {"fields": […]}}.'
        )
        return None
    _check_fields(descriptor, place, faults)
    check_descriptor(descriptor, faults, place)
    access = read_methods(methods, faults, join(base, "api", "methods"))
    if faults:
        return None
    assert isinstance(name, str)
    assert isinstance(descriptor, Mapping)
    return DraftTable(name.lower(), entry, descriptor, tuple(_related(entry, name.lower())), access)


def _check_fields(descriptor: object, base: str, faults: Faults) -> None:
    fields = descriptor.get("fields") if isinstance(descriptor, Mapping) else None
    if not isinstance(fields, list) or not isinstance(descriptor, Mapping):
        return
    names: list[str] = []
    for index, field in enumerate(fields):
        name = field.get("name") if isinstance(field, Mapping) else None
        if not isinstance(name, str):
            continue

        def fault(inside: str, message: str, place: str = f"{base}.fields[{index}]") -> None:
            faults.add(f"{place}.{inside}" if inside else place, message)

        compile_field(field, in_key=False, generated=False, fault=fault)
        if problem := field_name_fault(name):
            fault("name", problem)
        elif name in names:
            fault("name", f"{quote(name)} is the name of another field already.")
        names.append(name)
    for name in names_of(descriptor.get("primaryKey")):
        if name not in names:
            hint = nearest(name, names) or "."
            faults.add(f"{base}.primaryKey", f"no field is called {quote(name)}{hint}")


def _related(entry: Mapping[str, Any], name: str) -> Iterator[str]:
    relationships = entry.get("relationships")
    pairs = relationships.get("manyToMany") if isinstance(relationships, Mapping) else None
    for pair in pairs if isinstance(pairs, list) else ():
        names = [pair] if isinstance(pair, str) else pair
        if isinstance(names, list) and all(isinstance(other, str) for other in names):
            yield from (other.lower() for other in names if other.lower() != name)


# ── the document ─────────────────────────────────────────────────────────────────────────────────

_ID: Final = {"name": "id", "in": "path", "required": True}
_PAGE: Final = [
    {
        "name": "offset",
        "in": "query",
        "description": "How many rows to skip.",
        "schema": {"type": "integer", "minimum": 0, "default": 0},
    },
    {
        "name": "limit",
        "in": "query",
        "description": "How many rows to answer with.",
        "schema": {"type": "integer", "minimum": 1, "default": 20},
    },
]
_REFUSALS: Final = {
    "BadRequest": "The request is wrong; `errors` names each fault.",
    "NotFound": "There is no such row.",
    "MethodNotAllowed": "Nothing is ever deleted.",
    "Conflict": "The row clashes with another, or refers to one that does not exist.",
}
_SUMMARIES: Final[Mapping[Kind, str]] = {
    Kind.LIST: "List {table}",
    Kind.CREATE: "Create a row of {table}",
    Kind.QUERY: "Find rows of {table} by the values of their fields",
    Kind.READ: "One row of {table}",
    Kind.REPLACE: "Change a row of {table}, or create it",
    Kind.MODIFY: "Change a row of {table}",
    Kind.DELETE: "Refused: nothing is ever deleted",
    Kind.RELATED: "The ids of {related} that a row of {table} is related to",
    Kind.RELATE: "Relate a row of {table} to exactly these {related}",
    Kind.ADD_RELATED: "Relate a row of {table} to more {related}",
}


def draft_openapi(
    drafts: Collection[DraftTable], *, title: str = "Data resource", token_url: str | None = None
) -> dict[str, Any]:
    """An OpenAPI 3.0 document for these tables, which can be embedded in a payload unchanged.

    :param token_url: where clients get their tokens, for operations that need scopes.
    """
    tables = {draft.name: draft for draft in drafts}
    names = _component_names(tables)
    paths: dict[str, dict[str, Any]] = {}
    asked: list[tuple[str, Access]] = []
    for (path, verb), operation, access in _operations(tables, names):
        paths.setdefault(path, {})[verb] = operation | access.requirement()
        asked.append((f"{verb.upper()} {path}", access))
    return {
        "openapi": "3.0.3",
        "info": {"title": title, "version": "1.0.0"},
        "security": [{BEARER: []}],
        "paths": paths,
        "components": {
            "securitySchemes": security_schemes(asked, token_url),
            "schemas": {**_shared_schemas(), **_row_schemas(tables, names)},
            "responses": {
                name: {"description": about, "content": _json({"$ref": _schema("Refusal")})}
                for name, about in _REFUSALS.items()
            },
        },
    }


def _operations(
    tables: Mapping[str, DraftTable], names: Mapping[str, str]
) -> Iterator[tuple[tuple[str, str], dict[str, Any], Access]]:
    pairs = {
        couple
        for draft in tables.values()
        for other in draft.related
        if other in tables and draft.has_item and tables[other].has_item
        for couple in ((draft.name, other), (other, draft.name))
    }
    for draft in tables.values():
        related = sorted(other for table, other in pairs if table == draft.name)
        for (shape, verb), kind in KINDS.items():
            access = draft.access(kind, verb)
            if access is None or (shape in (Shape.ROW, Shape.RELATED) and not draft.has_item):
                continue
            for other in related if shape is Shape.RELATED else [""]:
                path = shape.replace("{table}", draft.name).replace("{related}", other)
                yield (path, verb), _operation(kind, draft, tables.get(other), names), access


def _operation(
    kind: Kind, draft: DraftTable, other: DraftTable | None, names: Mapping[str, str]
) -> dict[str, Any]:
    row = names[draft.name]
    related = other.name if other else ""
    ids = {"type": "array", "items": _key_schema(other)} if other else {}
    bodies: dict[Kind, dict[str, Any]] = {
        Kind.CREATE: {"$ref": _schema(f"{row}.new")},
        Kind.REPLACE: {"$ref": _schema(f"{row}.change")},
        Kind.MODIFY: {"$ref": _schema(f"{row}.change")},
        Kind.QUERY: {"$ref": _schema(f"{row}.query")},
        Kind.RELATE: ids,
        Kind.ADD_RELATED: ids,
    }
    page = {
        "type": "object",
        "properties": {
            draft.name: {"type": "array", "items": {"$ref": _schema(row)}},
            "links": {"type": "array", "items": {"$ref": _schema("Link")}},
        },
    }
    results = {
        "type": "object",
        "properties": {"results": {"type": "array", "items": {"$ref": _schema(row)}}},
    }
    written = {"$ref": _schema("Written")}
    replies: dict[Kind, dict[str, dict[str, Any]]] = {
        Kind.LIST: {"200": page},
        Kind.CREATE: {"201": written},
        Kind.QUERY: {"200": results},
        Kind.READ: {"200": {"$ref": _schema(row)}},
        Kind.REPLACE: {"200": written, "201": written},
        Kind.MODIFY: {"200": written},
        Kind.DELETE: {},
        Kind.RELATED: {"200": ids},
        Kind.RELATE: {"200": ids},
        Kind.ADD_RELATED: {"200": ids},
    }
    refusals = {
        Kind.LIST: ("400",),
        Kind.CREATE: ("400", "409"),
        Kind.QUERY: ("400", "404"),
        Kind.READ: ("404",),
        Kind.REPLACE: ("400", "404", "409"),
        Kind.MODIFY: ("400", "404", "409"),
        Kind.DELETE: ("405",),
        Kind.RELATED: ("404",),
        Kind.RELATE: ("400", "404"),
        Kind.ADD_RELATED: ("400", "404"),
    }
    by_status = dict(zip(("400", "404", "405", "409"), _REFUSALS, strict=True))
    operation: dict[str, Any] = {
        "operationId": ".".join(filter(None, (kind.value, draft.name, related))),
        "summary": _SUMMARIES[kind].format(table=draft.name, related=related),
        "tags": [draft.name],
    }
    parameters: list[Any] = []
    if kind in (Kind.LIST, Kind.QUERY):
        parameters += _PAGE
    if kind not in (Kind.LIST, Kind.QUERY, Kind.CREATE):
        parameters.append({**_ID, "schema": _key_schema(draft)})
    if parameters:
        operation["parameters"] = parameters
    if kind in bodies:
        operation["requestBody"] = {"required": True, "content": _json(bodies[kind])}
    operation["responses"] = {
        status: {"description": "Done.", "content": _json(schema)}
        for status, schema in replies[kind].items()
    } | {
        status: {"$ref": f"#/components/responses/{by_status[status]}"} for status in refusals[kind]
    }
    return operation


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _schema(name: str) -> str:
    return f"#/components/schemas/{name}"


def _key_schema(draft: DraftTable) -> dict[str, Any]:
    key = names_of(draft.descriptor.get("primaryKey"))[0]
    field = next(field for field in draft.descriptor["fields"] if field["name"] == key)
    return _field_schema(field, required=True)


def _component_names(names: Iterable[str]) -> dict[str, str]:
    """Component names (``^[A-Za-z0-9._-]+$``), told apart by a hash where that changes a name."""
    found = {}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)
        changed = plain != name or plain in ("Refusal", "Link", "Written")
        mark = f".{hashlib.sha256(name.encode()).hexdigest()[:8]}" if changed else ""
        found[name] = plain + mark
    return found


def _shared_schemas() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "Refusal": {
            "type": "object",
            "properties": {
                "error": text,
                "message": text,
                "errors": {"type": "array", "items": text},
            },
        },
        "Link": {"type": "object", "properties": {"rel": text, "href": text}},
        "Written": {"type": "object", "properties": {"message": text, "id": {}}},
    }


def _row_schemas(tables: Mapping[str, DraftTable], names: Mapping[str, str]) -> dict[str, Any]:
    schemas: dict[str, Any] = {}
    for draft in tables.values():
        fields = draft.descriptor["fields"]
        key = names_of(draft.descriptor.get("primaryKey"))
        generated = {
            field["name"] for field in fields if key == (field["name"],) and _is_integer(field)
        }
        required = [
            field["name"]
            for field in fields
            if field["name"] not in generated
            and ((field.get("constraints") or {}).get("required") is True or field["name"] in key)
        ]
        properties = {
            field["name"]: _field_schema(
                field, required=field["name"] in required or field["name"] in generated
            )
            for field in fields
        }
        row: dict[str, Any] = {"type": "object", "properties": properties}
        about = draft.entry.get("description") or draft.descriptor.get("description")
        if isinstance(about, str):
            row["description"] = about
        name = names[draft.name]
        schemas[name] = row
        schemas[f"{name}.new"] = {**row, "additionalProperties": False} | (
            {"required": required} if required else {}
        )
        schemas[f"{name}.change"] = {**row, "additionalProperties": False}
        schemas[f"{name}.query"] = {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": False,
            "properties": {
                field["name"]: {**_type_schema(field), "nullable": True} for field in fields
            },
        }
    return schemas


def _is_integer(field: Mapping[str, Any]) -> bool:
    return field.get("type") == "integer"


def _type_schema(field: Mapping[str, Any]) -> dict[str, Any]:
    return dict(FIELD_TYPES[field.get("type", "string")].openapi)


def _field_schema(field: Mapping[str, Any], *, required: bool) -> dict[str, Any]:
    """A field for OpenAPI: its type, what its constraints allow, and its own words."""
    schema = _type_schema(field)
    constraints = field.get("constraints") or {}
    kind = schema.get("type")
    if kind == "string":
        schema |= {
            name: constraints[name]
            for name in ("minLength", "maxLength", "pattern")
            if name in constraints
        }
        if "pattern" in constraints:
            schema["pattern"] = f"^(?:{constraints['pattern']})$"
    if kind == "array":
        sizes = {"minLength": "minItems", "maxLength": "maxItems"}
        schema |= {sizes[name]: constraints[name] for name in sizes if name in constraints}
    if kind in ("integer", "number"):
        schema |= {
            name: constraints[name]
            for name in ("minimum", "maximum")
            if isinstance(constraints.get(name), (int, float))
        }
    if isinstance(constraints.get("enum"), list):
        schema["enum"] = list(constraints["enum"])
    if not required:
        schema["nullable"] = True
        if "enum" in schema and None not in schema["enum"]:
            schema["enum"].append(None)
    for name in ("title", "description"):
        if isinstance(field.get(name), str):
            schema[name] = field[name]
    return schema

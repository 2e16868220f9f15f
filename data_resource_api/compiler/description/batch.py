"""``POST /-/batch``: the one operation of the served document that no payload states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from data_resource_api.compiler.description.components import Components
from data_resource_api.compiler.description.shared import STATUSES

#: The one ``operationId`` and tag.
NAME: Final = "batch"

#: The methods that one operation can have, and its headers; ``rest.batch.reading`` takes these.
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
HEADERS: Final = ("If-Match", "If-None-Match", "Prefer")

_TEXT: Final = {"type": "string"}
_REFUSALS: Final = ("BadRequest", "NotFound", "Conflict", "PreconditionFailed", "Refused")


def batch_operation(components: Components, securities: Iterable[object]) -> dict[str, Any]:
    """Its Operation Object.

    :param securities: what the document asks for anywhere: a batch is for whoever has one of its tokens,
        and each of its operations is allowed on its own.
    """

    def shared(section: str, name: str) -> dict[str, str]:
        return components.shared(section, name)

    return {
        "operationId": NAME,
        "summary": "Run several operations, all or none",
        "description": "In one transaction. Each operation must be allowed for the caller on its own. "
        "The first one that is refused ends the batch with its own status, and nothing is changed.",
        "tags": [NAME],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _schema("request", components)}},
        },
        "responses": {
            "200": {
                "description": "Everything is done.",
                "headers": {"DRG-Version": shared("headers", "Version")},
                "content": {"application/json": {"schema": _schema("answer", components)}},
            },
            **{STATUSES[name]: shared("responses", name) for name in _REFUSALS},
        },
        **_security(securities),
    }


def _schema(part: str, components: Components) -> dict[str, str]:
    return components.refer("schemas", f"Batch.{part}", lambda: _SCHEMAS[part](components))


def _request(components: Components) -> dict[str, Any]:
    operations = {
        "type": "array",
        "description": "In their order; `DRG_MAX_BATCH` of them at most.",
        "minItems": 1,
        "items": _schema("operation", components),
    }
    return {
        "type": "object",
        "required": ["operations"],
        "additionalProperties": False,
        "properties": {"operations": operations},
    }


def _operation(_: Components) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["method", "path"],
        "additionalProperties": False,
        "properties": {
            "id": {
                "type": "string",
                "description": "What later operations call it.",
                "pattern": "^[A-Za-z0-9._-]{1,64}$",
            },
            "method": {"type": "string", "enum": list(METHODS)},
            "path": {
                "type": "string",
                "description": "As it would be requested, with its query string; `/book/{new#/id}` has the "
                "key that the operation `new` has made.",
                "pattern": "^/",
            },
            "headers": {
                "type": "object",
                "description": "For this operation alone.",
                "additionalProperties": False,
                "properties": dict.fromkeys(HEADERS, _TEXT),
            },
            "body": {
                "description": 'JSON. `{"$ref": "new#/id"}` stands for what is at `/id` in the answer '
                "of the operation `new`.",
            },
        },
    }


def _answer(_: Components) -> dict[str, Any]:
    result = {
        "type": "object",
        "required": ["status", "headers", "body"],
        "properties": {
            "status": {"type": "integer"},
            "headers": {"type": "object", "additionalProperties": _TEXT},
            "body": {"description": "JSON, or null where there is none."},
        },
    }
    return {
        "type": "object",
        "required": ["results"],
        "properties": {
            "results": {
                "type": "array",
                "description": "What each operation would have been answered alone, in their order.",
                "items": result,
            }
        },
    }


_SCHEMAS: Final = {"request": _request, "operation": _operation, "answer": _answer}


def _security(securities: Iterable[object]) -> dict[str, Any]:
    """Any token that some operation takes; none is needed where one of them is public."""
    found = [item for stated in securities if isinstance(stated, list) for item in stated or [{}]]
    schemes = dict.fromkeys(tuple(item) if isinstance(item, Mapping) else () for item in found)
    security: list[dict[str, list[str]]] = [{name: [] for name in names} for names in schemes]
    return {"security": security} if security else {}

"""What every table's operations have in common: one set of parameters, headers, answers and schemas.

References among them are ``#/components/{section}/{name}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_TEXT: Final = {"type": "string"}


def _query(name: str, about: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": about, "schema": dict(schema)}


def _header(name: str, about: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": about, "schema": dict(_TEXT)}


PARAMETERS: Final[Mapping[str, Any]] = {
    "Offset": _query(
        "offset", "How many rows to skip.", {"type": "integer", "minimum": 0, "default": 0}
    ),
    "Limit": _query(
        "limit", "How many rows to answer with.", {"type": "integer", "minimum": 1, "default": 20}
    ),
    "Most": _query(
        "limit",
        "The most rows to answer with; all of them where it is not given.",
        {"type": "integer", "minimum": 1},
    ),
    "After": _query("after", "The page behind this place, as the link `next` says it.", _TEXT),
    "Before": _query(
        "before", "The page in front of this place, as the link `prev` says it.", _TEXT
    ),
    "From": _query("from", "`end`: the last page.", {"type": "string", "enum": ["end"]}),
    "Select": _query(
        "select",
        "The fields to answer with, and related tables with theirs: `id,name,provider(name)`.",
        _TEXT,
    ),
    "Order": _query("order", "The fields to order by: `name.desc,id`.", _TEXT),
    "And": _query("and", "Conditions that must all hold: `(age.gte.18,name.like.A*)`.", _TEXT),
    "Or": _query("or", "Conditions one of which must hold: `(age.lt.18,age.is.null)`.", _TEXT),
    "Count": _query(
        "count",
        "How many rows match, told in `Content-Range`.",
        {"type": "string", "enum": ["exact", "estimated", "planned", "none"]},
    ),
    "Via": _query(
        "via",
        "The foreign key that is meant, where several refer to this table: its fields, with commas.",
        _TEXT,
    ),
    "Reverse": _query(
        "reverse",
        "`true`: the rows that this one is a child of.",
        {"type": "boolean", "default": False},
    ),
    "OnConflict": _query(
        "on_conflict",
        "The unique field that tells whether a row is there already; without it the primary key.",
        _TEXT,
    ),
    "Prefer": _header(
        "Prefer",
        "`resolution=merge-duplicates` changes rows that are there already, "
        "`resolution=ignore-duplicates` leaves them alone; `tx=rollback` only checks.",
    ),
    "IfMatch": _header("If-Match", "The `ETag` of what was read: only that state is changed."),
    "IfNoneMatch": _header(
        "If-None-Match", "The `ETag` that the client has: 304 if it still holds."
    ),
    "OnlyNew": _header("If-None-Match", "`*`: only create the row, and change none that is there."),
    "Position": _header(
        "DRG-Position",
        "Only where the service has replicas: the answer has to show the write that carried this.",
    ),
}

HEADERS: Final[Mapping[str, Any]] = {
    "Version": {"description": "Which data resource answered: its digest.", "schema": dict(_TEXT)},
    "ETag": {"description": "The state of what is answered.", "schema": dict(_TEXT)},
    "Range": {
        "description": "Which rows these are and, where `count` asks for it, of how many: `0-19/57`.",
        "schema": dict(_TEXT),
    },
    "Location": {
        "description": "The path of the new row, where it has one.",
        "schema": dict(_TEXT),
    },
}


def _refused(about: str, **more: Any) -> dict[str, Any]:
    return {
        "description": about,
        **more,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}},
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}},
        },
    }


_ETAG: Final = {"ETag": {"$ref": "#/components/headers/ETag"}}

RESPONSES: Final[Mapping[str, Any]] = {
    "BadRequest": _refused("The request is wrong; `errors` names each fault."),
    "NotFound": _refused("There is no such row."),
    "NoMatches": _refused("No row matches."),
    "MethodNotAllowed": _refused("Nothing is ever deleted."),
    "Conflict": _refused("The row clashes with another, or refers to one that does not exist."),
    "NotModified": {"description": "The client has this state already.", "headers": _ETAG},
    "PreconditionFailed": _refused(
        "The state is another one than `If-Match` names.", headers=_ETAG
    ),
    "Refused": _refused(
        "Refused: no valid token (401), a scope is missing (403), the body is too large (413) or of "
        "another media type (415), the change must name a state (428), the database is away (503)."
    ),
}

#: The status of each refusal.
STATUSES: Final[Mapping[str, str]] = {
    "BadRequest": "400",
    "NotFound": "404",
    "NoMatches": "404",
    "MethodNotAllowed": "405",
    "Conflict": "409",
    "NotModified": "304",
    "PreconditionFailed": "412",
    "Refused": "default",
}

SCHEMAS: Final[Mapping[str, Any]] = {
    "Refusal": {
        "type": "object",
        "description": "Why a request was refused.",
        "properties": {
            "error": {"type": "string", "description": "One sentence."},
            "errors": {
                "type": "array",
                "description": "One sentence for each fault, with its place first.",
                "items": dict(_TEXT),
            },
            "message": {
                "type": "string",
                "description": "In the place of `error` for some refusals.",
            },
        },
    },
    "Problem": {
        "type": "object",
        "description": "The same as RFC 9457 has it, for clients that prefer it (`Accept`).",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": dict(_TEXT),
            "title": dict(_TEXT),
            "status": {"type": "integer"},
            "detail": dict(_TEXT),
            "errors": {"type": "array", "items": dict(_TEXT)},
        },
    },
    "Links": {
        "type": "array",
        "description": "This page and the others: `self`, `first`, `prev`, `next`, `last`.",
        "items": {
            "type": "object",
            "required": ["rel", "href"],
            "properties": {"rel": dict(_TEXT), "href": dict(_TEXT)},
        },
    },
}

SHARED: Final[Mapping[str, Mapping[str, Any]]] = {
    "parameters": PARAMETERS,
    "headers": HEADERS,
    "responses": RESPONSES,
    "schemas": SCHEMAS,
}

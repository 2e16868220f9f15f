"""Kinds of operation → OpenAPI's Operation Objects.

To describe a kind, add a row to ``DESCRIPTIONS``; a parameter or a refusal that several have stands in
``shared``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from data_resource_api.compiler.description import filters, rows
from data_resource_api.compiler.description.components import Components
from data_resource_api.compiler.description.rows import DescribedTable
from data_resource_api.compiler.description.shared import PARAMETERS, STATUSES
from data_resource_api.compiler.openapi import Kind


@dataclass(frozen=True, slots=True)
class Described:
    """The tables and the components that one operation is described with.

    :ivar other: the related table, where the operation has one.
    """

    table: DescribedTable
    other: DescribedTable | None
    components: Components


Schema = Callable[[Described], dict[str, Any]]


def _row(of: Described) -> dict[str, Any]:
    return dict(rows.row(of.table, of.components))


def _written(of: Described) -> dict[str, Any]:
    return dict(rows.written(of.table, of.components))


def _new(of: Described) -> dict[str, Any]:
    """One row, or a list of rows."""
    row = rows.new(of.table, of.components)
    return {"oneOf": [row, {"type": "array", "items": row, "minItems": 1}]}


def _added(of: Described) -> dict[str, Any]:
    return dict(rows.added(of.table, of.components))


def _change(of: Described) -> dict[str, Any]:
    return dict(rows.change(of.table, of.components))


def _sought(of: Described) -> dict[str, Any]:
    return dict(rows.sought(of.table, of.components))


def _page(of: Described) -> dict[str, Any]:
    listed = {"type": "array", "items": _row(of)}
    links = of.components.shared("schemas", "Links")
    return {
        "type": "object",
        "required": [of.table.name, "links"],
        "properties": rows.named({of.table.name: listed, "links": links}),
    }


def _results(of: Described) -> dict[str, Any]:
    results = {"type": "array", "items": _row(of)}
    return {"type": "object", "required": ["results"], "properties": {"results": results}}


def _ids(of: Described) -> dict[str, Any]:
    assert of.other is not None
    return {"type": "array", "items": rows.key_schema(of.other)}


@dataclass(frozen=True, slots=True)
class Description:
    """What is said of one kind of operation.

    :ivar summary: with ``{table}`` and ``{related}``.
    :ivar parameters: names in ``shared.PARAMETERS``.
    :ivar answers: status → what the answer says and its schema.
    :ivar refusals: names in ``shared.RESPONSES``.
    :ivar filters: whether every field is a parameter, by which rows are compared.
    :ivar of_related: whether the rows that are answered are the related table's.
    :ivar more: media types → schemas of the answer beside JSON.
    :ivar forms: media types → schemas of the body beside JSON.
    :ivar headers: of the answers: names in ``shared.HEADERS``, and what HTTP calls them.
    """

    summary: str
    answers: Mapping[str, tuple[str, Schema]]
    refusals: tuple[str, ...]
    parameters: tuple[str, ...] = ()
    body: Schema | None = None
    filters: bool = False
    of_related: bool = False
    more: Mapping[str, Schema] = field(default_factory=dict)
    forms: Mapping[str, Schema] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


_VERSION: Final = {"DRG-Version": "Version"}
_STATE: Final = {"ETag": "ETag", **_VERSION}

#: Many rows, coming in or going out, as files for UIs and clients.
_FILES: Final[Mapping[str, Schema]] = dict.fromkeys(
    ("text/csv", "application/x-ndjson"), lambda _: {"type": "string", "format": "binary"}
)

_FORM: Final[Mapping[str, Schema]] = {
    "application/x-www-form-urlencoded": lambda of: dict(filters.compared(of.table, of.components))
}

#: What PostgREST answers, for its clients.
_BARE: Final[Mapping[str, Schema]] = {
    "application/vnd.pgrst.array+json": lambda of: {"type": "array", "items": _row(of)}
}

#: What a question is asked with, beside its filters.
_QUESTION: Final = ("Select", "Order", "Count")

#: What every operation that reads has.
_READ: Final = ("IfNoneMatch", "Position")

#: What a list has.
_LISTED: Final = (
    *(*_QUESTION, "And", "Or"),
    *("Offset", "Limit", "After", "Before", "From"),
    *_READ,
)

DESCRIPTIONS: Final[Mapping[Kind, Description]] = {
    Kind.LIST: Description(
        "List {table}",
        {"200": ("One page of rows, and where the others are.", _page)},
        ("NotModified", "BadRequest"),
        parameters=_LISTED,
        filters=True,
        more={**_FILES, **_BARE},
        headers={"Content-Range": "Range", **_STATE},
    ),
    Kind.CREATE: Description(
        "Create a row of {table}, or many",
        {
            "200": ("Only checked, or it was there already.", _added),
            "201": ("It is there; of many, all of them.", _added),
        },
        ("BadRequest", "Conflict"),
        parameters=("OnConflict", "Prefer"),
        body=_new,
        forms=_FILES,
        headers={"Location": "Location", **_VERSION},
    ),
    Kind.QUERY: Description(
        "Find rows of {table} by the values of their fields",
        {"200": ("The rows.", _results)},
        ("NotModified", "BadRequest", "NoMatches"),
        parameters=(*_QUESTION, "Offset", "Most", *_READ),
        body=_sought,
        forms=_FORM,
        more={**_FILES, **_BARE},
        headers={"Content-Range": "Range", **_STATE},
    ),
    Kind.READ: Description(
        "One row of {table}",
        {"200": ("The row.", _row)},
        ("NotModified", "BadRequest", "NotFound"),
        parameters=("Select", *_READ),
        more=_FILES,
        headers=_STATE,
    ),
    Kind.REPLACE: Description(
        "Change a row of {table}, or create it",
        {"200": ("It is changed.", _written), "201": ("It was not there, and now is.", _written)},
        ("BadRequest", "NotFound", "Conflict", "PreconditionFailed"),
        parameters=("IfMatch", "OnlyNew"),
        body=_change,
        headers=_STATE,
    ),
    Kind.MODIFY: Description(
        "Change a row of {table}",
        {"200": ("It is changed.", _written)},
        ("BadRequest", "NotFound", "Conflict", "PreconditionFailed"),
        parameters=("IfMatch",),
        body=_change,
        headers=_STATE,
    ),
    Kind.DELETE: Description("Refused: nothing is ever deleted", {}, ("MethodNotAllowed",)),
    Kind.RELATED: Description(
        "The ids of {related} that a row of {table} is related to",
        {"200": ("The ids, in ascending order.", _ids)},
        ("NotModified", "BadRequest", "NotFound"),
        parameters=_READ,
        headers=_STATE,
    ),
    Kind.CHILDREN: Description(
        "The {related} that refer to a row of {table}",
        {"200": ("One page of rows, and where the others are.", _page)},
        ("NotModified", "BadRequest", "NotFound"),
        parameters=("Via", *_LISTED),
        filters=True,
        of_related=True,
        more={**_FILES, **_BARE},
        headers={"Content-Range": "Range", **_STATE},
    ),
    Kind.RELATE: Description(
        "Relate a row of {table} to exactly these {related}",
        {"200": ("The ids that it is related to now.", _ids)},
        ("BadRequest", "NotFound", "PreconditionFailed"),
        parameters=("IfMatch",),
        body=_ids,
        headers=_STATE,
    ),
    Kind.ADD_RELATED: Description(
        "Relate a row of {table} to more {related}",
        {"200": ("The ids that it is related to now.", _ids)},
        ("BadRequest", "NotFound", "PreconditionFailed"),
        parameters=("IfMatch",),
        body=_ids,
        headers=_STATE,
    ),
}


@dataclass(frozen=True, slots=True)
class OperationDescription:
    """One operation's parts, each made when it is asked for: a component that nobody needs is not made.

    :ivar path: as the document writes it, with its parameters in braces.
    """

    kind: Kind
    path: str
    of: Described

    def naming(self) -> dict[str, Any]:
        """``operationId``, ``summary`` and ``tags``."""
        table, related = self.of.table.name, self.of.other.name if self.of.other else ""
        return {
            "operationId": "_".join(name for name in (self.kind.value, table, related) if name),
            "summary": DESCRIPTIONS[self.kind].summary.format(table=table, related=related),
            "tags": [table],
        }

    def parameters(self, stated: Collection[tuple[str, str]] = ()) -> list[dict[str, Any]]:
        """Its parameters.

        :param stated: name and place (``query`` …) of those that are described already.
        """
        own = [
            item
            for item in _key_parameters(self.path, self.of.table)
            if (item["name"], "path") not in stated
        ]
        shared = [
            self.of.components.shared("parameters", name)
            for name in (*DESCRIPTIONS[self.kind].parameters, *self._of_itself())
            if (PARAMETERS[name]["name"], PARAMETERS[name]["in"]) not in stated
        ]
        if DESCRIPTIONS[self.kind].filters and (filters.NAME, "query") not in stated:
            known = map(PARAMETERS.__getitem__, DESCRIPTIONS[self.kind].parameters)
            taken = {parameter["name"] for parameter in known if parameter["in"] == "query"}
            shared.append(filters.parameter(self._answered.table, self.of.components, taken))
        return own + shared

    @property
    def _answered(self) -> Described:
        """The table whose rows are answered."""
        if not DESCRIPTIONS[self.kind].of_related:
            return self.of
        assert self.of.other is not None
        return replace(self.of, table=self.of.other)

    def _of_itself(self) -> tuple[str, ...]:
        """The parameters of a many-to-many relationship of a table to itself."""
        other = self.of.other
        itself = other is not None and other.name == self.of.table.name
        return ("Reverse",) if itself and self.kind is not Kind.CHILDREN else ()

    def body(self) -> dict[str, Any]:
        """Its Request Body Object; empty where it takes none."""
        schema = DESCRIPTIONS[self.kind].body
        if schema is None:
            return {}
        return {"required": True, "content": {**_json(schema(self.of)), **self.forms()}}

    def forms(self) -> dict[str, Any]:
        """The media types of the body beside JSON."""
        return self._schemas(DESCRIPTIONS[self.kind].forms)

    def more(self) -> dict[str, Any]:
        """The media types of the answer beside JSON."""
        return self._schemas(DESCRIPTIONS[self.kind].more)

    def _schemas(self, schemas: Mapping[str, Schema]) -> dict[str, Any]:
        of = self._answered
        return {media_type: {"schema": make(of)} for media_type, make in schemas.items()}

    def answers(self) -> Mapping[str, Callable[[], dict[str, Any]]]:
        """Status → its Response Object."""
        told = DESCRIPTIONS[self.kind]
        return {status: partial(self._answer, status) for status in told.answers} | {
            STATUSES[name]: partial(self.of.components.shared, "responses", name)
            for name in (*told.refusals, "Refused")
        }

    def headers(self) -> dict[str, Any]:
        """What comes with an answer that is no refusal."""
        return {
            name: self.of.components.shared("headers", component)
            for name, component in DESCRIPTIONS[self.kind].headers.items()
        }

    def content(self, status: str) -> dict[str, Any]:
        """Media type → what an answer of that status holds."""
        return {**_json(DESCRIPTIONS[self.kind].answers[status][1](self._answered)), **self.more()}

    def _answer(self, status: str) -> dict[str, Any]:
        about, _ = DESCRIPTIONS[self.kind].answers[status]
        return {"description": about, "headers": self.headers(), "content": self.content(status)}

    def whole(self) -> dict[str, Any]:
        """The Operation Object, without its ``security``."""
        operation = self.naming()
        if parameters := self.parameters():
            operation["parameters"] = parameters
        if body := self.body():
            operation["requestBody"] = body
        operation["responses"] = {status: make() for status, make in self.answers().items()}
        return operation


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _key_parameters(path: str, table: DescribedTable) -> list[dict[str, Any]]:
    """The path's parameters: the fields of the primary key, in its order."""
    names = re.findall(r"\{([^{}/]+)\}", path)
    schemas = [rows.key_value(field) for field in table.key_fields]
    about = _WRITTEN
    if len(names) != len(schemas):
        schemas = [{"type": "string"}] * len(names)
        about = f"The values of {', '.join(table.key)}, with commas between them. {_WRITTEN}"
    return [
        {"name": name, "in": "path", "required": True, "schema": schema}
        | ({"description": about} if schema.get("type") == "string" else {})
        for name, schema in zip(names, schemas, strict=True)
    ]


#: How a key that is a text stands in a path.
_WRITTEN: Final = "`~`, `/` and `,` in a value are written `~7E`, `~2F` and `~2C`."

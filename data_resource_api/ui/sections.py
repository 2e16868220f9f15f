"""What the landing page tells of each table: relationships, operations, commands to copy."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from data_resource_api.compiler.data_resource import DataResource
from data_resource_api.compiler.openapi import KINDS, Kind, Operation
from data_resource_api.compiler.tables import ForeignKey, ResourceTable
from data_resource_api.json_text import pretty_json

#: What an operation does, where the OpenAPI document does not summarise it.
MEANINGS: Final[Mapping[Kind, str]] = {
    Kind.LIST: "List rows, a page at a time",
    Kind.CREATE: "Add a row",
    Kind.QUERY: "Find the rows that equal all given fields",
    Kind.READ: "One row",
    Kind.REPLACE: "Update a row, or add it under this id",
    Kind.MODIFY: "Change some fields of a row",
    Kind.DELETE: "Documented only: nothing is ever deleted, the answer is 405",
    Kind.RELATED: "The ids of what a row is related to",
    Kind.CHILDREN: "The rows that refer to a row",
    Kind.RELATE: "Relate a row to exactly these ids",
    Kind.ADD_RELATED: "Relate a row to these ids too",
}

#: The order in which a table's operations are shown.
_ORDER: Final = (*KINDS.values(), Kind.CHILDREN)


@dataclass(frozen=True, slots=True)
class TableSection:
    """One table as the landing page shows it.

    :ivar anchor: the ``id`` of the table's section.
    :ivar parents: foreign keys, each with the anchor of the table that it refers to.
    :ivar children: the foreign keys that refer to this table: (table, its anchor, key).
    :ivar related: many-to-many relationships: (table, its anchor).
    :ivar operations: the enabled ones, each with what it does.
    :ivar curl: a command that reads the table, and one that adds the document's own example.
    """

    table: ResourceTable
    anchor: str
    parents: tuple[tuple[ForeignKey, str], ...]
    children: tuple[tuple[str, str, ForeignKey], ...]
    related: tuple[tuple[str, str], ...]
    operations: tuple[tuple[Operation, str], ...]
    curl: tuple[str, ...]


#: What a command sends where a token is needed; the shell puts it in.
TOKEN_HEADER: Final = ' \\\n  -H "Authorization: Bearer $TOKEN"'


def sections_of(
    resource: DataResource, base_url: str, *, locked: bool = False
) -> Iterator[TableSection]:
    """Every table, in the document's order.

    :param locked: operations that are not public need a token, so the commands send one.
    """
    anchors = {name: _anchor(index, name) for index, name in enumerate(resource.tables)}
    for name, table in resource.tables.items():
        operations = sorted(
            (operation for operation in resource.operations if operation.table == name),
            key=lambda operation: (_ORDER.index(operation.kind), operation.path),
        )
        others = [
            pair.right if pair.left == name else pair.left
            for pair in resource.payload.pairs
            if name in (pair.left, pair.right)
        ]
        yield TableSection(
            table=table,
            anchor=anchors[name],
            parents=tuple((key, anchors[key.resource]) for key in table.foreign_keys),
            children=tuple(
                (child.name, anchors[child.name], key)
                for child in resource.tables.values()
                for key in child.foreign_keys
                if key.resource == name
            ),
            related=tuple((other, anchors[other]) for other in others),
            operations=tuple(
                (operation, _meaning(resource, operation)) for operation in operations
            ),
            curl=tuple(_curl(resource, operations, base_url, locked)),
        )


def _anchor(index: int, name: str) -> str:
    """An ``id`` without white space; a plain name keeps its readable one."""
    return f"table-{name}" if re.fullmatch(r"[\w-]+", name) else f"table.{index}"


def _meaning(resource: DataResource, operation: Operation) -> str:
    """The authors' own words where they have some, except for what is never done."""
    summary = _inside(resource.openapi, "paths", operation.path, operation.verb, "summary")
    if operation.kind is Kind.DELETE or not isinstance(summary, str) or not summary.strip():
        return MEANINGS[operation.kind]
    return summary


def _curl(
    resource: DataResource, operations: list[Operation], base_url: str, locked: bool
) -> Iterator[str]:
    def token(operation: Operation) -> str:
        return TOKEN_HEADER if locked and not operation.public else ""

    by_kind = {operation.kind: operation for operation in reversed(operations)}
    listing, create = by_kind.get(Kind.LIST), by_kind.get(Kind.CREATE)
    if listing is not None:
        yield f"curl {shlex.quote(_url(base_url, listing) + '?limit=5')}{token(listing)}"
    if create is not None:
        content = ("requestBody", "content", "application/json", "example")
        example = _inside(resource.openapi, "paths", create.path, create.verb, *content)
        if example is not None or listing is None:
            body = pretty_json({} if example is None else example).decode().rstrip()
            yield _with_body(_url(base_url, create), token(create), body)
    if listing is None and create is None and operations:
        first = operations[0]
        yield f"curl -X {first.verb.upper()} {shlex.quote(_url(base_url, first))}{token(first)}"


def _with_body(url: str, token: str, body: str) -> str:
    return (
        f"curl -X POST {shlex.quote(url)}{token} \\\n  -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(body)}"
    )


def _url(base_url: str, operation: Operation) -> str:
    steps = ("1" if step.startswith("{") else quote(step, safe="") for step in operation.segments)
    return base_url + "/".join(steps)


def _inside(value: object, *keys: str) -> object:
    """What is at this place of a document that nobody may have checked."""
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value

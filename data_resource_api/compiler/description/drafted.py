"""Drafts → one OpenAPI document, which can be embedded in a payload unchanged."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from data_resource_api.compiler.description.components import Components
from data_resource_api.compiler.description.operations import Described, OperationDescription
from data_resource_api.compiler.description.rows import DescribedTable
from data_resource_api.compiler.drafts import DraftTable
from data_resource_api.compiler.methods import Access, security_schemes
from data_resource_api.compiler.openapi import KINDS, Kind, Shape
from data_resource_api.compiler.security import BEARER

#: Characters that a path of the document may have as they are: letters and digits of any script.
_QUOTED: Final = re.compile(r"[^\w.~-]")

#: Names of fields that the parameters of a path can have too.
_PLAIN: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def draft_openapi(
    drafts: Collection[DraftTable], *, title: str = "Data resource", token_url: str | None = None
) -> dict[str, Any]:
    """An OpenAPI 3.0 document for these tables, which can be embedded in a payload unchanged.

    :param token_url: where clients get their tokens, for operations that need scopes.
    """
    tables = {draft.name: draft for draft in drafts}
    components = Components()
    paths: dict[str, dict[str, Any]] = {}
    asked: list[tuple[str, Access]] = []
    taken: set[str] = set()
    described = {draft.name: _described(draft) for draft in tables.values()}
    for path, verb, kind, table, other, access in _operations(tables):
        of = Described(described[table], described.get(other), components)
        operation = OperationDescription(kind, path, of).whole()
        if operation["operationId"] in taken:
            del operation["operationId"]
        taken.add(operation.get("operationId", ""))
        paths.setdefault(path, {})[verb] = operation | access.requirement()
        asked.append((f"{verb.upper()} {path}", access))
    return {
        "openapi": "3.0.3",
        "info": {"title": title, "version": "1.0.0"},
        "security": [{BEARER: []}],
        "paths": paths,
        "components": {
            "securitySchemes": security_schemes(asked, token_url),
            **components.document(),
        },
    }


def _operations(
    tables: Mapping[str, DraftTable],
) -> Iterator[tuple[str, str, Kind, str, str, Access]]:
    """(path, verb, kind, table, related table or nothing, what is asked of callers)."""
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
                yield _path(shape, draft, other), verb, kind, draft.name, other, access
        for child in tables.values():
            couple = (draft.name, child.name)
            if draft.name in child.parents and draft.has_item and couple not in pairs:
                own, other_access = (each.access(Kind.CHILDREN, "get") for each in (draft, child))
                if own is not None and other_access is not None:
                    path = _path(Shape.RELATED, draft, child.name)
                    yield path, "get", Kind.CHILDREN, *couple, own & other_access


def _path(shape: Shape, draft: DraftTable, other: str) -> str:
    path = shape.replace("{table}", _segment(draft.name))
    return path.replace("{id}", _key(draft.key)).replace("{related}", _segment(other))


def _key(names: tuple[str, ...]) -> str:
    """How a path writes the key: ``{id}``, or ``{isbn},{number}`` where it has several fields."""
    if len(names) == 1:
        return "{id}"
    parameters = [
        name if _PLAIN.fullmatch(name) else f"key{number}" for number, name in enumerate(names)
    ]
    return ",".join(f"{{{name}}}" for name in parameters)


def _described(draft: DraftTable) -> DescribedTable:
    return DescribedTable(draft.name, draft.description, draft.fields, draft.key)


def _segment(name: str) -> str:
    return _QUOTED.sub(lambda found: quote(found[0], safe=""), name)

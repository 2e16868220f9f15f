"""OpenAPI documents as clients get them, and what is looked for in them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

from openapi_spec_validator import validate

from data_resource_api import compile_data_resource
from data_resource_api.compiler.description.drafted import draft_openapi
from data_resource_api.compiler.drafts import read_draft
from data_resource_api.compiler.openapi import BATCH_PATH
from data_resource_api.json_text import write_json

NAME = {"name": "name", "type": "string", "constraints": {"required": True, "maxLength": 9}}


def served(document: Mapping[str, Any], *, locked: bool = False) -> dict[str, Any]:
    """The document as a client gets it, known to be valid OpenAPI 3.0, without the service's own part."""
    openapi = whole_document(document, locked=locked)
    del openapi["paths"][BATCH_PATH]
    for name in ("request", "operation", "answer"):
        del openapi["components"]["schemas"][f"Batch.{name}"]
    return openapi


def whole_document(document: Mapping[str, Any], *, locked: bool = False) -> dict[str, Any]:
    """The document as a client gets it, known to be valid OpenAPI 3.0."""
    before = copy.deepcopy(document)
    resource = compile_data_resource(document)
    openapi = json.loads(write_json(resource.locked_openapi if locked else resource.openapi))
    assert document == before
    validate(openapi)
    return dict(openapi)


def drafted(*drafts: Mapping[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        write_json(draft_openapi([read_draft(draft) for draft in drafts]))
    )
    validate(document)
    return document


def resolved(value: Any, document: Mapping[str, Any]) -> Any:
    """A value with its first ``$ref`` followed."""
    while isinstance(value, dict) and "$ref" in value:
        found: Any = document
        for step in value["$ref"].split("/")[1:]:
            found = found[step]
        value = found
    return value


def within(part: Any, whole: Any, place: str = "") -> Iterator[str]:
    """Where ``whole`` does not say what ``part`` says; a list may only have become longer."""
    if isinstance(part, dict) and isinstance(whole, dict):
        for name, item in part.items():
            if name not in whole:
                yield f"{place}/{name}"
            else:
                yield from within(item, whole[name], f"{place}/{name}")
    elif isinstance(part, list) and isinstance(whole, list) and place.endswith("/parameters"):
        if whole[: len(part)] != part:
            yield place
    elif part != whole:
        yield place


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for verb in ("get", "put", "post", "patch", "delete"):
            if verb in item:
                yield f"{verb} {path}", item[verb]

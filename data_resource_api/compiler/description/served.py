"""The document as clients get it: everything of the payload's, and what it leaves open.

What the payload states stays as it is, and wins: a parameter, a body, a status that it describes is not
described again, and a path or verb that it does not have is not added, but for the service's own batch.
Whatever hangs on a ``$ref`` is the payload's own too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from data_resource_api.compiler.description.batch import batch_operation
from data_resource_api.compiler.description.components import Components
from data_resource_api.compiler.description.operations import Described, OperationDescription
from data_resource_api.compiler.description.rows import DescribedTable
from data_resource_api.compiler.openapi import BATCH_PATH, Operation
from data_resource_api.compiler.openapi_rules import pointed_at
from data_resource_api.compiler.security import token_requirement
from data_resource_api.compiler.tables import ResourceTable

#: A payload that states one of these has said what a refusal is like.
_REFUSED: Final = ("default", "4XX")


def served_document(
    api: Mapping[str, Any],
    tables: Mapping[str, ResourceTable],
    operations: Collection[Operation],
    *,
    locked: bool = False,
) -> Mapping[str, Any]:
    """The document as clients get it, with this service as the server. ``api`` is not changed.

    :param operations: what of ``api`` is served.
    :param locked: operations that the document says nothing about need a token, so the document
        tells clients that: with a root ``security``, if it has none.
    """
    served = {**api, "servers": [{"url": "/"}]}
    if locked and "security" not in api:
        served |= token_requirement(api)
    stated = served.get("components", {})
    if not isinstance(stated, Mapping):
        return served  # a document that nobody has validated: there is no room for components
    components = Components(stated)
    described = {
        name: DescribedTable(name, table.entry.description, table.fields, table.key)
        for name, table in tables.items()
    }
    stated_paths = api.get("paths")
    paths = dict(stated_paths) if isinstance(stated_paths, Mapping) else {}
    taken = set(_operation_ids(paths))
    for item in operations:
        path_item = paths[item.path]
        stated_operation = path_item.get(item.verb)
        if "$ref" in path_item or not isinstance(stated_operation, Mapping):
            continue
        of = Described(described[item.table], described.get(item.related or ""), components)
        told = OperationDescription(item.kind, item.path, of)
        filled = _filled(stated_operation, told, _parameters(path_item, api), api, taken)
        paths[item.path] = {**path_item, item.verb: filled}
    if operations and BATCH_PATH not in paths:
        asked = (_security(paths[item.path].get(item.verb), served) for item in operations)
        batch = batch_operation(components, asked)
        if batch["operationId"] in taken:
            del batch["operationId"]
        paths[BATCH_PATH] = {"post": batch}
    filled_components = components.document()
    if filled_components:
        served["components"] = filled_components
    return served | {"paths": paths}


def _security(operation: object, served: Mapping[str, Any]) -> object:
    """What the document states that an operation asks for; ``None`` where it says nothing."""
    own = operation if isinstance(operation, Mapping) and "security" in operation else served
    return own.get("security")


def _operation_ids(paths: Mapping[str, Any]) -> Iterator[str]:
    for path_item in paths.values():
        for operation in path_item.values() if isinstance(path_item, Mapping) else ():
            if isinstance(operation, Mapping) and isinstance(operation.get("operationId"), str):
                yield operation["operationId"]


def _filled(
    operation: Mapping[str, Any],
    told: OperationDescription,
    shared: Collection[tuple[str, str]],
    api: Mapping[str, Any],
    taken: set[str],
) -> Mapping[str, Any]:
    """An operation of the payload's, with what is told of it where it states nothing itself.

    :param shared: name and place of the parameters that its path item states.
    :param taken: operation ids that the payload has used.
    """
    filled = dict(operation)
    for name, value in told.naming().items():
        if name == "operationId":
            if name in operation or value in taken:
                continue
            taken.add(value)
        if name == "summary" and "description" in operation:
            continue
        filled.setdefault(name, value)
    own = operation.get("parameters", [])
    if isinstance(own, list):
        more = told.parameters({*shared, *_parameters(operation, api)})
        if own or more:
            filled["parameters"] = [*own, *more]
    if "requestBody" in operation:
        filled["requestBody"] = _body(operation["requestBody"], told)
    elif body := told.body():
        filled["requestBody"] = body
    responses = operation.get("responses", {})
    if isinstance(responses, Mapping):
        filled["responses"] = _responses(responses, told)
    return filled


def _body(stated: object, told: OperationDescription) -> object:
    """A body that the payload states, which may also come in media types that it does not name."""
    content = stated.get("content") if isinstance(stated, Mapping) else None
    if not isinstance(stated, Mapping) or not isinstance(content, Mapping) or "$ref" in stated:
        return stated
    return {**stated, "content": {**content, **told.forms(), **content}}


def _responses(stated: Mapping[str, Any], told: OperationDescription) -> dict[str, Any]:
    """Every status that is answered, each as the payload has it where it has it."""
    filled = dict(stated)
    refusals = any(name in stated for name in _REFUSED)
    for status, make in told.answers().items():
        if status in stated:
            if status.startswith("2"):
                filled[status] = _answer(stated[status], status, told)
        elif f"{status[0]}XX" not in stated and not (refusals and status[0] in "4d"):
            filled[status] = make()
    return filled


def _answer(stated: object, status: str, told: OperationDescription) -> object:
    """An answer that the payload states, with the headers and the content that it does not."""
    if not isinstance(stated, Mapping) or "$ref" in stated:
        return stated
    headers = stated.get("headers", {})
    if isinstance(headers, Mapping):
        known = {name.lower() for name in headers}
        more = {name: item for name, item in told.headers().items() if name.lower() not in known}
        stated = {**stated, "headers": {**headers, **more}}
    content = stated.get("content", told.content(status))
    if not isinstance(content, Mapping):
        return stated
    return {**stated, "content": {**content, **told.more(), **content}}


def _parameters(holder: Mapping[str, Any], api: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Name and place (``query``, ``header`` …) of the parameters that a path item or operation states."""
    stated = holder.get("parameters")
    found = set()
    for parameter in stated if isinstance(stated, list) else ():
        reference = parameter.get("$ref") if isinstance(parameter, Mapping) else None
        if isinstance(reference, str):
            try:
                parameter = pointed_at(api, reference)
            except LookupError:
                continue
        if isinstance(parameter, Mapping):
            found.add((str(parameter.get("name")), str(parameter.get("in"))))
    return found

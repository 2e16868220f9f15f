"""The document of a batch → its operations, checked as far as nothing has to be asked."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from data_resource_api.compiler.description.batch import HEADERS, METHODS
from data_resource_api.compiler.faults import Faults, join, json_name, nearest, quote
from data_resource_api.errors import BadRequest
from data_resource_api.rest.batch.references import (
    NAME,
    NoReference,
    divided_path,
    path_references,
    read_reference,
    references_of,
)

_MEMBERS: Final = ("id", "method", "path", "headers", "body")

#: Names that are looked at for one fault; looking for a near one takes time.
_MOST_FAULTS: Final = 20

#: Stands for a key that a reference will give.
_SOME_KEY: Final = "{}"

_NOTHING: Final = object()


@dataclass(frozen=True, slots=True)
class Step:
    """One operation as the document has it.

    :ivar place: where it stands, ``operations[2]``.
    :ivar name: what references call it, or an empty string.
    :ivar segments: of the path, with references unresolved and nothing decoded.
    :ivar query: likewise.
    :ivar headers: by their names in lower case.
    :ivar body: with references unresolved.
    """

    place: str
    name: str
    method: str
    segments: tuple[str, ...]
    query: str
    has_body: bool
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def shape(self) -> str:
        """The decoded path, with something in the place of a key that a reference will give."""
        return "/".join(
            ("", *(_SOME_KEY if path_references(text) else unquote(text) for text in self.segments))
        )


def read_batch(document: object, *, most: int) -> list[Step]:
    """The operations of a batch, in their order.

    :raises BadRequest: naming everything that is wrong, with its place.
    """
    if not isinstance(document, dict):
        raise BadRequest(f"The body must be a JSON object, not {json_name(document)}.")
    faults = Faults()
    for name in sorted(document.keys() - {"operations"})[:_MOST_FAULTS]:
        faults.add(join("", name), f"is not known{nearest(name, ['operations']) or '.'}")
    stated = document.get("operations", _NOTHING)
    if not isinstance(stated, list):
        faults.add("operations", "must be a list of operations.")
        stated = []
    elif not stated:
        faults.add("operations", "must have at least one operation.")
    elif len(stated) > most:
        faults.add("operations", f"{len(stated)} are more than {most} (DRG_MAX_BATCH).")
        stated = []
    names: dict[str, None] = {}
    steps = []
    for index, item in enumerate(stated):
        step = _step(item, join("operations", index), names, faults)
        if step is not None:
            steps.append(step)
            names[step.name] = None
    if lines := faults.lines():
        raise BadRequest("The batch is wrong; nothing was done.", lines)
    return steps


def _step(item: object, place: str, names: dict[str, None], faults: Faults) -> Step | None:
    if not isinstance(item, dict):
        faults.add(place, f"must be an object, not {json_name(item)}.")
        return None
    for name in sorted(item.keys() - set(_MEMBERS))[:_MOST_FAULTS]:
        faults.add(join(place, name), f"is not known{nearest(name, _MEMBERS) or '.'}")
    method = item.get("method")
    if method not in METHODS:
        faults.add(join(place, "method"), f"must be one of {', '.join(METHODS)}.")
    segments, query = _path(item.get("path"), join(place, "path"), names, faults)
    for where, text in references_of(item.get("body"), join(place, "body")):
        _check_reference(text, where, names, faults)
    return Step(
        place=place,
        name=_name(item, join(place, "id"), names, faults),
        method=str(method),
        segments=segments,
        query=query,
        has_body="body" in item,
        body=item.get("body"),
        headers=_headers(item.get("headers", {}), join(place, "headers"), faults),
    )


def _name(item: Mapping[str, Any], place: str, names: dict[str, None], faults: Faults) -> str:
    name = item.get("id", "")
    if "id" in item and not (isinstance(name, str) and NAME.fullmatch(name)):
        faults.add(place, "must be a string of up to 64 letters, digits and . _ -")
        return ""
    if name and name in names:
        faults.add(place, f"{quote(name)} is the id of an operation before it.")
    return str(name)


def _path(
    path: object, place: str, names: dict[str, None], faults: Faults
) -> tuple[tuple[str, ...], str]:
    if not isinstance(path, str) or not path.startswith("/"):
        faults.add(place, "must be a string that begins with /.")
        return (), ""
    segments, query = divided_path(path)
    for index, segment in enumerate(segments):
        found = path_references(segment)
        if found and (index != 1 or segment != f"{{{found[0]}}}"):
            faults.add(place, "a reference in it can only be the whole key of a row.")
    for part in (*segments, query):
        for text in path_references(part):
            _check_reference(text, place, names, faults)
    return segments, query


def _headers(stated: object, place: str, faults: Faults) -> dict[str, str]:
    if not isinstance(stated, dict):
        faults.add(place, f"must be an object, not {json_name(stated)}.")
        return {}
    known = {name.lower() for name in HEADERS}
    headers = {}
    for name, value in itertools.islice(stated.items(), _MOST_FAULTS):
        if name.lower() not in known:
            takes = f"; it takes {', '.join(HEADERS)}."
            faults.add(
                join(place, name),
                f"is not a header of one operation{nearest(name, HEADERS) or takes}",
            )
        elif not isinstance(value, str):
            faults.add(join(place, name), f"must be a string, not {json_name(value)}.")
        else:
            headers[name.lower()] = value
    return headers


def _check_reference(text: object, place: str, names: dict[str, None], faults: Faults) -> None:
    """Note what is wrong with a reference before anything has been answered."""
    try:
        reference = read_reference(text)
    except NoReference as error:
        faults.add(place, f"{error} Data that looks like a reference is put into $literal.")
        return
    if reference.name not in names:
        faults.add(
            place,
            f"no operation before this one has the id {quote(reference.name)}"
            f"{nearest(reference.name, itertools.islice(reversed(names), _MOST_FAULTS)) or '.'}",
        )

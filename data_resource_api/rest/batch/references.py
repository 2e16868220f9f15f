"""References to what earlier operations of a batch have answered.

A reference is ``name#pointer``: the name that an earlier operation has in the batch, and a JSON Pointer
(RFC 6901) into the body of its answer. In a body it is an object whose only member is ``$ref``, as in JSON
Reference; in a path it stands in braces, which no URL can have. What only looks like a reference is put
into an object whose only member is ``$literal``, and is taken as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from data_resource_api.compiler.faults import join, json_name, quote

#: What an operation of a batch can be called.
NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")

_REFERENCE: Final = "$ref"
_LITERAL: Final = "$literal"
_TEXT: Final = re.compile(rf"(?P<name>{NAME.pattern})#(?P<pointer>(?:/[^/]*)*)")
_IN_PATH: Final = re.compile(r"\{([^{}]*)\}")
_PARTS: Final = re.compile(r"\{[^{}]*\}|[/?]|[^/?{]+|\{")
_NUMBER: Final = re.compile("0|[1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class Reference:
    """``name#pointer``."""

    name: str
    pointer: str

    def __str__(self) -> str:
        return f"{self.name}#{self.pointer}"


class NoReference(ValueError):
    """What stands where a reference must be is none."""


class Dangling(LookupError):
    """The answer that is referred to has nothing there."""


def read_reference(text: object) -> Reference:
    """A reference from its text.

    :raises NoReference: it is none.
    """
    if not isinstance(text, str):
        raise NoReference(f"must be a string such as p#/id, not {json_name(text)}.")
    found = _TEXT.fullmatch(text)
    if found is None:
        raise NoReference(
            f"{quote(text)} is no reference; one is the name of an operation, # and a JSON Pointer into "
            "its answer, such as p#/id."
        )
    return Reference(found["name"], found["pointer"])


def references_of(value: object, place: str) -> Iterator[tuple[str, object]]:
    """The text of every reference in a body, with its place."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from references_of(item, join(place, index))
    elif isinstance(value, dict):
        if value.keys() == {_REFERENCE}:
            yield join(place, _REFERENCE), value[_REFERENCE]
        elif value.keys() != {_LITERAL}:
            for name, item in value.items():
                yield from references_of(item, join(place, name))


def resolved(value: Any, answers: Mapping[str, Any]) -> Any:
    """A body with the values that its references mean.

    :param answers: name → what the operation has answered.
    :raises Dangling: one means nothing.
    """
    if isinstance(value, list):
        return [resolved(item, answers) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_REFERENCE}:
        return find(read_reference(value[_REFERENCE]), answers)
    if value.keys() == {_LITERAL}:
        return value[_LITERAL]
    return {name: resolved(item, answers) for name, item in value.items()}


def divided_path(text: str) -> tuple[tuple[str, ...], str]:
    """The segments of a path and its query string; what is within braces is never divided."""
    segments, query = [""], ""
    for found in _PARTS.finditer(text):
        part = found[0]
        if part == "?":
            query = text[found.end() :]
            break
        if part == "/":
            segments.append("")
        else:
            segments[-1] += part
    return tuple(segments[1:]), query


def path_references(text: str) -> list[str]:
    """The text of every reference in a path."""
    return _IN_PATH.findall(text)


def resolved_path(text: str, answers: Mapping[str, Any], write: Callable[[Any], str]) -> str:
    """A path with what its references mean.

    :param write: a value as it stands there.
    :raises Dangling: one means nothing.
    """
    return _IN_PATH.sub(lambda found: write(find(read_reference(found[1]), answers)), text)


def find(reference: Reference, answers: Mapping[str, Any]) -> Any:
    """What a reference means.

    :raises Dangling: nothing.
    """
    value = answers[reference.name]
    for step in reference.pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and _NUMBER.fullmatch(name) and int(name) < len(value):
            value = value[int(name)]
        else:
            raise Dangling(
                f"{reference} is nothing: the answer of {quote(reference.name)} has it not."
            )
    return value

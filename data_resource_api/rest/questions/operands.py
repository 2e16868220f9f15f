"""What a question compares, and how a client's text becomes a value to compare it with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from data_resource_api.compiler.faults import quote
from data_resource_api.compiler.fields import Field, FieldError
from data_resource_api.errors import BadRequest
from data_resource_api.json_text import read_json, write_json

Term = sa.ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class Operand:
    """What is compared.

    :ivar field: whose values these are; ``None`` for a place inside a JSON field.
    :ivar json: the values are JSONB.
    """

    column: Term
    field: Field | None
    json: bool

    def bind(self, text: str) -> Any:
        """A value to compare these with.

        :raises FieldError: the text is none.
        """
        if self.json:
            return json_text(text)
        if self.field is None:
            return storable(text)
        value = self.field.bind_any(text)
        return storable(value) if isinstance(value, str) else value

    @property
    def type(self) -> sa.types.TypeEngine[Any] | None:
        """What a value is cast to; ``None`` for text: an adopted database may have an enum there."""
        if self.json:
            return JSONB()
        if self.field is None:
            return sa.Text()
        return None if self.field.type.column is sa.Text else self.column.type

    @property
    def text(self) -> Term:
        """The operand as text."""
        return sa.cast(self.column, sa.Text)


def storable(text: str) -> str:
    """A text that PostgreSQL can hold.

    :raises FieldError: it cannot hold this one.
    """
    if "\0" in text:
        raise FieldError("holds the character U+0000, which no value has.")
    return text


def json_text(text: str) -> str:
    """A JSON text as it came, once it is known to be one.

    :raises FieldError: it is none.
    """
    try:
        read_json(text.encode())
    except BadRequest:
        raise FieldError(f"must be compared with JSON, not {quote(text)}.") from None
    return text


def array_literal(values: Sequence[Any]) -> str:
    """Bound values as an array of PostgreSQL's, whose type it infers from where it stands."""
    return "{" + ",".join(map(_array_element, values)) + "}"


def _array_element(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def array_elements(text: str) -> list[str]:
    """The elements of an array literal, ``{a,"b,c"}``.

    :raises FieldError: it is none.
    """
    from data_resource_api.rest.questions.reading import GrammarError, Reader

    fault = f"must be compared with an array like {{a,b}}, not {quote(text)}."
    if not (text.startswith("{") and text.endswith("}")):
        raise FieldError(fault)
    inner = text[1:-1]
    if not inner:
        return []
    reader = Reader(f"({inner})")
    try:
        elements = list(reader.values())
    except GrammarError:
        raise FieldError(fault) from None
    if not reader.at_end:
        raise FieldError(fault)
    return elements


def json_of(operand: Operand, text: str) -> str:
    """What a JSON operand contains, as JSON: also written as an array literal.

    :raises FieldError: the text is neither.
    """
    if text == "{}" and operand.field is not None and operand.field.type.name == "array":
        return "[]"
    try:
        return json_text(text)
    except FieldError:
        if not text.startswith("{"):
            raise
    return write_json([_element(element) for element in array_elements(text)]).decode()


def _element(text: str) -> Any:
    """An element of an array literal, which has no types: a number where it looks like one."""
    try:
        value = read_json(text.encode())
    except BadRequest:
        return storable(text)
    return text if isinstance(value, (dict, list)) else value

"""Primary keys as text in a URL: tilde encoding, so that what WSGI does to ``%2F`` cannot hurt.

In each of a key's values ``~``, ``/`` and ``,`` are written ``~7E``, ``~2F`` and ``~2C``; the values of
a key of several fields are joined by ``,`` in the order of ``primaryKey``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from data_resource_api.compiler.fields import Field, FieldError

_ESCAPE = str.maketrans({"~": "~7E", "/": "~2F", ",": "~2C"})
_UNESCAPE = {"~7E": "~", "~2F": "/", "~2C": ","}


def write_key(values: Sequence[Any]) -> str:
    """A key as PostgreSQL gave it, as text."""
    return ",".join(_text(value).translate(_ESCAPE) for value in values)


def read_key(fields: Sequence[Field], text: str) -> list[Any]:
    """The values of a key's columns.

    :raises FieldError: the text cannot be a key of this table.
    """
    if len(fields) == 1:
        return [field_value(fields[0], _plain(text))]
    parts = text.split(",")
    if len(parts) != len(fields):
        raise FieldError(f"must have {len(fields)} values, joined by commas.")
    return [field_value(field, _plain(part)) for field, part in zip(fields, parts, strict=True)]


def read_values(fields: Sequence[Field], value: object) -> list[Any]:
    """The values of a key's columns, of the key in JSON: a value, or a list for several columns.

    :raises FieldError: it cannot be a key of this table.
    """
    if len(fields) == 1:
        return [field_value(fields[0], value)]
    if not isinstance(value, list) or len(value) != len(fields):
        names = ", ".join(field.name for field in fields)
        raise FieldError(f"must be a list of {len(fields)} values: {names}.")
    return [field_value(field, part) for field, part in zip(fields, value, strict=True)]


def key_texts(fields: Sequence[Field], text: str) -> list[str]:
    """The values of a key as text, each as a question compares it."""
    parts = text.split(",") if len(fields) > 1 else [text]
    return [_plain(part) for part in parts]


def field_value(field: Field, value: object) -> Any:
    """One value of a key, bound.

    :raises FieldError: no row can have it.
    """
    if isinstance(value, str) and "\0" in value:
        raise FieldError("holds the character U+0000.")
    if value is None:
        raise FieldError("must not be null.")
    return field.bind_any(value)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(text: str) -> str:
    if "~" not in text:
        return text
    return re.sub("~(7E|2F|2C)", lambda found: _UNESCAPE[found.group()], text)

"""Native value ↔ text, per Table Schema type: what is encrypted of a protected field, and read back.

The text is the one that PostgreSQL would give for an unprotected column, so a protected value is shown
in the same way, digit for digit. What the original encrypted is read leniently: Python's ``str`` and
``repr`` (``Decimal('1.10')``, ``True``, ``{'a': 1}``), dates with a ``T``. What cannot be read as the type
stays text.

To add a type, add a row to ``PLAIN_TEXTS``.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

import orjson

from data_resource_api.compiler.field_types import FIELD_TYPES
from data_resource_api.compiler.moments import in_utc, parse_date, parse_datetime, parse_time
from data_resource_api.errors import BadRequest
from data_resource_api.json_text import read_json


def _same(value: Any) -> Any:
    return value


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


def _number_text(value: int | Decimal) -> str:
    """As NUMERIC writes it: no exponent, no sign before zero."""
    number = Decimal(value)
    if number.is_zero():
        exponent = number.as_tuple().exponent
        assert isinstance(exponent, int)
        number = Decimal((0, (0,), min(exponent, 0)))
    return format(number, "f")


def _equal_number_text(value: int | Decimal) -> str:
    """One text for all numbers that are equal: 1.10 and 1.1."""
    text = _number_text(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _json_writer(number: Callable[[int | Decimal], str]) -> Callable[[Any], str]:
    """As JSONB writes it: keys by length and bytes, a space after commas and colons."""

    def write(value: Any) -> str:
        if isinstance(value, dict):
            keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
            return "{" + ", ".join(f"{write(key)}: {write(value[key])}" for key in keys) + "}"
        if isinstance(value, (list, tuple)):
            return "[" + ", ".join(map(write, value)) + "]"
        if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
            return number(value)
        return json.dumps(value, ensure_ascii=False)

    return write


def _time_text(value: time | datetime) -> str:
    text = value.isoformat(sep=" ") if isinstance(value, datetime) else value.isoformat()
    return text.rstrip("0") if "." in text else text


def _datetime_text(value: datetime) -> str:
    return _time_text(in_utc(value))


# ── reading ──────────────────────────────────────────────────────────────────────────────────────

_DECIMAL_REPR: Final = re.compile(r"Decimal\('([^']*)'\)")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")


def _load_number(text: str) -> Decimal:
    match = _DECIMAL_REPR.fullmatch(text)
    number = match[1] if match else text
    if not _NUMBER.fullmatch(number):
        raise ValueError("not a number")
    return Decimal(number)


def _load_integer(text: str) -> int:
    number = _load_number(text)
    if number != number.to_integral_value():
        raise ValueError("not a whole number")
    return int(number)


_WORDS: Final = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def _load_boolean(text: str) -> bool:
    word = text.lower()
    if word not in _WORDS:
        raise ValueError("neither true nor false")
    return _WORDS[word]


def _load_json(text: str) -> Any:
    try:
        return read_json(text.encode())
    except BadRequest:
        pass
    try:
        return _literal(ast.parse(text, mode="eval").body, text)
    except (SyntaxError, RecursionError, MemoryError, ArithmeticError):
        raise ValueError("neither JSON nor a Python literal") from None


def _literal(node: ast.expr, source: str) -> Any:
    """What Python's ``repr`` of a JSON value stands for, numbers digit for digit."""
    match node:
        case ast.Dict(keys, values):
            pairs = zip(keys, values, strict=True)
            return {_key(key): _literal(value, source) for key, value in pairs}
        case ast.List(items) | ast.Tuple(items):
            return [_literal(item, source) for item in items]
        case ast.Constant(float()):
            return Decimal(ast.get_source_segment(source, node) or "")
        case ast.Constant(None | bool() | int() | str() as value):
            return value
        case ast.UnaryOp(ast.USub(), operand):
            return -_literal(operand, source)
        case ast.Call(ast.Name("Decimal"), [ast.Constant(str(digits))]):
            return _load_number(digits)
        case _:
            raise ValueError("not a literal of a JSON value")


def _key(node: ast.expr | None) -> str:
    match node:
        case ast.Constant(str(key)):
            return key
        case _:
            raise ValueError("not a key of a JSON object")


def _load_date(text: str) -> date:
    return parse_date(text) if len(text) <= 10 else parse_datetime(text).date()


def _load_time(text: str) -> time:
    return parse_time(text.removesuffix("+00:00"))


# ── the table ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class PlainText:
    """How the values of one type are written as text and read again.

    :ivar dump: native value → PostgreSQL's text of it.
    :ivar load: text → native value.
    :ivar equal: native value → a text that all equal values have, and no other.
    :ivar canonical: matches texts that need not be loaded to be shown.
    """

    dump: Callable[[Any], str] = _same
    load: Callable[[str], Any] = _same
    equal: Callable[[Any], str] = _same
    canonical: re.Pattern[str] | None = None


_TEXT: Final = PlainText()
_INTEGER: Final = PlainText(str, _load_integer, str)
_JSON: Final = PlainText(_json_writer(_number_text), _load_json, _json_writer(_equal_number_text))

PLAIN_TEXTS: Final[Mapping[str, PlainText]] = {
    **dict.fromkeys(("string", "any", "geopoint", "duration", "yearmonth"), _TEXT),
    **dict.fromkeys(("integer", "year"), _INTEGER),
    "number": PlainText(
        _number_text,
        _load_number,
        _equal_number_text,
        re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?"),
    ),
    "boolean": PlainText(
        lambda value: "true" if value else "false",
        _load_boolean,
        lambda value: "true" if value else "false",
    ),
    **dict.fromkeys(("object", "array", "geojson"), _JSON),
    "date": PlainText(date.isoformat, _load_date, date.isoformat),
    "time": PlainText(_time_text, _load_time, _time_text),
    "datetime": PlainText(_datetime_text, parse_datetime, _datetime_text),
}


def load(type_name: str, text: str) -> Any:
    """A plain text as the native value of its type, or as it is where it cannot be read as one."""
    try:
        return PLAIN_TEXTS[type_name].load(text)
    except (ValueError, OverflowError):
        return text


def show(type_name: str, text: str) -> object:
    """A plain text as orjson writes it: what an unprotected column would show."""
    row, shown = PLAIN_TEXTS[type_name], FIELD_TYPES[type_name].show
    if row.load is _same:
        return text
    if row.canonical is not None and row.canonical.fullmatch(text):
        return orjson.Fragment(text)
    try:
        native = row.load(text)
    except (ValueError, OverflowError):
        return text
    if shown is not None:
        return shown(row.dump(native))
    return row.dump(native) if isinstance(native, date) else native

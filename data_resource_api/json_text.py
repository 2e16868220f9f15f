"""JSON as text: read and written digit for digit.

Reading never goes through a binary float (``1.10`` stays ``Decimal("1.10")``), refuses what is not
JSON (NaN, Infinity) and what PostgreSQL cannot hold (NUL, lone surrogates). Writing is orjson's;
decimals and integers beyond 64 bits leave as the digits that came in. RFC 8259.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from data_resource_api.errors import BadRequest

#: Nesting allowed in any document; deeper ones are an attack or an accident. ``DRG_MAX_NESTING`` may
#: say less for bodies. orjson writes 254 levels at most.
MAX_DEPTH = 200

_INT64 = range(-(2**63), 2**63)
_ESCAPE_TO_CHECK = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_OPENERS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def read_json(body: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Parse a JSON text (UTF-8).

    :param max_depth: the most levels of arrays and objects in each other.
    :returns: dict, list, str, int, Decimal, bool or None. Integers beyond 64 bits are Decimals.
    :raises BadRequest: it is not JSON, is nested deeper than ``max_depth`` or holds a character
        that cannot be stored.
    """
    try:
        text = body.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not UTF-8: byte {error.start} cannot be read.") from None
    if _is_deeper(text, max_depth):
        raise BadRequest(f"The body is nested deeper than {max_depth} levels (DRG_MAX_NESTING).")
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise BadRequest(
            f"The body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        ) from None
    if _ESCAPE_TO_CHECK.search(text):
        _refuse_unstorable(value)
    return value


def write_json(value: object) -> bytes:
    """Serialise to compact JSON; see the module's docstring for numbers."""
    return orjson.dumps(value, default=_number_text)


def pretty_json(value: object) -> bytes:
    """Serialise to indented JSON with a final newline, for files that people read."""
    return orjson.dumps(
        value, default=_number_text, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    )


def digest(value: object) -> str:
    """SHA-256 (hex) of the value, whatever its white space and the order of its keys."""
    text = orjson.dumps(value, default=_number_text, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()


def _number_text(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError(f"{type(value).__name__} is not JSON")


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise BadRequest(f"The number {text[:40]} is too large.") from None


def _integer(text: str) -> int | Decimal:
    if len(text) <= 20 and (number := int(text)) in _INT64:
        return number
    return Decimal(text)


def _refuse_constant(name: str) -> None:
    raise BadRequest(f"The body is not JSON: {name} is not a JSON value.")


#: json.loads would make one for each text.
_DECODER = json.JSONDecoder(
    parse_float=_decimal, parse_int=_integer, parse_constant=_refuse_constant
)


def _is_deeper(text: str, most: int) -> bool:
    if text.count("[") + text.count("{") <= most:
        return False
    depth = 0
    for match in _OPENERS.finditer(text):
        token = match.group()
        if token in "[{":
            depth += 1
            if depth > most:
                return True
        elif token in "]}":
            depth -= 1
    return False


def _refuse_unstorable(value: object) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise BadRequest("The body holds the character U+0000, which cannot be stored.")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise BadRequest("The body holds half of a surrogate pair, which is not a character.")
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_unstorable(key)
            _refuse_unstorable(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_unstorable(item)

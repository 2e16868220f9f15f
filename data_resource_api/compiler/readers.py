"""JSON value → native value, for every Table Schema type but dates and times (see ``compiler.moments``).

Table Schema v1 <https://specs.frictionlessdata.io/table-schema/>.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from data_resource_api.compiler.faults import json_name, quote
from data_resource_api.errors import BadRequest
from data_resource_api.json_text import read_json, write_json

#: What a field's descriptor is: the JSON object in ``tableSchema.fields``.
Descriptor = Mapping[str, Any]
Reader = Callable[[object], Any]

INTEGER_RANGE: Final = range(-(2**31), 2**31)
BIGINT_RANGE: Final = range(-(2**63), 2**63)
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,40}")


class FieldError(ValueError):
    """A value is not one of the field; the message is for the client and starts in lower case."""


def read_text(value: object) -> str:
    """A string, or a refusal."""
    if not isinstance(value, str):
        raise FieldError(f"must be a string, not {json_name(value)}.")
    return value


def string_reader(descriptor: Descriptor) -> Reader:
    """Strings, of the stated ``format``."""
    form = descriptor.get("format", "default")
    if form == "default":
        return read_text
    if form == "binary":
        return _read_base64

    def read(value: object) -> str:
        from tableschema import types
        from tableschema.config import ERROR

        text = read_text(value)
        if types.cast_string(form, text) is ERROR:
            raise FieldError(f"{quote(text)} is not {STRING_FORMATS[form]}.")
        return text

    return read


STRING_FORMATS: Final = {
    "email": "an e-mail address",
    "uri": "a URI",
    "uuid": "a UUID",
    "binary": "base64 text",
}


def _read_base64(value: object) -> str:
    text = read_text(value)
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise FieldError("must be base64 text.") from None
    return text


def any_reader(_: Descriptor) -> Reader:
    """Strings as they are, every other value as its JSON text."""
    return lambda value: value if isinstance(value, str) else write_json(value).decode()


def integer_reader(descriptor: Descriptor) -> Reader:
    """Whole numbers that the column can hold."""
    bounds = integer_range(descriptor)

    def read(value: object) -> int:
        number = _integer(value, descriptor)
        if number not in bounds:
            raise FieldError(f"must be between {bounds.start} and {bounds.stop - 1}.")
        return number

    return read


def integer_range(descriptor: Descriptor) -> range:
    """The integers that the field's column can hold: 64 bits where its constraints need them."""
    constraints = descriptor.get("constraints") or {}
    for name in ("minimum", "maximum"):
        try:
            wide = _integer(constraints.get(name, 0), {}) not in INTEGER_RANGE
        except FieldError:
            continue
        if wide:
            return BIGINT_RANGE
    return INTEGER_RANGE


def _integer(value: object, descriptor: Descriptor) -> int:
    if isinstance(value, str):
        text = value.strip()
        if descriptor.get("bareNumber") is False:
            text = re.sub(r"(^[^\d+-]*)|(\D*$)", "", text)
        if not _WHOLE.fullmatch(text):
            raise FieldError(f"must be a whole number, not {quote(value)}.")
        return int(text)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, Decimal) and value.adjusted() < 40 and value == value.to_integral_value():
        return int(value)
    shown = json_name(value) if not isinstance(value, Decimal) else quote(value)
    raise FieldError(f"must be a whole number, not {shown}.")


def read_year(value: object) -> int:
    """A year of four digits."""
    year = _integer(value, {})
    if not 0 <= year <= 9999 or (isinstance(value, str) and not re.fullmatch("[0-9]{4}", value)):
        raise FieldError("must be a year of four digits.")
    return year


_NUMBER_TEXT: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,6})?")


def number_reader(descriptor: Descriptor) -> Reader:
    """Numbers, digit for digit; ``decimalChar``, ``groupChar`` and ``bareNumber`` are honoured."""
    decimal_char = descriptor.get("decimalChar", ".")
    group_char = descriptor.get("groupChar", "")
    bare = descriptor.get("bareNumber", True)

    def read(value: object) -> int | Decimal:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str):
            text = value.strip()
            if group_char:
                text = text.replace(group_char, "")
            if decimal_char != ".":
                text = text.replace(decimal_char, ".")
            if not bare:
                text = re.sub(r"(^[^\d+.-]*)|(\D*$)", "", text)
            if not _NUMBER_TEXT.fullmatch(text):
                raise FieldError(f"must be a number, not {quote(value)}.")
            value = Decimal(text)
        if isinstance(value, float) and math.isfinite(value):
            # Of a document that somebody's own code parsed; requests never hold floats.
            value = Decimal(repr(value))
        if not isinstance(value, Decimal):
            raise FieldError(f"must be a number, not {json_name(value)}.")
        # What NUMERIC holds: 131,072 digits before the point, 16,383 after it.
        exponent = value.as_tuple().exponent
        if not isinstance(exponent, int) or value.adjusted() >= 131_072 or exponent < -16_383:
            raise FieldError("has more digits than PostgreSQL's numeric can hold.")
        _refuse_wide(value)
        return value

    return read


#: Zeros that an exponent may stand for; a few bytes must not become megabytes in every answer.
_MOST_ZEROS: Final = 1_000


def _refuse_wide(value: Decimal) -> None:
    _, digits, exponent = value.as_tuple()
    if (
        isinstance(exponent, int)
        and not -_MOST_ZEROS <= exponent + len(digits) * (exponent < 0) <= _MOST_ZEROS
    ):
        raise FieldError(f"holds {value}, which is too long a number when it is written out.")


def _refuse_wide_numbers(value: object) -> None:
    """The same for every number inside a JSON value."""
    if isinstance(value, Decimal):
        _refuse_wide(value)
    elif isinstance(value, dict):
        for item in value.values():
            _refuse_wide_numbers(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_wide_numbers(item)


def boolean_reader(descriptor: Descriptor) -> Reader:
    """``true``, ``false``, or the words that stand for them."""
    words = dict.fromkeys(descriptor.get("trueValues", ("true", "True", "TRUE", "1")), True)
    words |= dict.fromkeys(descriptor.get("falseValues", ("false", "False", "FALSE", "0")), False)

    def read(value: object) -> bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value in words:
            return words[value]
        shown = quote(value) if isinstance(value, str) else json_name(value)
        raise FieldError(f"must be true or false, not {shown}.")

    return read


def _json_text(value: object) -> object:
    """A string is Table Schema's text form of an object, an array or GeoJSON."""
    if isinstance(value, str):
        try:
            return read_json(value.encode())
        except BadRequest:
            return value
    return value


def object_reader(_: Descriptor) -> Reader:
    """JSON objects, and strings kept as they are."""

    def read(value: object) -> object:
        if not isinstance(value, (dict, str)):
            raise FieldError(f"must be an object, not {json_name(value)}.")
        _refuse_wide_numbers(value)
        return value

    return read


def array_reader(_: Descriptor) -> Reader:
    """JSON arrays, or their text."""

    def read(value: object) -> list[Any]:
        parsed = _json_text(value)
        if not isinstance(parsed, list):
            raise FieldError(f"must be a list, not {json_name(value)}.")
        _refuse_wide_numbers(parsed)
        return parsed

    return read


def geojson_reader(descriptor: Descriptor) -> Reader:
    """GeoJSON (RFC 7946) or TopoJSON objects, or their text."""
    form = descriptor.get("format", "default")

    def read(value: object) -> object:
        from tableschema import types
        from tableschema.config import ERROR

        parsed = _json_text(value)
        if not isinstance(parsed, dict) or types.cast_geojson(form, parsed) is ERROR:
            raise FieldError("must be a GeoJSON object (RFC 7946).")
        _refuse_wide_numbers(parsed)
        return parsed

    return read


def geopoint_reader(descriptor: Descriptor) -> Reader:
    """A longitude and a latitude, in one of the three forms."""
    form = descriptor.get("format", "default")
    like = {"default": '"90.50, 45.50"', "array": "[90.50, 45.50]"}.get(
        form, '{"lon": 90.50, "lat": 45.50}'
    )

    def read(value: object) -> str:
        text = value
        if form != "default" and isinstance(value, (dict, list)):
            text = write_json(value).decode()
        point = text
        if isinstance(text, str) and form != "default":
            parsed = _json_text(text)
            if form == "array" and isinstance(parsed, list) and len(parsed) == 2:
                point = parsed
            elif form == "object" and isinstance(parsed, dict) and set(parsed) == {"lon", "lat"}:
                point = [parsed["lon"], parsed["lat"]]
            if isinstance(point, list):
                point = ",".join(str(item) for item in point)
        pair = point.split(",") if isinstance(point, str) else []
        if (
            not isinstance(text, str)
            or len(pair) != 2
            or not all(_NUMBER_TEXT.fullmatch(part.strip()) for part in pair)
            or abs(Decimal(pair[0].strip())) > 180
            or abs(Decimal(pair[1].strip())) > 90
        ):
            raise FieldError(f"must be a point, longitude and latitude in degrees, like {like}.")
        return text

    return read


def duration_reader(_: Descriptor) -> Reader:
    """ISO 8601 durations."""

    def read(value: object) -> str:
        from tableschema import types
        from tableschema.config import ERROR

        text = read_text(value)
        if types.cast_duration("default", text) is ERROR:
            raise FieldError(f"must be an ISO 8601 duration like P1Y2M, not {quote(text)}.")
        return text

    return read


def read_yearmonth(value: object) -> str:
    """A year and a month."""
    text = read_text(value)
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text):
        raise FieldError(f"must be a year and a month like 2012-04, not {quote(text)}.")
    return text

"""Field ↔ JSON: what comes in, what goes out, per Table Schema type.

A field reads a JSON value into a *native* value (``str``, ``int``, ``Decimal``, ``bool``, ``date``,
``time``, naive UTC ``datetime``, or parsed JSON), on which its constraints are checked, and binds
that to a statement. What PostgreSQL answers is shown as JSON again; columns that are not plain JSON
values arrive as PostgreSQL's text (see ``database.engine``), and leave digit for digit.

Table Schema v1 <https://specs.frictionlessdata.io/table-schema/>; RFC 3339 for dates and times.
To add a type, add a row to ``FIELD_TYPES``; to add a constraint, one to ``CONSTRAINTS``.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

import orjson

from data_resource_api.compiler.faults import json_name, nearest, quote
from data_resource_api.compiler.patterns import compile_pattern
from data_resource_api.errors import BadRequest
from data_resource_api.json_text import read_json, write_json

#: What a field's descriptor is: the JSON object in ``tableSchema.fields``.
Descriptor = Mapping[str, Any]
Reader = Callable[[object], Any]

INTEGER_RANGE: Final = range(-(2**31), 2**31)
BIGINT_RANGE: Final = range(-(2**63), 2**63)


class FieldError(ValueError):
    """A value is not one of the field; the message is for the client and starts in lower case."""


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise FieldError(f"must be a string, not {json_name(value)}.")
    return value


def _string_reader(descriptor: Descriptor) -> Reader:
    form = descriptor.get("format", "default")
    if form == "default":
        return _text
    if form == "binary":
        return _read_base64

    def read(value: object) -> str:
        from tableschema import types
        from tableschema.config import ERROR

        text = _text(value)
        if types.cast_string(form, text) is ERROR:
            raise FieldError(f"{quote(text)} is not {_FORMAT_NAMES[form]}.")
        return text

    return read


_FORMAT_NAMES: Final = {
    "email": "an e-mail address",
    "uri": "a URI",
    "uuid": "a UUID",
    "binary": "base64 text",
}


def _read_base64(value: object) -> str:
    text = _text(value)
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise FieldError("must be base64 text.") from None
    return text


def _any_reader(_: Descriptor) -> Reader:
    return lambda value: value if isinstance(value, str) else write_json(value).decode()


def _integer_reader(descriptor: Descriptor) -> Reader:
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
        if not re.fullmatch(r"[+-]?[0-9]{1,40}", text):
            raise FieldError(f"must be a whole number, not {quote(value)}.")
        return int(text)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, Decimal) and value.adjusted() < 40 and value == value.to_integral_value():
        return int(value)
    shown = json_name(value) if not isinstance(value, Decimal) else quote(value)
    raise FieldError(f"must be a whole number, not {shown}.")


def _read_year(value: object) -> int:
    year = _integer(value, {})
    if not 0 <= year <= 9999 or (isinstance(value, str) and not re.fullmatch("[0-9]{4}", value)):
        raise FieldError("must be a year of four digits.")
    return year


_NUMBER_TEXT: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,6})?")


def _number_reader(descriptor: Descriptor) -> Reader:
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


def _boolean_reader(descriptor: Descriptor) -> Reader:
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


def _object_reader(_: Descriptor) -> Reader:
    def read(value: object) -> object:
        if not isinstance(value, (dict, str)):
            raise FieldError(f"must be an object, not {json_name(value)}.")
        _refuse_wide_numbers(value)
        return value

    return read


def _array_reader(_: Descriptor) -> Reader:
    def read(value: object) -> list[Any]:
        parsed = _json_text(value)
        if not isinstance(parsed, list):
            raise FieldError(f"must be a list, not {json_name(value)}.")
        _refuse_wide_numbers(parsed)
        return parsed

    return read


def _geojson_reader(descriptor: Descriptor) -> Reader:
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


def _geopoint_reader(descriptor: Descriptor) -> Reader:
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


def _duration_reader(_: Descriptor) -> Reader:
    def read(value: object) -> str:
        from tableschema import types
        from tableschema.config import ERROR

        text = _text(value)
        if types.cast_duration("default", text) is ERROR:
            raise FieldError(f"must be an ISO 8601 duration like P1Y2M, not {quote(text)}.")
        return text

    return read


def _read_yearmonth(value: object) -> str:
    text = _text(value)
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text):
        raise FieldError(f"must be a year and a month like 2012-04, not {quote(text)}.")
    return text


_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIME: Final = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?[zZ]?")
_DATETIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?)"
    r"([zZ]|[+-][0-9]{2}:[0-9]{2})?"
)


def _parse_date(text: str) -> date:
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError(text)
    year, month, day = map(int, match.groups())
    return date(year, month, day)


def _parse_time(text: str) -> time:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(text)
    *clock, fraction = match.groups()
    hour, minute, second = map(int, clock)
    if fraction and len(fraction) > 6:
        raise FieldError("has a fraction of more than 6 digits.")
    return time(hour, minute, second, int((fraction or "0").ljust(6, "0")))


def _parse_datetime(text: str) -> datetime:
    match = _DATETIME.fullmatch(text)
    if match is None:
        raise ValueError(text)
    day, clock, offset = match.groups()
    moment = datetime.combine(_parse_date(day), _parse_time(clock))
    if offset in (None, "z", "Z"):
        return moment
    hours, minutes = int(offset[1:3]), int(offset[4:6])
    if hours > 23 or minutes > 59:
        raise ValueError(text)
    ahead = timedelta(hours=hours, minutes=minutes)
    return moment - ahead if offset[0] == "+" else moment + ahead


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


@dataclass(frozen=True, slots=True)
class _Moment:
    """How one of the three date and time types is read."""

    what: str
    like: str
    parse: Callable[[str], Any]
    narrow: Callable[[datetime], Any]
    #: Written by a ``format`` and read as RFC 3339, this must not become another moment.
    canary: datetime = datetime(2001, 2, 3, 4, 5, 6)  # noqa: DTZ001

    def reader(self, descriptor: Descriptor) -> Reader:
        form = str(descriptor.get("format", "default")).removeprefix("fmt:")

        def read(value: object) -> Any:
            text = _text(value)
            try:
                return self.parse(text)
            except FieldError:
                raise
            except (ValueError, OverflowError):
                pass
            if form != "default":
                try:
                    return self.narrow(_in_utc(_parse_format(text, form)))
                except (ValueError, OverflowError, TypeError):
                    pass
            raise FieldError(f"must be {self.what} like {self.like}, not {quote(text)}.")

        return read

    def check_format(self, descriptor: Descriptor) -> None:
        """Refuse a ``format`` that RFC 3339 text also fits, with another meaning."""
        form = str(descriptor.get("format", "default")).removeprefix("fmt:")
        if form in ("default", "any"):
            return
        if "%" not in form:
            raise FieldError(f'format {quote(form)} is not known; use "default", "any" or %-codes.')
        try:
            text = self.canary.strftime(form)
            formatted = self.narrow(_in_utc(datetime.strptime(text, form)))  # noqa: DTZ007
        except ValueError as error:
            raise FieldError(f"format {quote(form)} cannot be read: {error}.") from None
        try:
            plain = self.parse(text)
        except ValueError:
            return
        if plain != formatted:
            raise FieldError(
                f"format {quote(form)} looks like RFC 3339 and means another moment; "
                "leave it out, or use one that cannot be mistaken."
            )


def _parse_format(text: str, form: str) -> datetime:
    if form == "any":
        from dateutil import parser

        try:
            moment: datetime = parser.parse(text, default=datetime(1, 1, 1))  # noqa: DTZ001
        except parser.ParserError as error:
            raise ValueError(str(error)) from None
        return moment
    return datetime.strptime(text, form)  # noqa: DTZ007


_DATE_TYPE: Final = _Moment("a date", "2012-04-23", _parse_date, datetime.date)
_TIME_TYPE: Final = _Moment("a time", "18:25:43Z", _parse_time, datetime.time)
_DATETIME_TYPE: Final = _Moment(
    "a date and time", "2012-04-23T18:25:43Z", _parse_datetime, lambda moment: moment
)

# ── binding and showing ──────────────────────────────────────────────────────────────────────────


def _as_is(value: Any) -> Any:
    return value


def _bind_json(value: object) -> str:
    return write_json(value).decode()


def _bind_datetime(value: datetime) -> str:
    return value.isoformat(sep=" ")


def _show_number(text: str) -> object:
    # NaN and Infinity are NUMERIC values of somebody else's; JSON has no number for them.
    return orjson.Fragment(text) if text[-1].isdigit() else text


def _show_json(text: str) -> object:
    return orjson.Fragment(text)


def _show_time(text: str) -> str:
    return f"{text}Z"


def _show_datetime(text: str) -> str:
    # "infinity" and BC dates are not RFC 3339 and stay PostgreSQL's text.
    return f"{text[:10]}T{text[11:]}Z" if text[10:11] == " " and text[-1].isdigit() else text


# ── the table of types ───────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class FieldType:
    """One Table Schema type.

    :ivar reader: a descriptor gives a function from a JSON value to the native value.
    :ivar bind: native value → what psycopg2 is handed.
    :ivar show: what psycopg2 hands back → what orjson writes; ``None`` where they are the same.
    :ivar openapi: how an OpenAPI 3.0 document describes it.
    :ivar ordered: ``minimum`` and ``maximum`` apply.
    :ivar sized: ``minLength`` and ``maxLength`` apply.
    :ivar formats: the values of ``format``; ``None`` where strptime codes are allowed too.
    :ivar check: refuses a descriptor that the reader could not honour.
    """

    name: str
    reader: Callable[[Descriptor], Reader]
    openapi: Mapping[str, Any]
    bind: Callable[[Any], Any] = _as_is
    show: Callable[[Any], object] | None = None
    ordered: bool = False
    sized: bool = False
    formats: tuple[str, ...] | None = ("default",)
    check: Callable[[Descriptor], None] | None = None


def _plain(read: Reader) -> Callable[[Descriptor], Reader]:
    return lambda descriptor: read


def _moment(name: str, moment: _Moment, openapi: Mapping[str, Any], **how: Any) -> FieldType:
    return FieldType(
        name, moment.reader, openapi, ordered=True, formats=None, check=moment.check_format, **how
    )


_STRING: Final = {"type": "string"}

FIELD_TYPES: Final[Mapping[str, FieldType]] = {
    row.name: row
    for row in (
        FieldType(
            "string", _string_reader, _STRING, sized=True, formats=("default", *_FORMAT_NAMES)
        ),
        FieldType("any", _any_reader, {}),
        FieldType("integer", _integer_reader, {"type": "integer"}, ordered=True),
        FieldType(
            "year",
            _plain(_read_year),
            {"type": "integer", "minimum": 0, "maximum": 9999},
            ordered=True,
        ),
        FieldType("number", _number_reader, {"type": "number"}, show=_show_number, ordered=True),
        FieldType("boolean", _boolean_reader, {"type": "boolean"}),
        FieldType("object", _object_reader, {"type": "object"}, _bind_json, _show_json, sized=True),
        FieldType(
            "array",
            _array_reader,
            {"type": "array", "items": {}},
            _bind_json,
            _show_json,
            sized=True,
        ),
        FieldType(
            "geojson",
            _geojson_reader,
            {"type": "object"},
            _bind_json,
            _show_json,
            formats=("default", "topojson"),
        ),
        FieldType("geopoint", _geopoint_reader, _STRING, formats=("default", "array", "object")),
        FieldType("duration", _duration_reader, _STRING),
        FieldType(
            "yearmonth",
            _plain(_read_yearmonth),
            {"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$"},
            ordered=True,
        ),
        _moment("date", _DATE_TYPE, {"type": "string", "format": "date"}, bind=date.isoformat),
        _moment("time", _TIME_TYPE, _STRING, bind=time.isoformat, show=_show_time),
        _moment(
            "datetime",
            _DATETIME_TYPE,
            {"type": "string", "format": "date-time"},
            bind=_bind_datetime,
            show=_show_datetime,
        ),
    )
}

# ── constraints ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint of one field, on the native value.

    :ivar name: its name in Table Schema.
    :ivar value: its value, native (``minimum`` of a date is a ``date``).
    :ivar holds: native value → whether it holds.
    :ivar message: what the client is told.
    """

    name: str
    value: Any
    holds: Callable[[Any], bool]
    message: str


def _sized(value: Any) -> bool:
    return isinstance(value, (str, list, dict))


def _length(value: Any, field: FieldType, _: Reader) -> int:
    if not field.sized:
        raise FieldError(f"does not apply to {field.name}; it is for string, array and object.")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise FieldError(f"must be a whole number from 0 on, not {quote(value)}.")
    return value


def _bound(value: Any, field: FieldType, read: Reader) -> Any:
    if not field.ordered:
        raise FieldError(f"does not apply to {field.name}, which has no order.")
    return read(value)


def _pattern(value: Any, field: FieldType, _: Reader) -> str:
    if field.name not in ("string", "any"):
        raise FieldError(f"does not apply to {field.name}; it is for string.")
    if not isinstance(value, str):
        raise FieldError(f"must be a string, not {json_name(value)}.")
    if "\0" in value:
        raise FieldError("holds the character U+0000, which PostgreSQL cannot store.")
    try:
        compile_pattern(value)
    except ValueError as error:
        raise FieldError(
            f"{quote(value)} cannot be used: {error}. Patterns are RE2 (no look-around and no "
            "back-references), so that they run in linear time."
        ) from None
    return value


def _enum(value: Any, field: FieldType, read: Reader) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise FieldError("must be a list of at least one value.")
    return [read(item) for item in value]


@dataclass(frozen=True, slots=True)
class ConstraintType:
    """How a constraint is read from a descriptor and checked.

    :ivar read: (its JSON value, the field's type, the field's reader) → its native value.
    :ivar holds: its native value → the check.
    :ivar message: says what a value must be; ``{}`` is the constraint's JSON value.
    """

    read: Callable[[Any, FieldType, Reader], Any]
    holds: Callable[[Any], Callable[[Any], bool]]
    message: str


def _full_match(pattern: str) -> Callable[[Any], bool]:
    compiled = compile_pattern(pattern)
    return lambda text: compiled.fullmatch(text) is not None


CONSTRAINTS: Final[Mapping[str, ConstraintType]] = {
    "minLength": ConstraintType(
        _length,
        lambda least: lambda value: not _sized(value) or len(value) >= least,
        "must have a length of at least {}.",
    ),
    "maxLength": ConstraintType(
        _length,
        lambda most: lambda value: not _sized(value) or len(value) <= most,
        "must have a length of at most {}.",
    ),
    "minimum": ConstraintType(
        _bound, lambda least: lambda value: value >= least, "must be at least {}."
    ),
    "maximum": ConstraintType(
        _bound, lambda most: lambda value: value <= most, "must be at most {}."
    ),
    "pattern": ConstraintType(_pattern, _full_match, "must match the pattern {}."),
    "enum": ConstraintType(
        _enum, lambda choices: lambda value: value in choices, "must be one of {}."
    ),
}


# ── the field ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a table, ready to read and show values.

    :ivar required: ``null`` is refused; a missing value too when a row is created.
    :ivar generated: PostgreSQL makes a value when none is given (an integer primary key).
    """

    name: str
    type: FieldType
    descriptor: Descriptor
    required: bool
    unique: bool
    generated: bool
    constraints: tuple[Constraint, ...]
    reader: Reader

    @property
    def protected(self) -> bool:
        """Whether the column is encrypted."""
        return self.descriptor.get("protected") is True

    def read(self, value: object) -> Any:
        """A JSON value as the native value, constraints checked.

        :raises FieldError: the value is not one of this field.
        """
        if value is None:
            if self.required:
                raise FieldError("must not be null.")
            return None
        native = self.reader(value)
        for constraint in self.constraints:
            if not constraint.holds(native):
                raise FieldError(constraint.message)
        return native

    def bind(self, value: object) -> Any:
        """A JSON value as what is handed to psycopg2."""
        native = self.read(value)
        return None if native is None else self.type.bind(native)

    def bind_any(self, value: object) -> Any:
        """As :meth:`bind`, without the constraints: for a value that is looked for."""
        return None if value is None else self.type.bind(self.reader(value))


def compile_field(
    descriptor: Descriptor, *, in_key: bool, generated: bool, fault: Callable[[str, str], None]
) -> Field | None:
    """Compile a descriptor whose ``name`` is known to be a string.

    :param fault: called with the place inside the descriptor and what is wrong there.
    :returns: ``None`` when the type is not known.
    """
    name = descriptor["name"]
    type_name = descriptor.get("type", "string")
    if not isinstance(type_name, str) or type_name not in FIELD_TYPES:
        fault(
            "type",
            f"{quote(type_name)} is not a Table Schema type"
            f"{nearest(type_name, FIELD_TYPES) or '.'}",
        )
        return None
    type_ = FIELD_TYPES[type_name]
    stated = descriptor.get("constraints") or {}
    if not isinstance(stated, Mapping):
        fault("constraints", f"must be an object, not {json_name(stated)}.")
        stated = {}
    form = descriptor.get("format", "default")
    if not isinstance(form, str):
        fault("format", f"must be a string, not {json_name(form)}.")
        return None
    if type_.formats is not None and form not in type_.formats:
        known = ", ".join(type_.formats)
        fault(
            "format",
            f"{quote(form)} is not a format of {type_.name}"
            f"{nearest(form, type_.formats) or f'; it has {known}.'}",
        )
        return None
    if type_.check is not None:
        try:
            type_.check(descriptor)
        except FieldError as error:
            fault("format", str(error))
    try:
        reader = type_.reader(descriptor)
    except (TypeError, ValueError, AttributeError):
        fault("", "cannot be read; check its format and options.")
        return None
    constraints = []
    for constraint_name, rule in CONSTRAINTS.items():
        if constraint_name not in stated:
            continue
        stated_value = stated[constraint_name]
        try:
            native = rule.read(stated_value, type_, reader)
        except FieldError as error:
            fault(f"constraints.{constraint_name}", str(error))
            continue
        message = rule.message.format(_shown(stated_value))
        constraints.append(Constraint(constraint_name, native, rule.holds(native), message))
    return Field(
        name=name,
        type=type_,
        descriptor=descriptor,
        required=(stated.get("required") is True or in_key) and not generated,
        unique=stated.get("unique") is True,
        generated=generated,
        constraints=tuple(constraints),
        reader=reader,
    )


def _shown(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_shown(item) for item in value)
    return value if isinstance(value, str) else write_json(value).decode()


__all__ = [
    "CONSTRAINTS",
    "FIELD_TYPES",
    "Constraint",
    "Field",
    "FieldError",
    "FieldType",
    "compile_field",
    "integer_range",
]

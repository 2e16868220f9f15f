"""The table of Table Schema types: how a value of each comes in, is bound, and is shown again.

To add a type, add a row to ``FIELD_TYPES``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Final

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from data_resource_api.compiler.moments import DATE, DATETIME, TIME, Moment
from data_resource_api.compiler.readers import (
    STRING_FORMATS,
    Descriptor,
    Reader,
    any_reader,
    array_reader,
    boolean_reader,
    duration_reader,
    geojson_reader,
    geopoint_reader,
    integer_reader,
    number_reader,
    object_reader,
    read_year,
    read_yearmonth,
    string_reader,
)
from data_resource_api.json_text import write_json

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
    :ivar column: what PostgreSQL stores it as; the same as tableschema-sql has it, which takes 9 MiB
        and a tenth of a second to load, so that a test compares them.
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
    column: type[sa.types.TypeEngine[Any]] = sa.Text
    bind: Callable[[Any], Any] = _as_is
    show: Callable[[Any], object] | None = None
    ordered: bool = False
    sized: bool = False
    formats: tuple[str, ...] | None = ("default",)
    check: Callable[[Descriptor], None] | None = None


def _plain(read: Reader) -> Callable[[Descriptor], Reader]:
    return lambda descriptor: read


def _moment(
    name: str,
    moment: Moment,
    openapi: Mapping[str, Any],
    column: type[sa.types.TypeEngine[Any]],
    **how: Any,
) -> FieldType:
    return FieldType(
        name,
        moment.reader,
        openapi,
        column,
        ordered=True,
        formats=None,
        check=moment.check_format,
        **how,
    )


_STRING: Final = {"type": "string"}

FIELD_TYPES: Final[Mapping[str, FieldType]] = {
    row.name: row
    for row in (
        FieldType(
            "string", string_reader, _STRING, sized=True, formats=("default", *STRING_FORMATS)
        ),
        FieldType("any", any_reader, {}),
        FieldType("integer", integer_reader, {"type": "integer"}, sa.Integer, ordered=True),
        FieldType(
            "year",
            _plain(read_year),
            {"type": "integer", "minimum": 0, "maximum": 9999},
            sa.Integer,
            ordered=True,
        ),
        FieldType(
            "number", number_reader, {"type": "number"}, sa.Numeric, show=_show_number, ordered=True
        ),
        FieldType("boolean", boolean_reader, {"type": "boolean"}, sa.Boolean),
        FieldType(
            "object", object_reader, {"type": "object"}, JSONB, _bind_json, _show_json, sized=True
        ),
        FieldType(
            "array",
            array_reader,
            {"type": "array", "items": {}},
            JSONB,
            _bind_json,
            _show_json,
            sized=True,
        ),
        FieldType(
            "geojson",
            geojson_reader,
            {"type": "object"},
            JSONB,
            _bind_json,
            _show_json,
            formats=("default", "topojson"),
        ),
        FieldType("geopoint", geopoint_reader, _STRING, formats=("default", "array", "object")),
        FieldType("duration", duration_reader, _STRING),
        FieldType(
            "yearmonth",
            _plain(read_yearmonth),
            {"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$"},
            ordered=True,
        ),
        _moment("date", DATE, {"type": "string", "format": "date"}, sa.Date, bind=date.isoformat),
        _moment("time", TIME, _STRING, sa.Time, bind=time.isoformat, show=_show_time),
        _moment(
            "datetime",
            DATETIME,
            {"type": "string", "format": "date-time"},
            sa.DateTime,
            bind=_bind_datetime,
            show=_show_datetime,
        ),
    )
}

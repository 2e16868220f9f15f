"""Dates and times: RFC 3339, and the ``format`` of a field. An offset is converted to UTC."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from data_resource_api.compiler.faults import quote
from data_resource_api.compiler.readers import Descriptor, FieldError, Reader, read_text

_DATE_TEXT: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIME_TEXT: Final = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?[zZ]?")
_DATETIME_TEXT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?)"
    r"([zZ]|[+-][0-9]{2}:[0-9]{2})?"
)


def parse_date(text: str) -> date:
    """An RFC 3339 full-date."""
    match = _DATE_TEXT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    year, month, day = map(int, match.groups())
    return date(year, month, day)


def parse_time(text: str) -> time:
    """An RFC 3339 time in UTC: ``Z`` or nothing after it."""
    match = _TIME_TEXT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    *clock, fraction = match.groups()
    hour, minute, second = map(int, clock)
    if fraction and len(fraction) > 6:
        raise FieldError("has a fraction of more than 6 digits.")
    return time(hour, minute, second, int((fraction or "0").ljust(6, "0")))


def parse_datetime(text: str) -> datetime:
    """An RFC 3339 date-time, in UTC."""
    match = _DATETIME_TEXT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    day, clock, offset = match.groups()
    moment = datetime.combine(parse_date(day), parse_time(clock))
    if offset in (None, "z", "Z"):
        return moment
    hours, minutes = int(offset[1:3]), int(offset[4:6])
    if hours > 23 or minutes > 59:
        raise ValueError(text)
    ahead = timedelta(hours=hours, minutes=minutes)
    return moment - ahead if offset[0] == "+" else moment + ahead


def in_utc(moment: datetime) -> datetime:
    """A moment without its offset, converted to UTC."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


@dataclass(frozen=True, slots=True)
class Moment:
    """How one of the three date and time types is read.

    :ivar parse: RFC 3339 text → native value; :ivar narrow: a moment → native value.
    """

    what: str
    like: str
    parse: Callable[[str], Any]
    narrow: Callable[[datetime], Any]
    #: Written by a ``format`` and read as RFC 3339, this must not become another moment.
    canary: datetime = datetime(2001, 2, 3, 4, 5, 6)  # noqa: DTZ001

    def reader(self, descriptor: Descriptor) -> Reader:
        """JSON value → native value, by RFC 3339 and then by the field's ``format``."""
        form = str(descriptor.get("format", "default")).removeprefix("fmt:")

        def read(value: object) -> Any:
            text = read_text(value)
            try:
                return self.parse(text)
            except FieldError:
                raise
            except (ValueError, OverflowError):
                pass
            if form != "default":
                try:
                    return self.narrow(in_utc(_parse_format(text, form)))
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
            formatted = self.narrow(in_utc(datetime.strptime(text, form)))  # noqa: DTZ007
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


DATE: Final = Moment("a date", "2012-04-23", parse_date, datetime.date)
TIME: Final = Moment("a time", "18:25:43Z", parse_time, datetime.time)
DATETIME: Final = Moment(
    "a date and time", "2012-04-23T18:25:43Z", parse_datetime, lambda moment: moment
)

"""Rows as CSV (RFC 4180), each value in its field's lexical form of Table Schema.

PostgreSQL writes as much of a line as it can: a value that needs nothing of Python costs nothing in Python.
Texts are always in double quotes and nothing else is where it need not be, so that ``""`` is an empty text
and an empty cell is ``null``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Final

import orjson

from data_resource_api.compiler.fields import Field

LINE_END: Final = "\r\n"

#: Arguments that one call of concat takes (PostgreSQL's functions take a hundred).
_MOST_ARGUMENTS: Final = 90

#: What stands for a value in SQL → SQL of its cell.
Cell = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class OutColumn:
    """A column of an answer.

    :ivar field: whose values these are; ``None`` where they are JSON, as PostgreSQL's text.
    """

    name: str
    field: Field | None


class CsvLines:
    """How rows of these columns become lines.

    :param absent: what is written for ``null``.
    """

    def __init__(self, columns: Sequence[OutColumn], absent: str) -> None:
        self.header = ",".join(quoted(column.name) for column in columns) + LINE_END
        # A line of nothing would be no line.
        if len(columns) == 1 and not absent:
            absent = '""'
        self._absent = absent
        #: SQL of what is selected, and what Python makes of it, ``None`` where nothing.
        self._pieces = self._cut(columns)

    @property
    def shown_by_postgresql(self) -> bool:
        """Whether Python has nothing to do but to join the lines."""
        return len(self._pieces) == 1 and self._pieces[0][1] is None

    def _cut(self, columns: Sequence[OutColumn]) -> list[tuple[str, Callable[[Any], str] | None]]:
        """A line as few pieces: what PostgreSQL can write in one, and a value for Python alone."""
        pieces: list[tuple[str, Callable[[Any], str] | None]] = []
        parts: list[str] = []
        for index, column in enumerate(columns):
            if index:
                parts.append("','")
            show = None if column.field is None else _shown_by_python(column.field)
            if show is None:
                cell = _cell(column.field)(f"c{index}")
                parts.append(f"coalesce({cell}, {literal(self._absent)})" if self._absent else cell)
                continue
            if parts:
                pieces.append((_concatenated(parts), None))
                parts = []
            pieces.append((f"c{index}", show))
        pieces.append((_concatenated([*parts, "chr(13)", "chr(10)"]), None))
        return pieces

    def sql(self, rows: str, width: int) -> str:
        """SQL of the lines' pieces.

        :param rows: SQL of the rows, in ``pyformat`` style.
        :param width: how many columns they have.
        """
        names = ", ".join(f"c{index}" for index in range(width))
        pieces = ", ".join(piece for piece, _ in self._pieces)
        return f'SELECT {pieces} FROM ({rows}) AS "rows//" ({names})'  # noqa: S608 (compiled SQL)

    def text(self, rows: Sequence[Sequence[Any]]) -> bytes:
        """What PostgreSQL answered to ``sql`` as lines.

        :raises EncryptionFailure: a protected value cannot be decrypted.
        """
        if self.shown_by_postgresql:
            return "".join([row[0] for row in rows]).encode()
        absent = self._absent
        shows = [show for _, show in self._pieces]
        return "".join(
            [
                value if show is None else absent if value is None else show(value)
                for row in rows
                for show, value in zip(shows, row, strict=True)
            ]
        ).encode()


def quoted(text: str) -> str:
    """A text as a cell, in quotes where the text needs them."""
    if text and not any(character in text for character in '",\r\n') and text == text.strip():
        return text
    return in_quotes(text)


def in_quotes(text: str) -> str:
    """A text as a cell, in quotes."""
    return f'"{text.replace(chr(34), chr(34) * 2)}"'


def literal(text: str) -> str:
    """A text as SQL, in ``pyformat`` style."""
    return "'" + text.replace("'", "''").replace("%", "%%") + "'"


def _concatenated(parts: Sequence[str]) -> str:
    while len(parts) > _MOST_ARGUMENTS:
        parts = [
            f"concat({', '.join(parts[first : first + _MOST_ARGUMENTS])})"
            for first in range(0, len(parts), _MOST_ARGUMENTS)
        ]
    return f"concat({', '.join(parts)})"


# ── cells that PostgreSQL writes ─────────────────────────────────────────────────────────────────


def _text(value: str) -> str:
    return f"""'"' || replace({value}::text, '"', '""') || '"'"""


def _plain(value: str) -> str:
    return f"{value}::text"


def _year(value: str) -> str:
    return f"lpad({value}::text, 4, '0')"


def _datetime(value: str) -> str:
    # "infinity" and BC dates are somebody else's, and stay PostgreSQL's text.
    ours = f"isfinite({value}) AND {value} >= '0001-01-01'"
    return f"CASE WHEN {ours} THEN replace({value}::text, ' ', 'T') || 'Z' ELSE {value}::text END"


def _cell(field: Field | None) -> Cell:
    if field is None:
        return _text
    match field.type.name:
        case "boolean":
            true, false = (literal(word) for word in boolean_words(field))
            return lambda value: f"CASE WHEN {value} THEN {true} WHEN NOT {value} THEN {false} END"
        case "number":
            mark = field.descriptor.get("decimalChar", ".")
            if mark != ".":
                number = f"replace({{0}}::text, '.', {literal(mark)})"
                return lambda value: _text(number.format(value))
        case name if name in _CELLS:
            return _CELLS[name]
    return _plain


_CELLS: Final[dict[str, Cell]] = {
    **dict.fromkeys(
        ("string", "any", "geopoint", "duration", "yearmonth", "object", "array", "geojson"), _text
    ),
    "year": _year,
    "datetime": _datetime,
}


def boolean_words(field: Field) -> tuple[str, str]:
    """The cells of true and false, by the descriptor's words."""
    words = []
    for option, usual in (("trueValues", "true"), ("falseValues", "false")):
        stated = field.descriptor.get(option) or [usual]
        words.append(quoted(usual if usual in stated else str(stated[0])))
    return words[0], words[1]


# ── cells that Python writes ─────────────────────────────────────────────────────────────────────


def _shown_by_python(field: Field) -> Callable[[Any], str] | None:
    """How Python writes a value that is not null; ``None`` where PostgreSQL can."""
    write = _writer(field)
    if field.protection is not None:
        show = field.protection.show
        return lambda stored: write(show(stored))
    return write if _moment_format(field) else None


def _moment_format(field: Field) -> str | None:
    form = str(field.descriptor.get("format", "default")).removeprefix("fmt:")
    return form if field.type.name in _MOMENTS and "%" in form else None


_MOMENTS: Final[dict[str, Callable[[str], Any]]] = {
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "datetime": datetime.fromisoformat,
}


def _writer(field: Field) -> Callable[[Any], str]:
    """How a value that is shown is written."""
    form = _moment_format(field)
    if form is not None:
        parse = _MOMENTS[field.type.name]
        return lambda shown: _formatted(shown, parse, form)
    match field.type.name:
        case "boolean":
            words = boolean_words(field)
            return lambda shown: words[0] if shown is True else words[1]
        case "number":
            mark = field.descriptor.get("decimalChar", ".")
            if mark != ".":
                return lambda shown: in_quotes(_plain_text(shown).replace(".", mark))
            return _plain_text
        case "integer":
            return str
        case "year":
            return lambda shown: str(shown).zfill(4)
        case "time":
            return lambda shown: str(shown).removesuffix("Z")
        case "date" | "datetime":
            return str
    return lambda shown: in_quotes(_plain_text(shown))


def _plain_text(shown: object) -> str:
    return shown if isinstance(shown, str) else orjson.dumps(shown).decode()


def _formatted(shown: str, parse: Callable[[str], Any], form: str) -> str:
    try:
        moment = parse(shown.removesuffix("Z"))
    except ValueError:  # infinity, BC: somebody else's
        return quoted(shown)
    # The C library writes the year 5 as "5", which nothing reads as a year again.
    year = getattr(moment, "year", 1900)
    return quoted(moment.strftime(form.replace("%Y", f"{year:04}")))

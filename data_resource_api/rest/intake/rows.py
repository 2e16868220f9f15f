"""Rows that a client sends: each checked and bound, and every fault told with its row.

COPY reads a :class:`RowSource` as it reads a file: rows are checked as they are asked for. Nothing is kept
but a count, the first faults, and which sets of fields there were.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from data_resource_api.compiler.faults import json_name, nearest
from data_resource_api.compiler.fields import Field, FieldError
from data_resource_api.compiler.tables import ResourceTable
from data_resource_api.errors import BadRequest, DrgError, Unavailable
from data_resource_api.rest.intake.copy_text import NULL, copy_array, copy_text

#: Faults that an answer names; of the others it says how many there are.
MOST_FAULTS: Final = 100

#: Characters of COPY text that are handed on at a time.
_CHUNK: Final = 2**18

#: Different sets of fields that the rows of one request may have.
_MOST_SHAPES: Final = 256


def bind_row(table: ResourceTable, body: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The given fields, bound, in the table's order; and what is wrong, one line per field."""
    bound: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for name, field in table.fields.items():
        if name not in body or (field.generated and body[name] is None):
            continue
        try:
            bound[name] = field.bind(body[name])
        except FieldError as error:
            faults[name] = f"{name}: {error}"
    for field in table.searchable_fields:
        if field.name in bound and field.protection is not None:
            bound[field.protection.index_column] = field.index(body[field.name])
    lines = [*faults.values()]
    lines += [
        f"{name}: is not a field of {table.name}{nearest(name, table.fields) or '.'}"
        for name in body
        if name not in table.fields
    ]
    return bound, lines


def missing(table: ResourceTable, given: Iterable[str]) -> list[str]:
    """What is wrong with a new row of which these fields are given, one line per field."""
    names = frozenset(given)
    return [
        f"{name}: is required."
        for name, field in table.fields.items()
        if field.required and name not in names
    ]


def older_column(field: Field) -> str:
    """What the indexes of a value under older keys are called among a row's columns."""
    assert field.protection is not None
    return f"{field.protection.index_column}//older"


class RowFaults:
    """What is wrong with which row: the first faults, and how many there are."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.count = 0

    def add(self, row: int, fault: str) -> None:
        """Note a fault; ``row`` counts from 1."""
        self.count += 1
        if len(self.shown) < MOST_FAULTS:
            self.shown.append(f"row {row}: {fault}")

    def lines(self) -> list[str]:
        """One line per fault, and a last one where there are more."""
        more = self.count - len(self.shown)
        return [*self.shown, f"and {more} more."] if more else self.shown


class RowSource(ABC):
    """Rows on their way into a table, read as a file of COPY text is read.

    :ivar columns: what each row of the text holds, after its number and its set of fields.
    :ivar count: how many rows there were.
    :ivar shapes: the sets of fields that rows had → their numbers, in the order they came.
    :ivar faults: what is wrong, once everything is read.
    """

    columns: tuple[str, ...]

    def __init__(self) -> None:
        self.count = 0
        self.shapes: dict[tuple[str, ...], int] = {}
        self.faults = RowFaults()
        self._failure: DrgError | None = None
        self._texts: Iterator[bytes] | None = None
        self._seconds = 0
        self._deadline = float("inf")

    @abstractmethod
    def chunks(self) -> Iterator[bytes]:
        """The rows' text, checked; none after a fault.

        :raises DrgError: the rest cannot be read.
        """

    def limit(self, seconds: int) -> None:
        """Give up after this time: PostgreSQL ends no statement that waits for its client."""
        self._seconds, self._deadline = seconds, time.monotonic() + seconds

    def read(self, _: int = -1) -> bytes:
        """The next chunk, nothing at the end.

        What is raised here, PostgreSQL would write into its log: it waits for :meth:`check`.
        """
        if self._texts is None:
            self._texts = self.chunks()
        try:
            if time.monotonic() > self._deadline:
                raise too_slow(self._seconds)
            return next(self._texts, b"")
        except DrgError as failure:
            self._failure = failure
            return b""

    def readline(self, _: int = -1) -> bytes:
        """As ``read``; psycopg2 asks for the method, and does not use it."""
        return self.read()

    def check(self) -> None:
        """See that everything could be read and is right.

        :raises DrgError: with every fault.
        """
        if self._failure is not None:
            raise self._failure
        if self.faults.count:
            raise BadRequest("Nothing was added: not every row is valid.", self.faults.lines())
        if not self.count:
            raise BadRequest("There are no rows to add.")

    def shape(self, names: tuple[str, ...]) -> int:
        """The number of a set of fields.

        :raises BadRequest: there are too many different ones.
        """
        number = self.shapes.get(names)
        if number is None:
            if len(self.shapes) >= _MOST_SHAPES:
                raise BadRequest(
                    f"The rows have more than {_MOST_SHAPES} different sets of fields; send those that "
                    "have the same fields together."
                )
            number = self.shapes[names] = len(self.shapes)
        return number


def too_slow(seconds: int) -> Unavailable:
    """The refusal of rows that take too long."""
    return Unavailable(f"The rows took longer than {seconds} seconds (DRG_IMPORT_TIMEOUT).")


class ObjectSource(RowSource):
    """Rows that are JSON objects, each with fields of its own.

    :param older: unique fields whose blind index may be under a key other than the first.
    :param partial: rows may leave required fields out, for they may be there already.
    """

    def __init__(
        self, table: ResourceTable, rows: Iterable[Any], older: Sequence[Field], *, partial: bool
    ) -> None:
        super().__init__()
        self._table = table
        self._rows = rows
        self._older = older
        self._partial = partial
        self.columns = staged_columns(table, older)

    def chunks(self) -> Iterator[bytes]:
        """The rows' text."""
        lines: list[str] = []
        size = 0
        for row in self._rows:
            self.count += 1
            line = self._line(row)
            if line is None:
                continue
            lines.append(line)
            size += len(line)
            if size > _CHUNK:
                yield "".join(lines).encode()
                lines.clear()
                size = 0
        yield "".join(lines).encode()

    def _line(self, row: Any) -> str | None:
        number, table = self.count, self._table
        if isinstance(row, Unreadable):
            self.faults.add(number, row.fault)
            return None
        if not isinstance(row, dict):
            self.faults.add(number, f"must be a JSON object, not {json_name(row)}.")
            return None
        bound, faults = bind_row(table, row)
        if not self._partial:
            faults += missing(table, row)
        for fault in faults:
            self.faults.add(number, fault)
        if self.faults.count:
            return None
        texts = {name: copy_text(value) for name, value in bound.items()}
        for field in self._older:
            if row.get(field.name) is not None:
                texts[older_column(field)] = copy_array(field.indexes(row[field.name])[1:])
        cells = [texts.get(name, NULL) for name in self.columns]
        return "\t".join((str(number), str(self.shape(tuple(bound))), *cells)) + "\n"


class Unreadable:
    """Stands for a row that is not even JSON."""

    def __init__(self, fault: str) -> None:
        self.fault = fault


def staged_columns(table: ResourceTable, older: Sequence[Field]) -> tuple[str, ...]:
    """Every column that a row on its way into a table can have."""
    indexes = [
        str(field.protection.index_column)
        for field in table.searchable_fields
        if field.protection is not None
    ]
    return (*map(str, table.fields), *indexes, *map(older_column, older))

"""Rows of a CSV, checked against the Table Schema on their way into a table."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import Any, Final

from data_resource_api.compiler.faults import nearest
from data_resource_api.compiler.fields import Field, FieldError
from data_resource_api.compiler.tables import ResourceTable
from data_resource_api.errors import BadRequest
from data_resource_api.rest.intake.csv_columns import CsvColumn, columns_of
from data_resource_api.rest.intake.rows import RowSource, missing
from data_resource_api.rest.intake.streams import BodyStream, text_lines

#: Rows, and bytes of the body, that are checked together.
_BATCH: Final = 2_000
_BATCH_BYTES: Final = 2**19


class CsvSource(RowSource):
    """The rows of a CSV; its first line names their fields.

    :param max_field: characters of one value.
    :param partial: required fields may be left out, for the rows may be there already.
    :raises BadRequest: the header is wrong.
    """

    def __init__(
        self,
        table: ResourceTable,
        stream: BodyStream,
        older: Sequence[Field],
        *,
        max_field: int,
        partial: bool,
    ) -> None:
        super().__init__()
        self._stream = stream
        # The csv module has one limit for everybody; here is who uses it.
        csv.field_size_limit(max_field)
        self._rows = csv.reader(text_lines(stream), strict=True)
        header = self._header(table, partial)
        self._width = len(header)
        self._columns = columns_of(table, header, older)
        self.columns = tuple(column.name for column in self._columns)
        older_columns = {name for name in self.columns if name.endswith("//older")}
        self._shape = self.shape(tuple(n for n in self.columns if n not in older_columns))

    def _header(self, table: ResourceTable, partial: bool) -> list[str]:
        try:
            header = next(self._rows, [])
        except csv.Error as error:
            raise BadRequest(f"The CSV's header cannot be read: {error}.") from None
        faults = [
            f"{name.encode(errors='replace').decode()}: is not a field of {table.name}"
            f"{nearest(name, table.fields) or '.'}"
            for name in header
            if name not in table.fields
        ]
        faults += [
            f"{name}: is named twice." for name in dict.fromkeys(header) if header.count(name) > 1
        ]
        if header and not partial:
            faults += missing(table, header)
        if not header or faults:
            self._stream.drain()
            known = ", ".join(table.fields)
            raise BadRequest(
                f"The first line of a CSV must name fields of {table.name} ({known}).", faults
            )
        return header

    def chunks(self) -> Iterator[bytes]:
        """The rows' text."""
        for first, rows in self._batches():
            if self.faults.count:
                self._find_faults(first, rows)
                continue
            try:
                yield self._text(first, rows)
            except (FieldError, UnicodeEncodeError, ValueError):
                self._find_faults(first, rows)

    def _batches(self) -> Iterator[tuple[int, list[list[str]]]]:
        """The number of the first row, and rows."""
        rows: list[list[str]] = []
        stream, began = self._stream, self._stream.taken
        try:
            for row in self._rows:
                if not row:
                    continue
                rows.append(row)
                if len(rows) >= _BATCH or stream.taken - began > _BATCH_BYTES:
                    yield self.count + 1, rows
                    self.count += len(rows)
                    rows, began = [], stream.taken
        except csv.Error as error:
            if rows:
                yield self.count + 1, rows
                self.count += len(rows)
            self.count += 1
            stream.drain()
            self.faults.add(self.count, f"cannot be read, and what follows neither: {error}.")
            return
        if rows:
            yield self.count + 1, rows
            self.count += len(rows)

    def _text(self, first: int, rows: list[list[str]]) -> bytes:
        """Rows as COPY text.

        :raises ValueError: something is wrong with one of them.
        """
        values: list[Any] = [*zip(*rows, strict=True)]
        if len(values) != self._width:
            raise FieldError("there are more or fewer values than names.")
        numbers = map(str, range(first, first + len(rows)))
        shapes = [str(self._shape)] * len(rows)
        cells = [column.texts(values[column.place]) for column in self._columns]
        lines = map("\t".join, zip(numbers, shapes, *cells, strict=True))
        return ("\n".join(lines) + "\n").encode()

    def _find_faults(self, first: int, rows: list[list[str]]) -> None:
        for number, row in enumerate(rows, start=first):
            if len(row) != self._width:
                self.faults.add(number, f"has {_values(len(row))}, and the header {self._width}.")
                continue
            told = set()
            for column in self._columns:
                fault = _fault(column, row[column.place])
                if fault is not None and column.place not in told:
                    told.add(column.place)
                    self.faults.add(number, f"{column.name}: {fault}")


def _values(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"


def _fault(column: CsvColumn, text: str) -> str | None:
    try:
        column.one(text)
    except FieldError as error:
        return str(error)
    return None

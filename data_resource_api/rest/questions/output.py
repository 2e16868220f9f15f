"""Rows of a question → JSON objects: which fields there are, and how each is shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from data_resource_api.compiler.fields import Field
from data_resource_api.encryption.engines import EncryptionFailure


@dataclass(frozen=True, slots=True)
class Embedded:
    """The fields of embedded rows that PostgreSQL cannot show by itself.

    :ivar protected: their names in the answer, and their fields.
    :ivar inner: tables that are embedded in them and hold such fields, by their names in the answer.
    """

    protected: Mapping[str, Field]
    inner: Mapping[str, Embedded]

    @staticmethod
    def of(columns: Iterable[OutputColumn]) -> Embedded:
        """What Python has to do for embedded rows of these columns."""
        protected, inner = {}, {}
        for column in columns:
            if column.field is not None and column.field.protection is not None:
                protected[column.name] = column.field
            if column.embedded is not None and not column.embedded.is_plain:
                inner[column.name] = column.embedded
        return Embedded(protected, inner)

    @property
    def is_plain(self) -> bool:
        """PostgreSQL's JSON is the answer."""
        return not self.protected and not self.inner

    @property
    def show(self) -> Callable[[str], object]:
        """PostgreSQL's JSON text → what orjson writes."""
        return orjson.Fragment if self.is_plain else self._opened

    def _opened(self, text: str) -> object:
        # Numbers stay the digits that they are.
        return self.open(json.loads(text, parse_float=orjson.Fragment, parse_int=orjson.Fragment))

    def open(self, value: Any) -> Any:
        """Embedded rows with their protected values decrypted, in place."""
        if isinstance(value, list):
            return [self.open(item) for item in value]
        if value is None:
            return None
        for name, protected in self.protected.items():
            stored = value[name]
            if stored is not None and protected.show is not None:
                value[name] = protected.show(base64.b64decode(stored))
        for name, inner in self.inner.items():
            value[name] = inner.open(value[name])
        return value


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """One field of the answer.

    :ivar field: the table's field that it is, or ``None``.
    :ivar json: PostgreSQL gives a JSON text.
    :ivar show: what psycopg2 hands back → what orjson writes; ``None`` where they are the same.
    :ivar embedded: what it holds where it is an embedded table.
    """

    name: str
    field: Field | None
    json: bool
    show: Callable[[Any], object] | None
    embedded: Embedded | None = None


def as_json(term: sa.ColumnElement[Any], column: OutputColumn) -> sa.ColumnElement[Any]:
    """A column as it stands in an embedded row: as the API shows it, or as Python is to decrypt it."""
    field = column.field
    if field is None:
        return term
    if field.protection is not None:
        return sa.func.encode(term, sa.literal_column("'base64'"))
    text = sa.cast(term, sa.Text)
    zone: Any = sa.literal_column("'Z'")
    if field.type.column is sa.Time:
        return text.concat(zone)
    if field.type.column is sa.DateTime:
        # "infinity" and BC dates are not RFC 3339 and stay PostgreSQL's text.
        is_plain = sa.func.isfinite(term) & text.not_like(sa.literal_column("'%% BC'"))
        blank: Any = sa.literal_column("' '")
        letter: Any = sa.literal_column("'T'")
        return sa.case((is_plain, sa.func.replace(text, blank, letter).concat(zone)), else_=text)
    return term


def write_rows(
    columns: Sequence[OutputColumn], rows: Iterable[Sequence[Any]], key: slice
) -> list[dict[str, Any]]:
    """Rows as JSON objects.

    :param key: where the row's key stands in it.
    :raises EncryptionFailure: a protected value cannot be decrypted; it names the row.
    """
    shows = [(index, column.name, column.show) for index, column in enumerate(columns)]
    written = []
    for row in rows:
        try:
            written.append(
                {
                    name: row[index] if show is None or row[index] is None else show(row[index])
                    for index, name, show in shows
                }
            )
        except EncryptionFailure as error:
            shown = ", ".join(repr(value) for value in row[key])
            raise error.of_row(shown or "without a key") from None
    return written

"""Rows of a question → JSON objects: which fields there are, and how each is shown."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from data_resource_api.compiler.fields import Field
from data_resource_api.encryption.engines import EncryptionFailure
from data_resource_api.json_text import read_json


@dataclass(frozen=True, slots=True)
class Embedded:
    """The fields of embedded rows that PostgreSQL cannot show by itself.

    :ivar protected: their names in the answer, and their fields.
    :ivar inner: tables that are embedded in them, by their names in the answer.
    """

    protected: Mapping[str, Field] = field(default_factory=dict)
    inner: Mapping[str, Embedded] = field(default_factory=dict)

    @property
    def is_plain(self) -> bool:
        """PostgreSQL's JSON is the answer."""
        return not self.protected and all(each.is_plain for each in self.inner.values())

    def show(self, text: str) -> object:
        """PostgreSQL's JSON text as orjson writes it."""
        return orjson.Fragment(text) if self.is_plain else self.open(read_json(text.encode()))

    def open(self, value: Any) -> Any:
        """Embedded rows with their protected values decrypted, in place."""
        if isinstance(value, list):
            return [self.open(item) for item in value]
        if not isinstance(value, dict):
            return value
        for name, protected in self.protected.items():
            stored = value.get(name)
            if stored is not None and protected.show is not None:
                value[name] = protected.show(base64.b64decode(stored))
        for name, inner in self.inner.items():
            value[name] = inner.open(value.get(name))
        return value


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """One field of the answer.

    :ivar field: the table's field that it is, or ``None``.
    :ivar json: PostgreSQL gives a JSON text.
    :ivar show: what psycopg2 hands back → what orjson writes; ``None`` where they are the same.
    """

    name: str
    field: Field | None
    json: bool
    show: Callable[[Any], object] | None


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

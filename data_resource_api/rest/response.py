"""Rows and refusals → HTTP answers: JSON bodies, links, ``Location``, problem documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol
from urllib.parse import quote

from data_resource_api.compiler.fields import Field
from data_resource_api.encryption.engines import EncryptionFailure
from data_resource_api.errors import DrgError
from data_resource_api.json_text import write_json
from data_resource_api.rest.keys import write_key

#: On every answer of a generated API: the digest of the data resource that gave it.
VERSION_HEADER: Final = "DRG-Version"

#: On a write's answer where there are replicas, and on a read that has to see that write.
POSITION_HEADER: Final = "DRG-Position"


class BrokenOff(Exception):
    """A stream cannot be finished; the message says why, for the log."""


class Stream(Protocol):
    """Chunks of a body. What is raised instead of one breaks the answer off."""

    @property
    def broken_off(self) -> bytes:
        """What an answer ends with that cannot be finished."""

    def __next__(self) -> bytes:
        """The next chunk."""

    def close(self) -> None:
        """Nobody wants the rest."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer.

    :ivar created: the key of the row that there is now, a list of a composite key's values.
    :ivar stream: the body instead of ``body``, where it is produced while it is sent
        (``rest.output.sending``); whoever sends it closes it.
    :ivar rows: how many rows a write took in, where it takes in many.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    created: object = None
    stream: Stream | None = None
    rows: int | None = None


class RowWriter:
    """Turns the rows of one table into JSON objects."""

    def __init__(self, fields: Iterable[Field], key: Iterable[str]) -> None:
        # SQLAlchemy hands out quoted names, a subclass of str that orjson refuses as keys.
        shows = [(str(field.name), field.show) for field in fields]
        self._key = [str(name) for name in key]
        self._names = [name for name, _ in shows]
        self._shown = [(name, show) for name, show in shows if show is not None]

    def write_all(self, rows: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
        """Rows of the table's columns, in their order.

        :raises EncryptionFailure: a protected value cannot be decrypted; it names the row.
        """
        if self._shown:
            return [self.write(row) for row in rows]
        names = self._names
        return [dict(zip(names, row, strict=True)) for row in rows]

    def write(self, row: Sequence[Any]) -> dict[str, Any]:
        """One row of the table's columns, in their order.

        :raises EncryptionFailure: a protected value cannot be decrypted; it names the row.
        """
        written = dict(zip(self._names, row, strict=True))
        try:
            for name, show in self._shown:
                value = written[name]
                if value is not None:
                    written[name] = show(value)
        except EncryptionFailure as error:
            stored = dict(zip(self._names, row, strict=True))
            key = ", ".join(repr(stored[name]) for name in self._key) or "without a key"
            raise error.of_row(key) from None
        return written


def json_reply(status: int, value: object, headers: Mapping[str, str] | None = None) -> Reply:
    """An answer with a JSON body."""
    return Reply(status, write_json(value), headers or {})


def with_headers(reply: Reply, headers: Mapping[str, str]) -> Reply:
    """An answer with these headers too."""
    return replace(reply, headers={**reply.headers, **headers})


def created(path: str, fields: Sequence[Field], row: Sequence[Any]) -> Reply:
    """201, with ``Location`` where the row can be addressed.

    :param fields: of the primary key, none in a table without one.
    :param row: their values.
    """
    body: dict[str, object] = {"message": "Successfully added new resource."}
    if not fields:
        return json_reply(201, body)
    body["id"] = shown_key(fields, row)
    text = key_text(fields, row)
    headers = {"Location": f"{path}/{text}"}
    return Reply(201, write_json(body), headers, created=body["id"])


def shown_key(fields: Sequence[Field], row: Sequence[Any]) -> Any:
    """A key as JSON has it: a value, or a list of a composite key's."""
    if len(fields) == 1:
        show = fields[0].type.show
        return show(row[0]) if show else row[0]
    return [
        field.type.show(value) if field.type.show else value
        for field, value in zip(fields, row, strict=True)
    ]


def key_text(fields: Sequence[Field], row: Sequence[Any]) -> str:
    """A key as it stands in a path."""
    shown = []
    for own, value in zip(fields, row, strict=True):
        as_json = own.type.show(value) if own.type.show else value
        shown.append(as_json if isinstance(as_json, str) else value)
    if len(shown) == 1 and isinstance(shown[0], int):
        return str(shown[0])
    return quote(write_key(shown), safe="~,")


def quoted_path(path: str) -> str:
    """A decoded path as it stands in a URL (RFC 3986)."""
    return quote(path, safe="/!$&'()*+,;=:@~")


def refusal(error: DrgError, *, problem: bool = False) -> Reply:
    """An error as JSON, or as an RFC 9457 problem document where the client prefers one."""
    if problem:
        return Reply(
            error.status, write_json(error.problem()), error.headers, "application/problem+json"
        )
    return Reply(error.status, write_json(error.body()), error.headers)

"""Rows and refusals → HTTP answers: JSON bodies, links, ``Location``, problem documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote

from data_resource_api.compiler.fields import Field
from data_resource_api.encryption.engines import EncryptionFailure
from data_resource_api.errors import DrgError
from data_resource_api.json_text import write_json

#: On every answer of a generated API: the digest of the data resource that gave it.
VERSION_HEADER: Final = "DRG-Version"

#: On a write's answer where there are replicas, and on a read that has to see that write.
POSITION_HEADER: Final = "DRG-Position"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer.

    :ivar created: the key of the row that there is now, a list of a composite key's values.
    :ivar rows: how many rows a write took in, where it takes in many.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    created: object = None
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


def created(path: str, key: object) -> Reply:
    """201, with ``Location`` where the row can be addressed."""
    body: dict[str, object] = {"message": "Successfully added new resource."}
    if key is None:
        return json_reply(201, body)
    body["id"] = key
    headers = {}
    if not isinstance(key, list):
        written = key if isinstance(key, int) else quote(str(key), safe="")
        headers["Location"] = f"{path}/{written}"
    return Reply(201, write_json(body), headers, created=key)


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

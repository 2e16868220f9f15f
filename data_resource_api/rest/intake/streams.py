"""Request bodies that are read as they come: bounded, and never as a whole.

CSV is RFC 4180 <https://www.rfc-editor.org/rfc/rfc4180>, NDJSON one JSON object on each line.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any, Final

from data_resource_api.errors import BadRequest, TooLarge
from data_resource_api.json_text import read_json
from data_resource_api.rest.intake.rows import Unreadable

CSV: Final = "text/csv"
NDJSON: Final = "application/x-ndjson"

#: The media types of bodies that are many rows.
STREAMED: Final = frozenset({CSV, NDJSON})

_BUFFER: Final = 2**16


class BodyStream(io.RawIOBase):
    """A request's body, read once and never beyond its bounds.

    :param length: ``None`` for one that comes in chunks.
    :param most: bytes; a longer body raises ``TooLarge``.
    :param is_whole: whether a body in chunks that has ended came to its end.
    """

    def __init__(
        self, source: Any, length: int | None, most: int, is_whole: Callable[[], bool]
    ) -> None:
        if length is not None and length > most:
            raise _too_large(most)
        self._source = source
        self._length = length
        self._most = most
        self._is_whole = is_whole
        #: Bytes read so far.
        self.taken = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there, up to the size of ``buffer``.

        :raises BadRequest: the body ends before its length, or may have broken off.
        :raises TooLarge: it is longer than allowed.
        """
        wanted = len(buffer)
        if self._length is not None:
            wanted = min(wanted, self._length - self.taken)
            if not wanted:
                return 0
        try:
            data = self._source.read(wanted)
        except OSError:
            raise BadRequest("The body could not be read to its end.") from None
        if not data and self._length is not None:
            raise BadRequest("The body ends before its Content-Length.")
        if not data and not self._is_whole():
            raise BadRequest(
                "The body in chunks may have broken off; send it again, or with a Content-Length."
            )
        self.taken += len(data)
        if self.taken > self._most:
            raise _too_large(self._most)
        buffer[: len(data)] = data
        return len(data)

    def drain(self) -> None:
        """Read what is left, so that a client that is still sending gets to read the answer."""
        scrap = bytearray(_BUFFER)
        while self.readinto(scrap):
            pass


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"The body is larger than {most} bytes (DRG_MAX_IMPORT_BYTES).")


def text_lines(stream: BodyStream) -> io.TextIOWrapper:
    """The lines of a text in UTF-8, with their ends; what is not UTF-8 as lone surrogates.

    A value that has them is refused where its row and its field are known. A byte order mark is no part
    of the text.
    """
    buffered = io.BufferedReader(stream, _BUFFER)
    return io.TextIOWrapper(buffered, "utf-8-sig", errors="surrogateescape", newline="")


def json_lines(stream: BodyStream, *, max_nesting: int, max_line: int) -> Iterator[Any]:
    """The values of an NDJSON body; empty lines are none.

    :param max_line: bytes of one line.
    :raises BadRequest: a line is longer.
    """
    buffered = io.BufferedReader(stream, _BUFFER)
    read: Callable[[int], bytes] = buffered.readline
    number = 0
    while line := read(max_line + 1):
        if len(line) > max_line:
            raise BadRequest(
                f"Row {number + 1} is longer than {max_line} bytes (DRG_MAX_BODY_BYTES)."
            )
        if not line.strip():
            continue
        number += 1
        try:
            yield read_json(line, max_depth=max_nesting)
        except BadRequest as error:
            yield Unreadable(error.detail.replace("The body", "the line", 1))

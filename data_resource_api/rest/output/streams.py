"""Answers that are made while they are sent: a connection is held, and rows are fetched as they are taken.

A read-only transaction of its own with a cursor in it: every row is as it was at one moment, memory is
flat, and it works behind a pooler, whose server connections are lent per transaction. The rows of a small
answer are all there before anything is sent, and are an answer like any other.

The client sets the pace. While it takes rows, each batch has the time of a statement. When it takes none
for ``patience`` seconds, its connection goes back to the pool, closed, and its answer cannot be finished.
Half of the connections are never used for streams: clients who do not read keep nobody else waiting.
"""

from __future__ import annotations

import threading
from typing import Any, Final
from urllib.parse import quote

import psycopg2

from data_resource_api.compiler.openapi import Kind
from data_resource_api.errors import DrgError, Unavailable
from data_resource_api.rest.output.rows import RowsOut
from data_resource_api.rest.response import BrokenOff, Reply
from data_resource_api.rest.servers import Server, Servers, replayed_sql
from data_resource_api.rest.statements import Rows, Statement
from data_resource_api.rest.transaction import CannotConnect, execute, refused, take

_CURSOR: Final = '"drg rows"'

#: Rows that are fetched first; afterwards as many as fill a batch.
_FIRST: Final = 500
_MOST: Final = 10_000
_BATCH_BYTES: Final = 2**18


def open_stream(servers: Servers, out: RowsOut, position: str, patience: float) -> Reply:
    """Begin to answer, on a replica if one can.

    :param position: what the rows have to show, or an empty string.
    :param patience: seconds that the client may take to take the next rows.
    :raises DrgError: what the database refuses, and where there is no row though there should be.
    """
    if not servers.streaming.acquire(blocking=False):
        raise Unavailable("As many answers are being streamed as this service can stream at once.")
    stream = None
    try:
        stream = _open(servers, out, position, patience)
        return _reply(out, stream)
    finally:
        if stream is None or stream.ended:
            servers.streaming.release()


def _open(servers: Servers, out: RowsOut, position: str, patience: float) -> RowStream:
    replica = servers.next_replica()
    if replica is not None:
        try:
            return RowStream(servers, replica.server, out, replayed_sql(position), patience)
        except CannotConnect:
            replica.pass_over()
        except (psycopg2.Error, Unavailable):
            pass  # the primary has the last word
    try:
        return RowStream(servers, servers.primary, out, "", patience)
    except psycopg2.Error as error:
        raise refused(error, Kind.LIST) from None  # PostgreSQL's words have values in them


def _reply(out: RowsOut, stream: RowStream) -> Reply:
    headers = {
        "Content-Disposition": f"attachment; {_file_name(out.file_name)}",
        "Vary": "Accept",
    }
    if stream.ended:
        if not stream.rows and out.refusal is not None:
            raise out.refusal
        return Reply(200, stream.first, headers, out.form.content_type)
    return Reply(200, b"", headers, out.form.content_type, stream=stream)


def _file_name(name: str) -> str:
    """A file's name as ``Content-Disposition`` has it (RFC 6266)."""
    if name.isascii() and name.isprintable() and '"' not in name and "\\" not in name:
        return f'filename="{name}"'
    return f"filename*=UTF-8''{quote(name, safe='')}"


class RowStream:
    """Chunks of an answer; it holds a connection until it has ended, is closed, or nobody takes chunks.

    :ivar first: the first chunk.
    :ivar rows: how many rows have been fetched.
    :ivar ended: there are no more rows, and the connection is given back.
    """

    def __init__(
        self, servers: Servers, server: Server, out: RowsOut, before: str, patience: float
    ) -> None:
        self._servers = servers
        self._out = out
        self.broken_off = out.form.broken_off
        self._patience = patience
        self._lock = threading.Lock()
        self._size = _FIRST
        self._sent_first = False
        self._closed = False
        self._why_broken = ""
        self.rows = 0
        self.ended = False
        self._pool: Any = server.engine.pool
        self._borrowed: Any = take(self._pool)
        try:
            rows = self._begin(server.prologue + before)
            self.first = out.head + out.write(rows)
            self._note(rows, len(self.first))
        except DrgError:  # nothing is wrong with the connection
            self._give_back(whole=_rolled_back(self._borrowed.dbapi_connection))
            raise
        except BaseException:
            self._give_back(whole=False)
            raise

    def _begin(self, prologue: str) -> Rows:
        """Declare the cursor and fetch the first rows, in one message.

        :raises NotFound: the row that they refer to is not there.
        """
        before, parent = f"BEGIN READ ONLY; {prologue}", self._out.parent
        declared = f"DECLARE {_CURSOR} NO SCROLL CURSOR FOR {self._out.statement.sql}"
        parameters = self._out.statement.parameters
        with self._borrowed.dbapi_connection.cursor() as cursor:
            if parent is not None:
                found = parent.values(execute(cursor, parent.statement, before))
                before, parameters = "", {**parameters, **found}
            return execute(cursor, Statement(f"{declared}; {self._fetch}", parameters), before)

    @property
    def _fetch(self) -> str:
        return f"FETCH FORWARD {self._size} FROM {_CURSOR}"

    def _note(self, rows: Rows, length: int) -> None:
        """What these rows tell: whether they were the last, and how many fill a batch."""
        self.rows += len(rows)
        if len(rows) < self._size:
            with self._borrowed.dbapi_connection.cursor() as cursor:
                cursor.execute("COMMIT")
            self._give_back(whole=True)
            return
        self._size = max(1, min(_MOST, len(rows) * _BATCH_BYTES // max(1, length)))
        self._pool.deadlines.extend(self._borrowed, self._patience, self._lose)

    def __iter__(self) -> RowStream:
        return self

    def __next__(self) -> bytes:
        """The next chunk.

        :raises BrokenOff: the database does not give the rest.
        """
        with self._lock:
            if self._why_broken:
                raise BrokenOff(self._why_broken)
            if not self._sent_first:
                self._sent_first = True
                if self._borrowed is not None:
                    self._pool.deadlines.extend(self._borrowed, self._patience, self._lose)
                first, self.first = self.first, b""
                return first
            if self._borrowed is None:
                raise StopIteration
            return self._next()

    def _next(self) -> bytes:
        self._pool.deadlines.extend(self._borrowed)
        try:
            with self._borrowed.dbapi_connection.cursor() as cursor:
                cursor.execute(self._fetch)
                rows = cursor.fetchall()
            chunk = self._out.write(rows)
            self._note(rows, len(chunk))
        except psycopg2.Error as error:
            self._give_back(whole=False)
            raise BrokenOff(str(refused(error, Kind.LIST))) from None
        except BaseException:
            self._give_back(whole=False)
            raise
        if not chunk:
            raise StopIteration
        return chunk

    def _lose(self) -> None:
        """The deadline has passed: the connection is closed under whoever uses it, or nobody does."""
        if self._lock.acquire(blocking=False):
            try:
                if self._borrowed is not None:
                    self._why_broken = (
                        f"The client took nothing for {self._patience:g} s (DRG_STREAM_TIMEOUT)."
                    )
                    self._give_back(whole=False)
            finally:
                self._lock.release()

    def _give_back(self, *, whole: bool) -> None:
        """Give the connection back, for use again only if its transaction has ended."""
        borrowed, self._borrowed = self._borrowed, None
        self.ended = whole
        if not whole:
            borrowed.invalidate()
        self._pool.give_back(borrowed)

    def close(self) -> None:
        """Nobody wants the rest."""
        with self._lock:
            if self._borrowed is not None:
                self._give_back(whole=_rolled_back(self._borrowed.dbapi_connection))
            closed, self._closed = self._closed, True
        if not closed:
            self._servers.streaming.release()


def _rolled_back(connection: Any) -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK")
    except psycopg2.Error:
        return False
    return True

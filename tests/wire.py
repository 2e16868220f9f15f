"""What a service really sends to PostgreSQL: a relay between them that writes the statements down.

Messages are those of <https://www.postgresql.org/docs/current/protocol-message-formats.html>.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import sqlalchemy as sa

#: Message types that hold a statement: a simple query, and the parse step of an extended one.
_QUERY, _PARSE = b"Q", b"P"


class Wire:
    """A relay's address, and what has gone through it.

    :ivar statements: the texts of messages that clients sent, in order.
    """

    def __init__(self, server_url: str) -> None:
        self._server = sa.make_url(server_url)
        self.statements: list[str] = []
        self.port = 0

    def url(self, url: str) -> str:
        """A database's URL by way of the relay, in plain text."""
        on_wire = sa.make_url(url).set(
            host="127.0.0.1", port=self.port, query={"sslmode": "disable"}
        )
        return on_wire.render_as_string(hide_password=False)

    @contextlib.contextmanager
    def recorded(self) -> Iterator[list[str]]:
        """The statements that are sent until the block ends."""
        before = len(self.statements)
        sent: list[str] = []
        yield sent
        sent += self.statements[before:]

    async def serve(self, started: threading.Event) -> None:
        """Relay connections until told to stop."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await self._stop.wait()
        server.close()

    def stop(self) -> None:
        """Make ``serve`` return."""
        self._loop.call_soon_threadsafe(self._stop.set)

    async def _connected(
        self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        query = self._server.query
        folder = query.get("host")
        port = int(str(query.get("port") or self._server.port or 5432))
        if folder:
            path = f"{folder}/.s.PGSQL.{port}"
            server, to_server = await asyncio.open_unix_connection(path)
        else:
            server, to_server = await asyncio.open_connection(self._server.host, port)
        back = asyncio.create_task(_copy(server, to_client))
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await self._record(client, to_server)
        to_server.close()
        await back

    async def _record(self, client: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        kind = b""  # the first message, of the start, has no type
        while True:
            size = await client.readexactly(4)
            body = await client.readexactly(int.from_bytes(size) - 4)
            if kind == _QUERY:
                self.statements.append(body.rstrip(b"\0").decode())
            elif kind == _PARSE:
                self.statements.append(body.split(b"\0")[1].decode())
            server.write(kind + size + body)
            await server.drain()
            kind = await client.readexactly(1)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.contextmanager
def wire(server_url: str) -> Iterator[Wire]:
    """A relay to this server, until the block ends."""
    made = Wire(server_url)
    started = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(made.serve(started)))
    thread.start()
    try:
        assert started.wait(30)
        yield made
    finally:
        made.stop()
        thread.join(30)

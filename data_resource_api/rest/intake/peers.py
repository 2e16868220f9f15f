"""Whether a client that sent a body in chunks is still there once the body has ended.

A body in chunks ends with a last chunk of its own, so that one that breaks off can be told from a whole
one. granian does not tell: a broken body ends like any other. But then its client has closed the
connection, which whoever waits for an answer has not. (Nor does it tell of chunks that are malformed; their
client is answered how many rows there were.)
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

#: What granian calls itself, in ``SERVER_SOFTWARE``; other servers raise where a body breaks off.
_GRANIAN: Final = "Granian"

_INTERNET: Final = (socket.AF_INET, socket.AF_INET6)
#: Instead of an address, of a connection that has none any more.
_GONE: Final = ""


def sent_to_its_end(environ: dict[str, Any]) -> bool:
    """Whether the body in chunks that has just ended was whole, as far as that can be told.

    Which of this process's connections is the request's, granian does not say either. So those of the
    client's address are looked at: one must be open, and none may have been closed by the client.
    """
    if environ.get("SERVER_SOFTWARE") != _GRANIAN:
        return True
    if not environ["SERVER_PROTOCOL"].startswith("HTTP/1"):
        return False  # streams that share a connection are closed each on its own
    address, port = _plain(environ["REMOTE_ADDR"]), int(environ["SERVER_PORT"])
    states = [state for peer, state in _connections(port) if peer in (address, _GONE)]
    return bool(states) and all(states)


def _connections(port: int) -> Iterator[tuple[str, bool]]:
    """The connections that this process has accepted on a port: whose each is, and whether it is open."""
    for path in Path("/dev/fd").iterdir():
        try:
            connection = socket.socket(fileno=int(path.name))
        except OSError:  # no socket, or closed meanwhile
            continue
        try:
            if connection.family in _INTERNET and connection.getsockname()[1] == port:
                is_open = _is_open(connection)
                if is_open is not None:
                    yield _peer(connection), is_open
        finally:
            connection.detach()  # it is the server's to close


def _is_open(connection: socket.socket) -> bool | None:
    """Whether the other side can still send; ``None`` where there never was one."""
    try:
        return bool(connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return True
    except OSError as error:
        return None if error.errno == errno.ENOTCONN else False


def _peer(connection: socket.socket) -> str:
    try:
        return _plain(connection.getpeername()[0])
    except OSError:  # it was reset
        return _GONE


def _plain(address: str) -> str:
    """An address, without IPv6's way to write one of IPv4."""
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)

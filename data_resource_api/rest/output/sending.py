"""A reply's stream as a WSGI server sends it: what goes wrong on the way is logged, and ends it visibly."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from data_resource_api.rest.refusals import log_failure
from data_resource_api.rest.response import Stream

#: Ends the body in order when no more of it can be had, and logs a traceback of what it was told.
_ENDS_IN_ORDER: Final = "Granian"


class Sending:
    """The chunks of an answer whose headers are sent already.

    When no chunk can be had, the client's connection is closed before the end of the body, which HTTP
    clients take for an error. WSGI has no way to ask for that: most servers do it when the iteration
    raises; with granian the client's socket is looked for, and found if it is the address's only one in
    this process. In any case the answer ends with what no reader of its form takes for good rows.

    :param environ: of the request that is being answered.
    """

    def __init__(self, stream: Stream, environ: Mapping[str, Any]) -> None:
        self._stream = stream
        self._environ = environ
        self._failed = False

    def __iter__(self) -> Sending:
        return self

    def __next__(self) -> bytes:
        """The next chunk.

        :raises ConnectionAbortedError: after the last chunk of an answer that could not be finished.
        """
        if self._failed:
            if self._environ.get("SERVER_SOFTWARE") == _ENDS_IN_ORDER:
                _hang_up(self._environ)
                raise StopIteration
            raise ConnectionAbortedError("The answer could not be finished.")
        try:
            return next(self._stream)
        except StopIteration:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, half an answer must not look whole)
            log_failure(error, self._environ)
            self._failed = True
            return self._stream.broken_off

    def close(self) -> None:
        """The answer is sent, or nobody wants the rest."""
        self._stream.close()


def _hang_up(environ: Mapping[str, Any]) -> None:
    """Close the client's connection, if there is no other that it could be."""
    sockets = [*_sockets_of(environ.get("REMOTE_ADDR"), environ.get("SERVER_PORT"))]
    if len(sockets) == 1:
        with suppress(OSError):
            sockets[0].shutdown(socket.SHUT_RDWR)
    for found in sockets:
        found.close()


def _sockets_of(address: object, port: object) -> Iterator[socket.socket]:
    """Copies of this process's sockets that lead from a port of its own to an address."""
    for descriptor in [*Path("/dev/fd").iterdir()]:
        try:
            copy = socket.socket(fileno=os.dup(int(descriptor.name)))
        except OSError:  # it is no socket, or is closed already
            continue
        try:
            here, there = copy.getsockname(), copy.getpeername()
        except OSError:  # it listens
            here = there = ""
        if isinstance(there, tuple) and there[0] == address and str(here[1]) == str(port):
            yield copy
        else:
            copy.close()

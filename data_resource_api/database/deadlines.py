"""A connection that is in use answers in time, or it is closed under its user.

PostgreSQL ends a statement that takes too long by itself, if it still runs: one that hangs (a frozen
machine, a stopped process, a network that swallows packets) ends nothing, and libpq waits for ever. So
a thread of each process looks after the connections that are out of the pool. One whose deadline has
passed is shut down: whoever waits for it gets an error at once.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import psycopg2
import sqlalchemy as sa

#: Seconds between two looks at the deadlines.
_PERIOD: Final = 0.25

#: Seconds that PostgreSQL has to end a statement itself before its connection is closed.
GRACE: Final = 0.5

_DEADLINE: Final = "drg_deadline"
#: What is done when it has passed.
_PASSED: Final = "drg_passed"


class Deadlines:
    """Watches the connections of one engine.

    :param seconds: from taking a connection out of the pool to giving up on it.
    """

    def __init__(self, engine: sa.Engine, seconds: float) -> None:
        self._seconds = seconds
        self._in_use: dict[Any, Any] = {}
        self._watching = False
        sa.event.listen(engine, "checkout", self.taken)
        sa.event.listen(engine, "checkin", self.returned)
        os.register_at_fork(after_in_child=self._forget)

    def taken(self, connection: Any, record: Any, *_: object) -> None:
        """A connection is out of the pool from now on."""
        record.info[_DEADLINE] = time.monotonic() + self._seconds
        self._in_use[record] = connection
        if not self._watching:
            self._watching = True
            threading.Thread(target=self._watch, name="deadlines", daemon=True).start()

    def returned(self, _: object, record: Any) -> None:
        """It is back."""
        record.info.pop(_PASSED, None)
        self._in_use.pop(record, None)

    def extend(
        self, record: Any, seconds: float | None = None, passed: Callable[[], None] | None = None
    ) -> None:
        """Give a connection that is in use another deadline.

        :param seconds: from now; those of a statement by default.
        :param passed: is called when the deadline has passed and the connection is shut down.
        """
        record.info[_PASSED] = passed
        record.info[_DEADLINE] = time.monotonic() + (seconds or self._seconds)

    def _forget(self) -> None:
        """In a forked child: its parent's threads and connections are not its own."""
        self._in_use.clear()
        self._watching = False

    def _watch(self) -> None:
        while True:
            time.sleep(_PERIOD)
            now = time.monotonic()
            for record, connection in list(self._in_use.items()):
                if record.info.get(_DEADLINE, now) < now and self._in_use.pop(record, None):
                    passed = record.info.pop(_PASSED, None)
                    _shut_down(connection)
                    if passed is not None:
                        passed()


def _shut_down(connection: Any) -> None:
    """End a connection from another thread than the one that waits for it."""
    # The descriptor is libpq's: only a copy of it may be closed here.
    gone = (psycopg2.InterfaceError, OSError)
    with contextlib.suppress(*gone), socket.socket(fileno=os.dup(connection.fileno())) as copy:
        copy.shutdown(socket.SHUT_RDWR)


def limit(connection: sa.Connection, seconds: float) -> None:
    """Give a connection that is in use another deadline, in seconds from now."""
    connection.connection.info[_DEADLINE] = time.monotonic() + seconds

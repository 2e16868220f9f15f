"""SQLAlchemy's connection pool, from which a request can borrow without what it does for a session.

For every checkout, ``Engine.raw_connection`` makes an object that guards against being forgotten, and runs
events: a fifth of what a request costs. A request gives its connection back where it takes it.
"""

from __future__ import annotations

import logging
import queue
import select
import time
from typing import Any, Final

from sqlalchemy.pool import QueuePool
from sqlalchemy.util.queue import Empty, QueueCommon

from data_resource_api.database.deadlines import Deadlines

# SQLAlchemy logs under the name of the class, which is below the service's own logger here.
logging.getLogger(f"{__name__}.RequestPool").setLevel(logging.WARNING)

#: Seconds within which a connection that is taken again needs no look at whether it is still there.
_AT_ONCE: Final = 0.1
_TAKEN: Final = "drg_taken"


class _Idle(QueueCommon[Any]):
    """The connections that nobody uses. The pool makes no more than its size, so there is no bound here.

    SQLAlchemy's own queue can be entered again while it is held, which costs ten times as much.
    """

    def __init__(self, maxsize: int = 0, use_lifo: bool = False) -> None:
        self.maxsize = maxsize
        self.use_lifo = use_lifo
        self._connections: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def empty(self) -> bool:
        return self._connections.empty()

    def full(self) -> bool:
        return self.qsize() >= self.maxsize

    def qsize(self) -> int:
        return self._connections.qsize()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        self._connections.put(item)

    put_nowait = put

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        try:
            return self._connections.get(block, timeout)
        except queue.Empty:
            raise Empty from None

    def get_nowait(self) -> Any:
        return self.get(block=False)


class RequestPool(QueuePool):
    """A pool that both sessions and requests take connections from, never more than its size.

    :ivar deadlines: watches the connections that are out.
    """

    _queue_class = _Idle
    deadlines: Deadlines

    def recreate(self) -> RequestPool:
        """An empty pool like this one, when this one is disposed of."""
        fresh = super().recreate()
        assert isinstance(fresh, RequestPool)
        fresh.deadlines = self.deadlines
        return fresh

    def take(self) -> Any:
        """Borrow a connection that is there, as far as can be told: its record's ``dbapi_connection``.

        :raises sqlalchemy.exc.TimeoutError: all are in use.
        :raises psycopg2.OperationalError: there is none left, and no new one can be made.
        """
        record: Any = self._do_get()
        try:
            connection = record.get_connection()
            if has_hung_up(connection, record):
                record.invalidate()
                connection = record.get_connection()
        except BaseException as error:
            record.invalidate(e=error)
            self._do_return_conn(record)
            raise
        self.deadlines.taken(connection, record)
        return record

    def give_back(self, record: Any) -> None:
        """Give a connection back; one that has turned out to be broken is thrown away."""
        self.deadlines.returned(record.dbapi_connection, record)
        if record.dbapi_connection is not None and record.dbapi_connection.closed:
            record.invalidate()
        self._do_return_conn(record)


def has_hung_up(connection: Any, record: Any) -> bool:
    """Whether the server of a pooled connection is gone, as far as can be told without asking it.

    A write that fails on such a connection could not be tried again: nobody would know whether it was made.
    Under load a connection is taken again at once, and a server does not come back in that time.
    """
    now = time.monotonic()
    taken = record.info.get(_TAKEN, now)  # a new one has just been made
    record.info[_TAKEN] = now
    if now - taken < _AT_ONCE:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))  # nothing has been asked, so what is there to read is the end

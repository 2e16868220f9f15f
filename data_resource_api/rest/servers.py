"""The databases that answer: the primary, and the replicas that reads can go to.

A client that has to see its own write sends back the *position* that the write returned: where
PostgreSQL's write-ahead log was after the commit (an LSN, as ``pg_lsn`` writes it). A replica then
answers only if it has replayed the log that far, which is asked in the same message as the read.
"""

from __future__ import annotations

import itertools
import logging
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from data_resource_api.errors import BadRequest

logger = logging.getLogger("data_resource_api")

#: Seconds between two attempts to reach a replica that is passed over.
RESPITE: Final = 1.0

#: Where the log is now. What is inserted may not be written yet: with ``synchronous_commit`` off a
#: commit does not wait for that.
POSITION_SQL: Final = "SELECT pg_current_wal_insert_lsn()::text"

_LSN: Final = re.compile(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")


def read_position(text: str) -> str:
    """A position that a client sent back, or an empty string where it sent none.

    :raises BadRequest: it is none.
    """
    if text and not _LSN.fullmatch(text):
        raise BadRequest(
            "DRG-Position must be what the answer to a write carried, such as 0/3000148."
        )
    return text


@dataclass(frozen=True, slots=True)
class Server:
    """One database.

    :ivar prologue: SQL before the first statement of each transaction, where sessions have no settings.
    """

    engine: sa.Engine
    prologue: str = ""


class Replica:
    """A database that repeats the primary's changes, and is passed over while it does not answer."""

    def __init__(self, server: Server, number: int) -> None:
        self.server = server
        self._name = f"Replica {number} of DATABASE_READ_URL"
        self._away = threading.Event()
        self._turning = threading.Lock()

    @property
    def answers(self) -> bool:
        """Whether it did when it was asked last."""
        return not self._away.is_set()

    def pass_over(self) -> None:
        """Ask it nothing until it can be reached again; a thread of its own finds out."""
        with self._turning:
            if self._away.is_set():
                return
            self._away.set()
        logger.warning("%s cannot be reached; the primary answers in its place.", self._name)
        threading.Thread(target=self._wait_for_it, name="replica", daemon=True).start()

    def _wait_for_it(self) -> None:
        engine = self.server.engine
        engine.dispose()
        while self._away.is_set():
            time.sleep(RESPITE)
            try:
                with engine.connect() as connection:
                    connection.scalar(sa.select(1))
            except sa.exc.SQLAlchemyError:
                continue
            self._away.clear()
        logger.info("%s answers again.", self._name)


class Servers:
    """Who is asked: the primary for everything, replicas for reads, in turn.

    :param primary: takes the writes, and reads that no replica can answer.
    :ivar streaming: counts the answers that are streamed at the same time, half as many as there are
        connections at most.
    """

    def __init__(self, primary: Server, replicas: Sequence[Server] = ()) -> None:
        self.primary = primary
        self.replicas = tuple(
            Replica(server, number) for number, server in enumerate(replicas, start=1)
        )
        self._turns = itertools.count()
        pool: Any = primary.engine.pool
        self.streaming = threading.BoundedSemaphore(max(1, pool.size() // 2))

    def next_replica(self) -> Replica | None:
        """The replica whose turn it is, or ``None`` where none can be asked."""
        answering = [replica for replica in self.replicas if replica.answers]
        return answering[next(self._turns) % len(answering)] if answering else None


def replayed_sql(position: str) -> str:
    """SQL that fails with a division by zero where the log has not been replayed up to a position.

    Sent before a read in one message, it costs no round trip. A server that is no replica, or no longer,
    has what it has written.
    """
    if not position:
        return ""
    here = (
        "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END"
    )
    return f"SELECT 1 / coalesce({here} >= '{position}', false)::int; "

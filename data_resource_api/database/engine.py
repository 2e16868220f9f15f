"""The SQLAlchemy engine, and the sessions that it makes: UTC, ISO dates, JSON values as text."""

from __future__ import annotations

import os
from typing import Any, Final

import sqlalchemy as sa
from psycopg2 import extensions
from sqlalchemy.engine import make_url

from data_resource_api.database.deadlines import GRACE, Deadlines
from data_resource_api.database.pool import RequestPool, has_hung_up

#: numeric, date, time, timestamp, json and jsonb arrive as the text that PostgreSQL gave: nothing
#: is parsed and printed again, and no digit is lost.
_AS_TEXT: Final = extensions.new_type(
    (1700, 1082, 1083, 1114, 114, 3802), "AS_TEXT", extensions.UNICODE
)

#: Seconds to wait for a connection, to the server or out of the pool, before a client is told.
CONNECT_TIMEOUT: Final = 2

#: Milliseconds after which a host that no longer acknowledges what it is sent is given up (Linux).
_UNACKNOWLEDGED: Final = 5_000


def session_settings(statement_timeout: int) -> dict[str, str]:
    """What the service's sessions, or behind a pooler its transactions, run with."""
    return {"timezone": "UTC", "datestyle": "ISO", "statement_timeout": str(statement_timeout)}


def transaction_prologue(statement_timeout: int) -> str:
    """The same as SQL, to be sent with the first statement of each transaction, in one message."""
    settings = session_settings(statement_timeout)
    return "".join(f"SET LOCAL {name} = '{value}'; " for name, value in settings.items())


def create_engine(
    url: str, *, pool_size: int, statement_timeout: int, pooler: bool = False
) -> sa.Engine:
    """An engine whose connections are in autocommit mode: one statement, one round trip.

    :param statement_timeout: in milliseconds.
    :param pooler: whether a pooler hands out server connections per transaction, so that nothing may be
        set for a session; see :func:`transaction_prologue`.
    """
    settings = {} if pooler else session_settings(statement_timeout)
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    stated = make_url(url).query.get("options", "")
    options = f"{options} {stated}".strip()
    engine = sa.create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,  # an error that is logged shows no value
        poolclass=RequestPool,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT,
        # A connection in autocommit mode has nothing to roll back; transactions end where they begin.
        pool_reset_on_return=None,
        connect_args={
            **({"options": options} if options else {}),
            "connect_timeout": CONNECT_TIMEOUT,
            "application_name": "data-resource-generator",
            "keepalives_idle": 30,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": _UNACKNOWLEDGED,
        },
    )
    sa.event.listen(engine, "checkout", _refuse_closed)
    assert isinstance(engine.pool, RequestPool)
    engine.pool.deadlines = Deadlines(engine, statement_timeout / 1000 + GRACE)

    @sa.event.listens_for(engine, "connect")
    def _receive_text(connection: Any, _: object) -> None:
        extensions.register_type(_AS_TEXT, connection)

    # A server that forks after loading the application must not share its sockets.
    os.register_at_fork(after_in_child=lambda: engine.dispose(close=False))
    return engine


def why_unreachable(error: sa.exc.SQLAlchemyError) -> str:
    """One sentence for the operator: that the database cannot be reached, or what to set so that it can."""
    if "unsupported startup parameter" in str(error):
        return "A pooler stands before the database and takes no settings: set DRG_POOLER=1."
    return "The database cannot be reached."


def _refuse_closed(connection: Any, record: Any, _: object) -> None:
    """The same look for sessions that requests' loans have."""
    if has_hung_up(connection, record):
        raise sa.exc.InvalidatePoolError

"""The SQLAlchemy engine, and the sessions that it makes: UTC, ISO dates, JSON values as text."""

from __future__ import annotations

import os
from typing import Any, Final

import sqlalchemy as sa
from psycopg2 import extensions
from sqlalchemy.engine import make_url

#: numeric, date, time, timestamp, json and jsonb arrive as the text that PostgreSQL gave: nothing
#: is parsed and printed again, and no digit is lost.
_AS_TEXT: Final = extensions.new_type(
    (1700, 1082, 1083, 1114, 114, 3802), "AS_TEXT", extensions.UNICODE
)

#: Seconds to wait for a connection, to the server or out of the pool, before a client is told.
CONNECT_TIMEOUT: Final = 2


def create_engine(url: str, *, pool_size: int, statement_timeout: int) -> sa.Engine:
    """An engine whose connections are in autocommit mode: one statement, one round trip.

    :param statement_timeout: in milliseconds.
    """
    options = f"-c timezone=UTC -c datestyle=ISO -c statement_timeout={statement_timeout}"
    stated = make_url(url).query.get("options", "")
    engine = sa.create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,  # an error that is logged shows no value
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT,
        connect_args={
            "options": f"{options} {stated}".strip(),
            "connect_timeout": CONNECT_TIMEOUT,
            "application_name": "data-resource-generator",
            "keepalives_idle": 30,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        },
    )

    @sa.event.listens_for(engine, "connect")
    def _receive_text(connection: Any, _: object) -> None:
        extensions.register_type(_AS_TEXT, connection)

    # A server that forks after loading the application must not share its sockets.
    os.register_at_fork(after_in_child=lambda: engine.dispose(close=False))
    return engine

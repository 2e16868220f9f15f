"""Runs the plan of an intake: one transaction, which may take longer than other requests do."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Final

import psycopg2
from psycopg2 import errors as pg

from data_resource_api.compiler.openapi import Kind
from data_resource_api.errors import BadRequest, Unavailable
from data_resource_api.rest import transaction
from data_resource_api.rest.context import OperationContext
from data_resource_api.rest.intake.plan import Intake, Refused, take_in
from data_resource_api.rest.intake.rows import too_slow
from data_resource_api.rest.response import Reply
from data_resource_api.rest.servers import POSITION_SQL, Server, Servers

#: Seconds that PostgreSQL has to end the statement itself before its connection is closed.
_GRACE: Final = 5.0

#: Seconds to wait for one of the imports under way to end.
_PATIENCE: Final = 2.0


def run_intake(servers: Servers, context: OperationContext, intake: Intake) -> Reply:
    """Add the rows, or none.

    :raises DrgError: what is wrong with them, or what the database refuses.
    """
    slot = nullcontext(True) if intake.tells_keys else _import_slot(context.import_slots)
    with slot as has_one:
        if not has_one:
            raise Unavailable(
                "As many imports are under way as connections can be spared for; try again."
            )
        return _run_told(servers, context, intake)


@contextmanager
def _import_slot(slots: threading.Semaphore) -> Iterator[bool]:
    """Whether this can be one of the imports under way."""
    has_one = slots.acquire(timeout=_PATIENCE)
    try:
        yield has_one
    finally:
        if has_one:
            slots.release()


def _run_told(servers: Servers, context: OperationContext, intake: Intake) -> Reply:
    try:
        return _run(servers, context, intake)
    except transaction.ConnectionLost as error:
        raise Unavailable(
            "The connection to the database was lost; the rows may not have been added."
        ) from error
    except pg.QueryCanceled:
        raise too_slow(context.import_timeout) from None
    except psycopg2.Error as error:
        raise refused_rows(error, context) from None  # PostgreSQL's words have values in them
    except Refused as refused:
        raise refused_rows(refused.error, context) from None


def refused_rows(error: psycopg2.Error, context: OperationContext) -> Exception:
    """The refusal of rows that a database error means."""
    row = _row(error)
    if row is None:
        return transaction.refused(error, Kind.CREATE, context.index_fields)
    message = error.diag.message_primary or "is refused by PostgreSQL"
    return BadRequest(
        "Nothing was added: a value does not fit into its column.", [f"{row}{message}."]
    )


def _row(error: psycopg2.Error) -> str | None:
    """``row 3: `` where PostgreSQL tells which line of the text it could not read."""
    found = re.match(r"COPY rows//, line (\d+)", error.diag.context or "")
    return found and f"row {found[1]}: "


def _run(servers: Servers, context: OperationContext, intake: Intake) -> Reply:
    server, tell_position = servers.primary, bool(servers.replicas)
    pool: Any = server.engine.pool
    borrowed = transaction.take(pool)
    try:
        return _run_on(borrowed, server, context, intake, tell_position)
    finally:
        pool.give_back(borrowed)


def _run_on(
    borrowed: Any, server: Server, context: OperationContext, intake: Intake, tell_position: bool
) -> Reply:
    connection, seconds = borrowed.dbapi_connection, context.import_timeout
    intake.source.limit(seconds)
    borrowed.info["drg_deadline"] = time.monotonic() + seconds + _GRACE
    rollback = intake.preferences.rollback
    with connection.cursor() as cursor:
        try:
            cursor.execute(
                f"BEGIN; {server.prologue}SET LOCAL statement_timeout = {seconds * 1000:d}"
            )
            reply = transaction.drive(take_in(context, intake), cursor)
            if rollback:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK")
                return reply
            cursor.execute(f"COMMIT; {POSITION_SQL}" if tell_position else "COMMIT")
        except psycopg2.Error as error:
            if isinstance(error, pg.ReadOnlySqlTransaction):
                connection.close()  # it leads to a primary that no longer is one
            elif connection.closed:
                raise transaction.ConnectionLost from error
            raise
        finally:
            if not connection.closed and transaction.in_transaction(connection):
                cursor.execute("ROLLBACK")
        return transaction.with_position(reply, cursor, asked=True) if tell_position else reply

"""Run a plan on PostgreSQL, and turn what the database refuses into ``errors``."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import psycopg2
import sqlalchemy as sa
from psycopg2 import errors as pg

from data_resource_api.compiler.openapi import Kind
from data_resource_api.errors import BadRequest, Conflict, MessageNotFound, Unavailable
from data_resource_api.rest.context import Plan
from data_resource_api.rest.intake.staging import Attempt
from data_resource_api.rest.plan import READS
from data_resource_api.rest.prepared import PreparedStatements
from data_resource_api.rest.response import POSITION_HEADER, Reply, with_headers
from data_resource_api.rest.servers import POSITION_SQL, Replica, Server, Servers, replayed_sql
from data_resource_api.rest.statements import Rows, Statement

logger = logging.getLogger("data_resource_api")

#: ``Key (provider_id)=(7) is not present in table "provider".``, whatever the language around it.
_KEY: Final = re.compile(r"\((.+?)\)=\((.*?)\)")

#: Classes of SQLSTATE whose message may quote a value: data, integrity, and what triggers raise.
_TELLS_VALUES: Final = frozenset({"22", "23", "44", "P0"})

#: In the record of a pooled connection: what it has prepared.
_PREPARED: Final = "drg_prepared"

#: A read whose connection turns out to be lost within so many seconds had a stale one: it is asked again.
_AT_ONCE: Final = 1.0


def run(
    servers: Servers,
    kind: Kind,
    make_plan: Callable[[], Plan],
    position: str = "",
    index_fields: Mapping[str, str] | None = None,
    *,
    atomic: bool = False,
) -> Reply:
    """Run the plan that ``make_plan()`` gives, on a replica if it is a read and one can answer.

    A read is tried again when its connection was lost. A write's answer carries its position where there
    are replicas.

    :param position: what the read has to see, or an empty string.
    :param index_fields: blind index column → its field, which a client is told of instead.
    :param atomic: whether a write's statements must happen together or not at all.
    :raises DrgError: what the plan or the database refuses.
    """
    if kind in READS:
        replica = servers.next_replica()
        reply = replica and _ask_replica(replica, kind, make_plan(), position, index_fields)
        return reply or _read(servers.primary, kind, make_plan, index_fields)
    return _write(servers, make_plan(), lambda error: refused(error, kind, index_fields), atomic)


def run_together(
    servers: Servers, plan: Plan, refuse: Callable[[psycopg2.Error], Exception]
) -> Reply:
    """Run the plan of several operations in one transaction of the primary.

    :param refuse: the refusal that a database error means at that moment.
    :raises DrgError: what the plan or the database refuses.
    """
    return _write(servers, plan, refuse, atomic=True)


def _write(
    servers: Servers, plan: Plan, refuse: Callable[[psycopg2.Error], Exception], atomic: bool
) -> Reply:
    try:
        return _run_once(servers.primary, plan, atomic=atomic, tell_position=bool(servers.replicas))
    except ConnectionLost as error:
        raise Unavailable(
            "The connection to the database was lost; the change may not have been made."
        ) from error
    except psycopg2.Error as error:
        raise refuse(error) from None  # PostgreSQL's words have values in them


def _read(
    server: Server,
    kind: Kind,
    make_plan: Callable[[], Plan],
    index_fields: Mapping[str, str] | None,
) -> Reply:
    began = time.monotonic()
    try:
        try:
            return _run_once(server, make_plan())
        except ConnectionLost:
            if time.monotonic() - began > _AT_ONCE:
                raise
            return _run_once(server, make_plan())
    except ConnectionLost as error:
        raise Unavailable("The connection to the database was lost.") from error
    except psycopg2.Error as error:
        raise refused(error, kind, index_fields) from None  # PostgreSQL's words have values in them


def _ask_replica(
    replica: Replica, kind: Kind, plan: Plan, position: str, index_fields: Mapping[str, str] | None
) -> Reply | None:
    """A replica's answer, or ``None`` where the primary has to give it.

    Whatever a replica refuses, the primary has the last word: the replica may not have the tables yet, or
    not have replayed up to the position, or cancel a read because a change has to be replayed.
    """
    try:
        return _run_once(replica.server, plan, replayed_sql(position))
    except (ConnectionLost, CannotConnect):
        replica.pass_over()
    except pg.QueryCanceled as error:
        raise refused(error, kind, index_fields) from None  # PostgreSQL's words have values in them
    except (psycopg2.Error, _AllInUse):
        pass
    return None


class ConnectionLost(Exception):
    """The connection is gone, and nobody knows what of the statement was done."""


class CannotConnect(Unavailable):
    """The server does not take a connection."""


class _AllInUse(Unavailable):
    pass


def _run_once(
    server: Server,
    plan: Plan,
    before: str = "",
    *,
    atomic: bool = False,
    tell_position: bool = False,
) -> Reply:
    try:
        statement = next(plan)
    except StopIteration as stop:
        reply: Reply = stop.value
        return reply
    # Borrowed without the session that SQLAlchemy would make of it; see ``database.pool``.
    pool: Any = server.engine.pool
    borrowed = take(pool)
    try:
        return _run_on(borrowed, server, plan, statement, before, atomic, tell_position)
    finally:
        pool.give_back(borrowed)


def _run_on(
    borrowed: Any,
    server: Server,
    plan: Plan,
    statement: Statement,
    before: str,
    atomic: bool,
    tell_position: bool,
) -> Reply:
    connection = borrowed.dbapi_connection
    with connection.cursor() as cursor:
        # What a connection has prepared is not there behind a pooler, and an error would end a transaction.
        prepared = None
        if not atomic and not server.prologue:
            prepared = borrowed.info.setdefault(_PREPARED, PreparedStatements())
        try:
            if atomic:
                cursor.execute(f"BEGIN; {server.prologue}")
            # In a transaction of its own, each statement brings the settings with it.
            prologue = "" if atomic else server.prologue
            reply = _drive(plan, statement, cursor, prologue, before, prepared)
            if atomic:
                cursor.execute(f"COMMIT; {POSITION_SQL}" if tell_position else "COMMIT")
        except psycopg2.Error as error:
            if isinstance(error, pg.ReadOnlySqlTransaction):
                connection.close()  # it leads to a primary that no longer is one
            elif connection.closed:
                raise ConnectionLost from error
            raise
        finally:
            if atomic and not connection.closed and in_transaction(connection):
                cursor.execute("ROLLBACK")
        return with_position(reply, cursor, asked=atomic) if tell_position else reply


def with_position(reply: Reply, cursor: Any, *, asked: bool) -> Reply:
    """A write's answer with where the log is now that it is committed.

    :param asked: whether the last message has asked for it already.
    """
    try:
        if not asked:
            cursor.execute(POSITION_SQL)
        position = cursor.fetchone()[0]
    except psycopg2.Error:
        logger.warning("A change was made, and its position in the log could not be read.")
        return reply
    return with_headers(reply, {POSITION_HEADER: position})


def in_transaction(connection: Any) -> bool:
    """Whether a connection has begun a transaction that has not ended."""
    idle: int = psycopg2.extensions.TRANSACTION_STATUS_IDLE
    return bool(connection.info.transaction_status != idle)


def _drive(
    plan: Plan,
    statement: Statement,
    cursor: Any,
    prologue: str,
    before: str,
    prepared: PreparedStatements | None,
) -> Reply:
    rows = execute(cursor, statement, prologue + before, prepared)
    while True:
        try:
            statement = plan.send(rows)
        except StopIteration as stop:
            reply: Reply = stop.value
            return reply
        rows = execute(cursor, statement, prologue, prepared)


def drive(plan: Plan, cursor: Any) -> Reply:
    """Run a plan in the transaction that a connection is in."""
    return _drive(plan, next(plan), cursor, "", "", None)


#: The database does not have, or can no longer use, what a connection has prepared.
_UNPREPARED: Final = (
    pg.FeatureNotSupported,  # a column has another type since
    pg.InvalidSqlStatementName,
    pg.DuplicatePreparedStatement,
)


def execute(
    cursor: Any, statement: Statement, before: str = "", prepared: PreparedStatements | None = None
) -> Rows:
    """Run one statement and fetch all of its rows.

    :param before: further SQL for the same message; the statement's rows are the last.
    :param prepared: of a connection in autocommit mode, which may prepare the statement.
    """
    if isinstance(statement, Attempt):
        return statement.run(cursor)
    if prepared is not None:
        try:
            ready = prepared.prepared(cursor, statement.sql)
            if ready is not None:
                cursor.execute(before + ready, statement.parameters or None)
                return cursor.fetchall() if cursor.description else ()
        except _UNPREPARED:
            prepared.forget(cursor)
    if statement.parameters:
        cursor.execute(before + statement.sql, statement.parameters)
    else:  # psycopg2 leaves %% alone when there is nothing to put in
        cursor.execute(before + statement.sql.replace("%%", "%"))
    return cursor.fetchall() if cursor.description else ()


def take(pool: Any) -> Any:
    """Borrow a connection of a pool.

    :raises Unavailable: there is none.
    """
    try:
        return pool.take()
    except sa.exc.TimeoutError as error:
        raise _AllInUse("Every database connection is in use.") from error
    except (sa.exc.DBAPIError, psycopg2.OperationalError) as error:
        raise CannotConnect("The database cannot be reached.") from error


# ── what the database refuses ────────────────────────────────────────────────────────────────────


def refused(
    error: psycopg2.Error, kind: Kind, index_fields: Mapping[str, str] | None = None
) -> Exception:
    """The refusal that a database error means, or what may be logged where it is our fault."""
    detail = error.diag.message_detail or ""
    match error:
        case pg.UniqueViolation():
            return Conflict(
                "The row clashes with one that exists.", _clashes(error, detail, index_fields or {})
            )
        case pg.ForeignKeyViolation():
            return Conflict("The row refers to one that does not exist.", _dangling(error, detail))
        case pg.NotNullViolation():
            return BadRequest("A value is missing.", [f"{error.diag.column_name}: is required."])
        case pg.CheckViolation():
            name = error.diag.constraint_name
            return BadRequest(
                "A value breaks a constraint of the database.", [f"constraint {name}"]
            )
        case pg.InvalidTextRepresentation() if kind is Kind.QUERY:
            # A native enum of an adopted database: no row can hold what is not one of its values.
            return MessageNotFound("No matches found")
        case pg.QueryCanceled():
            return Unavailable("The statement took longer than DRG_STATEMENT_TIMEOUT.")
        case pg.DeadlockDetected() | pg.SerializationFailure() | pg.LockNotAvailable():
            return Unavailable("The rows are being changed by others; try again.")
        case pg.ProgramLimitExceeded():
            return BadRequest("A value is too large for an index of the database.")
        case psycopg2.DataError():
            return BadRequest("A value does not fit into its column.", [_first_line(error)])
        case pg.InsufficientResources() | pg.OperatorIntervention() | pg.ReadOnlySqlTransaction():
            return Unavailable("The database cannot serve this now.")
        case _:
            return DatabaseFailed(error)


class DatabaseFailed(Exception):
    """A database error that no client is to blame for, told without the values of any row.

    :ivar code: its SQLSTATE.
    :ivar while_running: the statement itself was understood.
    :ivar said: PostgreSQL's own words, which may quote values.
    """

    def __init__(self, error: psycopg2.Error) -> None:
        self.code = error.pgcode or ""
        self.while_running = error.diag.statement_position is None
        self.said = error.diag.message_primary or ""
        in_function = error.diag.context is not None  # where SQL may be made of values
        silent = in_function or (error.pgcode or "")[:2] in _TELLS_VALUES
        told = None if silent else error.diag.message_primary
        names = (error.diag.table_name, error.diag.column_name, error.diag.constraint_name)
        where = ", ".join(name for name in names if name)
        super().__init__(
            f"{type(error).__name__} (SQLSTATE {error.pgcode})"
            + (f" at {where}" if where else "")
            + (f": {told}" if told else "")
        )


def _clashes(error: psycopg2.Error, detail: str, index_fields: Mapping[str, str]) -> list[str]:
    found = _KEY.search(detail)
    if found is None:
        return [f"constraint {error.diag.constraint_name}: its values exist already."]
    names, values = _columns(found.group(1)), found.group(2)
    if names[0] in index_fields:
        return [f"{index_fields[names[0]]}: this value exists already."]
    return [f"{', '.join(names)}: {values} exists already."]


def _dangling(error: psycopg2.Error, detail: str) -> list[str]:
    found = _KEY.search(detail)
    if found is None:
        return [f"constraint {error.diag.constraint_name}: there is no such row."]
    names, values = _columns(found.group(1)), found.group(2)
    return [f"{', '.join(names)}: there is no row {values} to refer to."]


def _columns(text: str) -> list[str]:
    return [name.strip().strip('"').replace('""', '"') for name in text.split(", ")]


def _first_line(error: psycopg2.Error) -> str:
    message = error.diag.message_primary or "it is refused by PostgreSQL"
    return f"{message}."

"""The service's own tables, in the ``admin`` schema: what is live, what was live, and the drafts.

``admin.generation`` is the truth: its newest row is the data resource that is live. Older rows tell a
stored copy that is merely behind from one that somebody edited.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from data_resource_api.compiler.relationships import PhysicalAssociation
from data_resource_api.database.deadlines import limit
from data_resource_api.errors import NotLoaded

#: The revision that this code needs; ``migrations/versions`` ends with it.
HEAD: Final = "0001"

#: One generation at a time, over every host: the key of a transaction-level advisory lock.
_GENERATION_LOCK: Final = 0x4452_4701

#: Long enough for hundreds of tables; a generation is not a request of a row.
_GENERATION_TIMEOUT: Final = "10min"
_GENERATION_SECONDS: Final = 1800

metadata = sa.MetaData(schema="admin")

generation = sa.Table(
    "generation",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("associations", JSONB, nullable=False),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Index("ix_generation_digest", "digest"),
)

table_schema = sa.Table(
    "table_schema",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("tableschema", JSONB),
    sa.Column("swagger", JSONB),
)

version = sa.Table(
    "drg_version",
    metadata,
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="drg_version_pkc"),
)


@dataclass(frozen=True, slots=True)
class Generation:
    """A data resource that is, or was, live.

    :ivar payload: the JSON text that was posted, as stored.
    :ivar associations: association tables that have other names than we would give them.
    """

    id: int
    digest: str
    payload: bytes
    associations: Mapping[str, PhysicalAssociation]


def migrate(engine: sa.Engine) -> None:
    """Bring the ``admin`` schema to :data:`HEAD`; a few milliseconds when it is there already.

    :raises NotLoaded: a newer version of the service has used it.
    """
    with engine.connect() as connection:
        if _is_current(connection):
            return
    with transaction(engine) as connection:
        if _is_current(connection):  # another worker was faster
            return
        if _is_empty(connection):
            connection.execute(sa.schema.CreateSchema("admin", if_not_exists=True))
            metadata.create_all(connection)
            connection.execute(version.insert().values(version_num=HEAD))
        else:
            _upgrade(connection)


def _is_current(connection: sa.Connection) -> bool:
    has_version = sa.inspect(connection).has_table(version.name, schema=version.schema)
    return has_version and connection.scalar(sa.select(version)) == HEAD


def _is_empty(connection: sa.Connection) -> bool:
    """Whether there is none of the tables, so that they can be made at once as they are at :data:`HEAD`.

    That spares every new service the time and the memory of Alembic; a test compares both ways.
    """
    present = sa.inspect(connection).get_table_names(schema=metadata.schema)
    return not {table.name for table in metadata.sorted_tables}.intersection(present)


def _upgrade(connection: sa.Connection) -> None:
    """Run the migrations that are missing, in the transaction."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_migrations()).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise NotLoaded(
            f"The admin schema of the database is not of this version ({error}); "
            "a newer version of the service may have used it."
        ) from error


def _migrations() -> Path:
    """``migrations/`` beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "migrations"
    return inside if inside.is_dir() else package.parent / "migrations"


@contextmanager
def transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that holds the generation lock: one at a time, over every worker and host."""
    transactional = engine.execution_options(isolation_level="READ COMMITTED")
    with transactional.begin() as connection:
        limit(connection, _GENERATION_SECONDS)
        timeout = sa.func.set_config("statement_timeout", _GENERATION_TIMEOUT, True)
        connection.execute(sa.select(timeout))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_GENERATION_LOCK)))
        yield connection


def live_digest(connection: sa.Connection) -> str | None:
    """The digest of what is live, or ``None`` when nothing has been generated."""
    newest = sa.select(generation.c.digest).order_by(generation.c.id.desc()).limit(1)
    digest: str | None = connection.scalar(newest)
    return digest


def live(connection: sa.Connection) -> Generation | None:
    """What is live, or ``None`` when nothing has been generated."""
    row = connection.execute(
        sa.select(
            generation.c.id,
            generation.c.digest,
            generation.c.payload,
            sa.cast(generation.c.associations, sa.Text).label("associations"),
        )
        .order_by(generation.c.id.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    associations = {
        name: PhysicalAssociation(**physical)
        for name, physical in json.loads(row.associations).items()
    }
    return Generation(row.id, row.digest, row.payload.encode(), associations)


def was_live(connection: sa.Connection, digest: str) -> bool:
    """Whether a data resource has ever been live."""
    found = sa.select(sa.exists().where(generation.c.digest == digest))
    return bool(connection.scalar(found))


def record(
    connection: sa.Connection,
    digest: str,
    payload: bytes,
    associations: Mapping[str, PhysicalAssociation],
) -> None:
    """Make a data resource the live one, when the transaction commits."""
    connection.execute(
        generation.insert().values(
            digest=digest,
            payload=payload.decode(),
            associations={name: asdict(physical) for name, physical in associations.items()},
        )
    )


# ── drafts ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Draft:
    """A Table Schema that was PUT, and the OpenAPI document drafted from it, both as JSON text."""

    id: int
    tableschema: str
    swagger: str


def drafts(engine: sa.Engine, id_: int | None = None) -> list[Draft]:
    """Every draft in the order of their numbers, or the one with this number."""
    text = [
        sa.func.coalesce(sa.cast(column, sa.Text), "null").label(column.name)
        for column in (table_schema.c.tableschema, table_schema.c.swagger)
    ]
    chosen = sa.select(table_schema.c.id, *text).order_by(table_schema.c.id)
    if id_ is not None:
        chosen = chosen.where(table_schema.c.id == id_)
    with engine.connect() as connection:
        return [Draft(row.id, row.tableschema, row.swagger) for row in connection.execute(chosen)]


def save_draft(engine: sa.Engine, draft: Draft) -> None:
    """Insert a draft, or replace the one with its number."""
    statement: Any = sa.text(
        "INSERT INTO admin.table_schema (id, tableschema, swagger) "
        "VALUES (:id, CAST(:tableschema AS jsonb), CAST(:swagger AS jsonb)) "
        "ON CONFLICT (id) DO UPDATE "
        "SET tableschema = excluded.tableschema, swagger = excluded.swagger"
    )
    with engine.connect() as connection:
        connection.execute(statement, asdict(draft))


def delete_draft(engine: sa.Engine, id_: int) -> bool:
    """Delete a draft; whether there was one."""
    with engine.connect() as connection:
        deleted = connection.execute(table_schema.delete().where(table_schema.c.id == id_))
        return deleted.rowcount > 0

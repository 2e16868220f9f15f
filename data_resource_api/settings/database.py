"""Where the database is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from data_resource_api.database_url import parse_database_url, parse_replica_urls
from data_resource_api.variables import flag, variable, whole_number


@dataclass(frozen=True, kw_only=True)
class DatabaseSettings:
    """The database: one's own, or the embedded one."""

    database_url: str | None = variable(
        "DATABASE_URL",
        "The database, as a URL. Wins over POSTGRES_*. With neither, TEST and LOCAL use the embedded "
        "PostgreSQL; PRODUCTION refuses to start.",
        parse_database_url,
        secret=True,
    )
    database_read_url: tuple[str, ...] | None = variable(
        "DATABASE_READ_URL",
        "Replicas that answer reads, as URLs separated by spaces or commas; writes and everything else go "
        "to DATABASE_URL.",
        parse_replica_urls,
        secret=True,
    )
    pooler: bool = variable(
        "DRG_POOLER",
        "1 where a pooler that hands out connections per transaction, such as PgBouncer, stands before "
        "the database: nothing is then set for a session.",
        flag,
        False,
    )
    postgres_user: str | None = variable("POSTGRES_USER", "The database's user.")
    postgres_password: str | None = variable(
        "POSTGRES_PASSWORD", "The database user's password.", secret=True
    )
    postgres_hostname: str | None = variable("POSTGRES_HOSTNAME", "The database's host.")
    postgres_port: int = variable(
        "POSTGRES_PORT", "The database's port.", whole_number(1, 65535), 5432
    )
    postgres_database: str | None = variable("POSTGRES_DATABASE", "The database's name.")
    data_dir: Path = variable(
        "DRG_DATA_DIR", "The folder of the embedded PostgreSQL.", Path, Path("var")
    )

    @property
    def sqlalchemy_url(self) -> str | None:
        """The database's URL with its password, or ``None`` for the embedded PostgreSQL."""
        if self.database_url is not None:
            return self.database_url
        stated = (
            self.postgres_user,
            self.postgres_password,
            self.postgres_hostname,
            self.postgres_database,
        )
        if not any(stated):
            return None
        return server_url(
            self.postgres_user or "postgres",
            self.postgres_password,
            self.postgres_hostname or "localhost",
            self.postgres_port,
            self.postgres_database or self.postgres_user or "postgres",
        )


def server_url(user: str, password: str | None, host: str, port: int, database: str) -> str:
    """The URL of a database, its password in it; a host that is a folder is that of a socket."""
    folder = host.startswith("/")
    url = sa.URL.create(
        "postgresql+psycopg2",
        user,
        password,
        None if folder else host,
        None if folder else port,
        database,
        {"host": host, "port": str(port)} if folder else {},
    )
    return url.render_as_string(hide_password=False)

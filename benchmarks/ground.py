"""The ground that all servers stand on: one PostgreSQL, one database, the same tables and rows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2

from benchmarks import processes
from data_resource_api.database.embedded import join
from tests.service import Database, entry, open_folder, payload

#: Rows of the tables that every workload but those at scale are about.
ROWS = 10_000
#: Books of each author; there are :data:`ROWS` of them.
BOOKS = 10
#: Rows that a table holds "at a million".
MILLION = 1_000_000

#: Four of each, with the key and ``code``: thirty columns.
_MIXED = {
    "string": "'text number ' || n",
    "integer": "n % 1000",
    "number": "n / 7.0",
    "boolean": "n % 2 = 0",
    "date": "date '2020-01-01' + n % 1000",
    "datetime": "timestamp '2020-01-01' + n * interval '1 minute'",
    "object": """jsonb_build_object('n', n, 'tags', '["a","b"]'::jsonb)""",
}
WIDE = {f"{kind}_{n}": (kind, value) for n in range(4) for kind, value in _MIXED.items()}


def document() -> dict[str, Any]:
    """The payload that makes the tables."""
    name = {"name": "name", "type": "string"}
    code = {"name": "code", "type": "string", "constraints": {"unique": True}}
    author = {"name": "author_id", "type": "integer"}
    written_by = {
        "fields": "author_id",
        "reference": {"resource": "authors", "fields": "id"},
    }
    wide = [{"name": column, "type": kind} for column, (kind, _) in WIDE.items()]
    return payload(
        entry("people", name),
        entry("teams", name),
        entry("wide", code, *wide),
        entry("million", name),
        entry("authors", name),
        entry("books", {"name": "title", "type": "string"}, author, foreignKeys=[written_by]),
        pairs=[("people", "teams")],
    )


@dataclass
class Ground:
    """Where servers are started.

    :ivar folder: for files of theirs.
    :ivar postmaster: PostgreSQL's main process, or ``None`` where it is on another machine.
    :ivar notices: what could not be measured here, and why.
    """

    folder: Path
    server_url: str
    database: Database
    workers: int
    million: int
    postmaster: int | None
    version: str
    notices: list[str] = field(default_factory=list)
    _changed: bool = True

    def fill(self) -> None:
        """Put rows into the tables that no workload changes."""
        columns = ", ".join(f'"{name}"' for name in WIDE)
        values = ", ".join(value for _, value in WIDE.values())
        self.database.execute(
            f"INSERT INTO wide (code, {columns}) "
            f"SELECT 'code ' || n, {values} FROM generate_series(1, {ROWS}) n; "
            f"INSERT INTO million (name) SELECT 'name ' || n FROM generate_series(1, {self.million}) n; "
            "INSERT INTO authors (name) "
            f"SELECT 'name ' || n FROM generate_series(1, {ROWS // BOOKS}) n; "
            "INSERT INTO books (title, author_id) "
            f"SELECT 'title ' || n, (n - 1) / {BOOKS} + 1 FROM generate_series(1, {ROWS}) n"
        )
        for table in ("wide", "million", "authors", "books"):
            self.database.execute(f"VACUUM ANALYZE {table}")
        self.restore()

    def restore(self) -> None:
        """Have the tables that workloads change as they were, if one did."""
        if not self._changed:
            return
        self.database.execute(
            'TRUNCATE people, teams, "people/teams" RESTART IDENTITY; '
            f"INSERT INTO people (name) SELECT 'name ' || n FROM generate_series(1, {ROWS}) n; "
            "INSERT INTO teams (name) SELECT 'name ' || n FROM generate_series(1, 100) n"
        )
        for table in ("people", "teams", '"people/teams"'):
            self.database.execute(f"VACUUM ANALYZE {table}")
        self._changed = False

    def changed(self) -> None:
        """A workload has changed rows."""
        self._changed = True


@contextmanager
def server() -> Iterator[str]:
    """A PostgreSQL: ``DATABASE_URL`` where it is set, the embedded one otherwise."""
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    with open_folder() as folder:
        embedded = join(folder)
        try:
            yield embedded.url
        finally:
            embedded.release()


@contextmanager
def ground(server_url: str, folder: Path, *, workers: int, million: int) -> Iterator[Ground]:
    """An empty database on a server."""
    database = Database(server_url)
    try:
        connection = psycopg2.connect(database.url)
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version")
            version = str(cursor.fetchall()[0][0]).split()[0]
            local = str(connection.info.host or "/").startswith("/")
            postmaster = processes.parent(connection.info.backend_pid) if local else None
        connection.close()
        yield Ground(folder, server_url, database, workers, million, postmaster, version)
    finally:
        database.drop()

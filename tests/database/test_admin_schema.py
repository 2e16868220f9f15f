"""The service's own tables: made at once in a new database, migrated in an older one."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from data_resource_api.database.admin_schema import HEAD, migrate, transaction
from data_resource_api.database.engine import create_engine
from tests.service import Database

#: Every column, constraint and index, as PostgreSQL tells of them.
DESCRIPTION = """
    SELECT 'column', table_name, column_name, data_type, is_nullable, column_default, is_identity,
        identity_generation, character_maximum_length::text
    FROM information_schema.columns WHERE table_schema = 'admin'
    UNION ALL
    SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid),
        NULL, NULL, NULL, NULL, NULL
    FROM pg_constraint WHERE connamespace = 'admin'::regnamespace
    UNION ALL
    SELECT 'index', tablename, indexname, indexdef, NULL, NULL, NULL, NULL, NULL
    FROM pg_indexes WHERE schemaname = 'admin'
    UNION ALL
    SELECT 'version', version_num, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM admin.drg_version
    ORDER BY 1, 2, 3, 4
"""


def described(database: Database) -> list[Any]:
    return database.execute(DESCRIPTION)


def engine_url(database: Database) -> str:
    return database.url.replace("postgresql://", "postgresql+psycopg2://")


def prepare(database: Database) -> None:
    engine = create_engine(engine_url(database), pool_size=1, statement_timeout=10_000)
    try:
        migrate(engine)
        migrate(engine)
    finally:
        engine.dispose()


def test_a_new_database_gets_the_tables_that_the_migrations_give(server_url: str) -> None:
    new, older = Database(server_url), Database(server_url)
    try:
        older.execute("CREATE SCHEMA admin")
        older.execute(
            "CREATE TABLE admin.table_schema (id integer PRIMARY KEY, tableschema jsonb, swagger jsonb)"
        )
        prepare(new)
        prepare(older)
        assert described(new) == described(older)
        assert len(described(new)) > 10
    finally:
        new.drop()
        older.drop()


def test_workers_that_start_at_once_prepare_a_database_once(database: Database) -> None:
    locked = create_engine(engine_url(database), pool_size=1, statement_timeout=10_000)
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with ThreadPoolExecutor() as threads:
        with transaction(locked):
            workers = [threads.submit(prepare, database) for _ in range(3)]
            while database.execute(waiting) != [(3,)]:
                time.sleep(0.02)
        for worker in workers:
            worker.result()
    locked.dispose()
    assert database.execute("SELECT version_num FROM admin.drg_version") == [(HEAD,)]


def test_a_new_database_is_prepared_without_the_memory_of_alembic(database: Database) -> None:
    program = """if True:
        import sys
        from data_resource_api.database.admin_schema import migrate
        from data_resource_api.database.engine import create_engine

        migrate(create_engine(sys.stdin.read(), pool_size=1, statement_timeout=10_000))
        print("alembic" in sys.modules)
    """
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, input=engine_url(database), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"

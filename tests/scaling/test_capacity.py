"""Connections: what the workers may open is compared with what PostgreSQL lets in."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_resource_api.database.capacity import allowed_connections, shortage
from data_resource_api.database.engine import create_engine
from tests.scaling.postgres import wait_for
from tests.service import Database, running


def test_more_connections_than_postgresql_lets_in_are_a_warning(
    tmp_path: Path, server_url: str
) -> None:
    """Where they suffice, nothing is said. Here it is the database that has a limit of its own."""
    with running(tmp_path, server_url, workers=1, DRG_POOL_SIZE="7") as service:
        wait_for("it serves", lambda: "Serving on" in service.log())
        service.stop()
        assert "DRG_POOL_SIZE" not in service.log()
        database = service.database
        assert database is not None
        database.execute(f'ALTER DATABASE "{database.name}" CONNECTION LIMIT 6')
        service.start()
        warning = "1 x DRG_POOL_SIZE=7 are up to 7 connections, and PostgreSQL lets in 6"
        wait_for("a warning", lambda: warning in service.log())


def test_connections_that_are_kept_for_administrators_do_not_count(database: Database) -> None:
    ((most, kept),) = database.execute(
        "SELECT current_setting('max_connections')::int, "
        "current_setting('superuser_reserved_connections')::int"
    )
    engine = create_engine(
        database.url.replace("postgresql://", "postgresql+psycopg2://"),
        pool_size=1,
        statement_timeout=1000,
    )
    assert allowed_connections(engine) == most - kept
    engine.dispose()


@pytest.mark.parametrize(("workers", "pool_size", "allowed"), [(2, 8, 16), (1, 2, 97)])
def test_as_many_connections_as_there_are_suffice(
    workers: int, pool_size: int, allowed: int
) -> None:
    assert shortage(workers, pool_size, allowed) is None


def test_the_embedded_postgresql_has_connections_for_the_most_workers_by_default(
    database: Database,
) -> None:
    ((most,),) = database.execute("SELECT current_setting('max_connections')::int - 3")
    assert shortage(8, 8, most) is None

"""The primary dies, its replica is promoted, and the service goes on without a restart."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.scaling.load import load
from tests.scaling.postgres import nodes, wait_for
from tests.service import Database, Service, entry, payload


def fail_over(folder: Path, before: float, dead: float, after: float) -> None:
    """Under load: so many seconds each of the old primary, of none, and of the new one."""
    people, team = (entry(name, {"name": "name", "type": "string"}) for name in ("people", "team"))
    # A commit waits for the replica: what was answered 201 is there when the primary is gone.
    with nodes("primary", "standby") as (primary, standby):
        primary.wait_for(standby)
        database = Database(primary.url())
        service = Service(folder, database, workers=2)
        # The order says nothing: the one that takes writes is looked for.
        service.environment["DATABASE_URL"] = (
            f"postgresql://drg@127.0.0.1:{standby.port},127.0.0.1:{primary.port}/{database.name}"
        )
        service.start()
        try:
            service.generate(payload(people, team, pairs=[("people", "team")]))
            assert service.post("/team", {"name": "Blue"}).status_code == 201
            with load(service.url) as running:
                time.sleep(before)
                primary.kill()
                killed = time.monotonic()
                time.sleep(dead)
                assert service.post("/people", {"name": "x"}).status_code == 503
                standby.promote()
                promoted = time.monotonic()
                wait_for(
                    "the service writes again",
                    lambda: running.first_success(promoted) < float("inf"),
                )
                time.sleep(after)
            assert running.failures(allowed=(200, 201, 503)) == []
            rows = standby.execute("SELECT name FROM people", database.name)
            assert running.added() <= {name for (name,) in rows}
            assert service.post("/people", {"name": "x"}).status_code == 201
            assert service.generate({**payload(people), "touch_database": False})
            print(
                f"{running.statuses()}; the first write after {running.first_success(promoted):.2f} s "
                f"of promotion; the slowest answer between: {running.slowest(killed, promoted):.2f} s"
            )
            service.stop()
            assert "Traceback" not in service.log(), service.log()
        finally:
            service.kill()


def test_a_promoted_replica_is_written_to_and_no_write_is_lost(tmp_path: Path) -> None:
    fail_over(tmp_path, before=0.7, dead=0.5, after=0.5)


@pytest.mark.soak
def test_a_promoted_replica_is_written_to_and_no_write_of_a_long_load_is_lost(
    tmp_path: Path,
) -> None:
    fail_over(tmp_path, before=20, dead=10, after=20)

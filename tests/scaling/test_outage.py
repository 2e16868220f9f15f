"""PostgreSQL is stopped, or hangs, under load: 503 meanwhile, no restart, and no write answered wrongly."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.scaling.load import load
from tests.scaling.postgres import Node, nodes, wait_for
from tests.service import Database, Service, entry, payload

Step = Callable[[], object]


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with nodes("primary") as (primary,):
        yield primary


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, node: Node) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("outage")
    service = Service(folder, Database(node.url()), workers=2, DRG_STATEMENT_TIMEOUT="1000")
    service.start()
    try:
        people, team = (
            entry(name, {"name": "name", "type": "string"}) for name in ("people", "team")
        )
        service.generate(payload(people, team, pairs=[("people", "team")]))
        assert service.post("/team", {"name": "Blue"}).status_code == 201
        yield service
        service.stop()
        assert "Traceback" not in service.log(), service.log()
    finally:
        service.kill()


def under_load(service: Service, node: Node, away: float, stop: Step, start: Step) -> None:
    """Take the database away for so many seconds, and check every answer that the clients got."""
    assert service.database is not None
    with load(service.url) as running:
        time.sleep(0.5)
        stop()
        stopped = time.monotonic()
        time.sleep(away)
        starting = time.monotonic()
        start()
        started = time.monotonic()
        wait_for("the service writes again", lambda: running.first_success(started) < float("inf"))
        time.sleep(0.5)
    assert running.failures(allowed=(200, 201, 503)) == []
    refused = [answer for answer in running.answers if answer.status == 503]
    assert refused
    assert all(answer.retry_after for answer in refused)
    # From the moment that nothing is left to be answered from before, there are only 503s.
    settled = [a for a in running.answers if stopped + a.seconds < a.at < starting]
    assert {answer.status for answer in settled} == {503}
    rows = service.database.execute("SELECT name FROM people")
    assert running.added() <= {name for (name,) in rows}
    print(
        f"away for {started - stopped:.1f} s: {running.statuses()}; the slowest answer meanwhile "
        f"{running.slowest(stopped, started):.2f} s; writes again "
        f"{running.first_success(started):.2f} s after it was back"
    )


def test_a_stopped_database_means_503_and_no_lost_write(service: Service, node: Node) -> None:
    under_load(service, node, 4, node.stop, node.start)


@pytest.mark.soak
def test_a_database_that_is_stopped_for_long_means_503_and_no_lost_write(
    service: Service, node: Node
) -> None:
    """It prints what must be below 2 s: the slowest answer, and the time until it serves again."""
    under_load(service, node, 20, node.stop, node.start)


def test_a_database_that_hangs_holds_no_request_for_ever(service: Service, node: Node) -> None:
    """Every process of it is suspended: connections stay, and nothing is ever answered."""
    under_load(
        service, node, 6, lambda: node.signal(signal.SIGSTOP), lambda: node.signal(signal.SIGCONT)
    )


def test_writes_do_not_meet_connections_that_a_restart_has_closed(
    service: Service, node: Node
) -> None:
    """Too quick for anybody to notice: no request fails for want of a live connection."""
    for _ in range(16):
        assert service.post("/people", {"name": "before"}).status_code == 201
    node.stop()
    node.start()
    for _ in range(16):
        assert service.post("/people", {"name": "after"}).status_code == 201


def test_a_connection_to_a_server_that_has_become_read_only_is_thrown_away(
    service: Service, node: Node
) -> None:
    """A primary that was demoted: the next connection may lead to the one that takes writes."""

    def connections() -> set[int]:
        return {
            pid
            for (pid,) in node.execute(
                "SELECT pid FROM pg_stat_activity "
                "WHERE application_name = 'data-resource-generator'"
            )
        }

    def write() -> int:
        return service.post("/people", {"name": "late"}).status_code

    assert write() == 201
    before = connections()
    node.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    node.execute("SELECT pg_reload_conf()")
    try:
        wait_for("writes are refused", lambda: write() == 503)
        wait_for("every connection is another", lambda: write() and not before & connections())
    finally:
        node.execute("ALTER SYSTEM RESET default_transaction_read_only")
        node.execute("SELECT pg_reload_conf()")
    wait_for("writes are taken again", lambda: write() == 201)

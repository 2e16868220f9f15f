"""What ``drg serve`` survives, and how it ends."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import threading
import time
from pathlib import Path

import psycopg2
import requests

from tests.serve.processes import (
    NOTE,
    alive,
    end,
    listens,
    postmasters,
    processes,
    wait_for,
    wait_until_served,
    workers,
)
from tests.service import Database, Service, running


def test_a_killed_service_is_started_again_at_once_on_the_same_port_and_data(
    embedded: Service,
) -> None:
    """Its workers end by themselves; its PostgreSQL is joined by the next start."""
    embedded.start()
    wait_until_served(embedded)
    assert embedded.process is not None
    embedded.generate(NOTE)
    embedded.post("/note", {"text": "kept"})
    before = postmasters(embedded)
    left = workers(embedded)
    assert len(left) == 2
    embedded.process.kill()  # the master alone
    embedded.process.wait(30)
    again = Service(embedded.folder, None, port=embedded.port)
    again.log_file.unlink()
    try:
        again.start()
        wait_until_served(again)
        assert not set(left) & set(processes(f"--port {embedded.port}"))
        assert again.get("/note/1").json()["text"] == "kept"
        assert postmasters(again) == before
        assert end(again, signal.SIGTERM) == 0
        assert not postmasters(again)
    finally:
        again.kill()


def test_the_workers_of_a_killed_service_free_the_port(folder: Path, database: Database) -> None:
    service = Service(folder, database).start()
    wait_until_served(service)
    assert service.process is not None
    service.process.kill()
    service.process.wait(30)
    wait_for(lambda: not listens(service.port), 5)
    wait_for(lambda: not processes(f"--port {service.port}"), 5)


def test_a_worker_that_dies_is_replaced(folder: Path, server_url: str) -> None:
    with running(folder, server_url) as service:
        wait_until_served(service)
        service.generate(NOTE)
        dead, kept = workers(service)
        os.kill(dead, signal.SIGKILL)
        wait_for(lambda: len(set(workers(service)) - {dead}) == 2)
        assert kept in workers(service)
        wait_for(lambda: all(_status(service) == 200 for _ in range(20)))


def _status(service: Service) -> int:
    with contextlib.suppress(requests.ConnectionError):
        return service.get("/note").status_code
    return 0


# ── end ──────────────────────────────────────────────────────────────────────────────────────────


def other_thread(process: int) -> int:
    """A thread of a process that is not its main one, the one that was started last."""
    return max(int(task.name) for task in Path(f"/proc/{process}/task").iterdir())


def send_to_thread(process: int, thread: int, number: signal.Signals) -> None:
    """As the system does when it chooses another thread than the main one for a signal."""
    assert ctypes.CDLL(None, use_errno=True).tgkill(process, thread, number) == 0


def test_a_stop_that_another_thread_of_the_master_receives_is_heard(
    folder: Path, database: Database
) -> None:
    service = Service(folder, database).start()
    wait_until_served(service)
    assert service.process is not None
    master = service.process.pid
    assert other_thread(master) != master
    send_to_thread(master, other_thread(master), signal.SIGTERM)
    assert end(service) == 0


def test_a_stop_that_another_thread_of_a_worker_receives_is_heard(
    folder: Path, server_url: str
) -> None:
    with running(folder, server_url) as service:
        wait_until_served(service)
        worker = workers(service)[0]
        send_to_thread(worker, other_thread(worker), signal.SIGTERM)
        wait_for(lambda: worker not in workers(service))


def test_a_request_in_flight_finishes_when_the_service_is_told_to_stop(
    folder: Path, database: Database
) -> None:
    service = Service(folder, database, workers=1).start()
    service.generate(NOTE)
    service.post("/note", {"text": "slow"})
    answers: list[requests.Response] = []
    request = threading.Thread(target=lambda: answers.append(service.get("/note/1")))
    with contextlib.closing(psycopg2.connect(database.url)) as connection:
        connection.cursor().execute("LOCK TABLE note IN ACCESS EXCLUSIVE MODE")
        request.start()
        wait_for(lambda: database.execute("SELECT 1 FROM pg_locks WHERE NOT granted"))
        assert service.process is not None
        service.process.terminate()
        wait_for(lambda: not listens(service.port))  # no new requests
        assert alive(service)
        connection.rollback()
    request.join(20)
    assert [answer.json() for answer in answers] == [{"id": 1, "text": "slow"}]
    assert service.process.wait(20) == 0


def test_a_closed_terminal_stops_the_service_and_nohup_keeps_it(
    folder: Path, database: Database
) -> None:
    service = Service(folder, database, workers=1).start()
    wait_until_served(service)
    assert end(service, signal.SIGHUP) == 0
    kept = Service(folder, database, workers=1)
    kept.program = ["nohup", *kept.program]
    kept.log_file.unlink()
    kept.start()
    wait_until_served(kept)
    assert kept.process is not None
    kept.process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert kept.get("/-/health").status_code == 200
    assert end(kept, signal.SIGTERM) == 0

"""``drg serve`` as real processes: how it starts, what it survives and how it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
import requests

from data_resource_api.server import default_workers
from tests.service import (
    ROOT,
    Database,
    Service,
    entry,
    open_folder,
    payload,
    running,
)

NOTE = payload(entry("note", {"name": "text", "type": "string"}))

SPAWNING = """
import multiprocessing, sys
multiprocessing.set_start_method("spawn")
from data_resource_api.cli import main
main(sys.argv[1:])
"""
FAILING = """
import multiprocessing, sys
multiprocessing.set_start_method("fork")
from data_resource_api import cli, server
def create_app(settings):
    raise RuntimeError("the reason")
server.create_app = create_app
cli.main(sys.argv[1:])
"""


def processes(*marks: str) -> dict[int, str]:
    """The command lines, by process id, of the processes that mention all of these."""
    shown = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,stat=,args="], stdout=subprocess.PIPE, text=True, check=True
    )
    found = {}
    for line in shown.stdout.splitlines():
        number, status, *arguments = line.split(None, 2)
        if arguments and not status.startswith("Z") and all(mark in line for mark in marks):
            found[int(number)] = arguments[0]
    return found


def postmasters(service: Service) -> list[int]:
    return list(processes("bin/postgres ", f"{service.folder}/"))


def workers(service: Service) -> list[int]:
    assert service.process is not None
    return sorted(processes("serve", f"--port {service.port}").keys() - {service.process.pid})


def wait_for(condition: object, seconds: float = 20) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def wait_until_served(service: Service) -> None:
    """Every worker has started, so that whoever is asked answers."""
    wait_for(lambda: "Serving on" in service.log() or not alive(service))
    assert "Serving on" in service.log(), service.log()


def alive(service: Service) -> bool:
    return service.process is not None and service.process.poll() is None


def end(service: Service, *signals: signal.Signals) -> int:
    """Send these signals and return the exit code."""
    assert service.process is not None
    for number in signals:
        service.process.send_signal(number)
        time.sleep(0.02)
    code = service.process.wait(40)
    service.process = None
    return code


def listens(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return True
    return False


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A folder whose embedded PostgreSQL the tests of this module use in turn."""
    with open_folder() as folder:
        yield folder


@pytest.fixture
def embedded(home: Path) -> Iterator[Service]:
    """A service, not started, that has no database but the embedded one; its log is empty."""
    service = Service(home, None)
    service.log_file.unlink(missing_ok=True)
    yield service
    service.kill()
    for process in postmasters(service):
        os.kill(process, signal.SIGQUIT)
    wait_for(lambda: not postmasters(service))


# ── start ────────────────────────────────────────────────────────────────────────────────────────


def test_the_first_start_says_where_it_listens_where_the_data_is_and_what_to_do_next(
    embedded: Service,
) -> None:
    embedded.start()
    wait_until_served(embedded)
    wait_for(lambda: "drg generate" in embedded.log())
    database, serving, hint = embedded.log().splitlines()
    assert database.endswith(f"its data is in {embedded.folder}/var/postgres/server/data")
    assert serving.endswith(f"Serving on {embedded.url} with 2 workers.")
    assert f"`drg generate PAYLOAD.json --url {embedded.url}`" in hint
    assert len(postmasters(embedded)) == 1
    password = (embedded.folder / "var" / "postgres" / "password").read_text()
    assert not processes(password), "the password is in a process's arguments"
    assert password not in embedded.log()
    embedded.generate(NOTE)
    embedded.post("/note", {"text": "kept"})
    assert end(embedded, signal.SIGTERM) == 0
    assert not postmasters(embedded)
    assert not processes(f"--port {embedded.port}")
    assert embedded.log().count(" INFO ") == 3
    assert "Traceback" not in embedded.log()


def test_a_later_start_has_the_data_and_says_what_is_live(embedded: Service) -> None:
    embedded.start()
    wait_for(lambda: "is live" in embedded.log())
    assert f"A test is live: see {embedded.url}/ui/" in embedded.log()
    assert embedded.get("/note/1").json()["text"] == "kept"
    assert end(embedded, signal.SIGINT, signal.SIGINT, signal.SIGINT) == 0  # an impatient Ctrl-C
    assert not postmasters(embedded)
    assert "Traceback" not in embedded.log()


def test_workers_can_be_spawned_as_on_macos(embedded: Service) -> None:
    """Where workers are not forked, everything that they are given goes through a pipe."""
    embedded.program = [
        sys.executable,
        "-c",
        SPAWNING,
        "serve",
    ]
    embedded.start()
    wait_until_served(embedded)
    assert embedded.get("/note/1").json()["text"] == "kept"
    assert end(embedded, signal.SIGTERM) == 0
    assert not postmasters(embedded)


def test_a_stop_during_the_start_leaves_nothing_running(embedded: Service) -> None:
    embedded.start(wait=False)
    wait_for(lambda: postmasters(embedded))
    assert end(embedded, signal.SIGTERM) == 0, embedded.log()
    wait_for(lambda: not postmasters(embedded))
    assert "Traceback" not in embedded.log()


@pytest.mark.parametrize(("cores", "count"), [(1, 1), (3, 3), (64, 8)])
def test_there_is_a_worker_for_each_core_up_to_eight(
    monkeypatch: pytest.MonkeyPatch, cores: int, count: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert default_workers() == count
    monkeypatch.delattr(os, "sched_getaffinity")  # macOS has none
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert default_workers() == count


def test_a_port_in_use_is_one_clear_line(folder: Path) -> None:
    service = Service(folder, None)
    with socket.create_server(("127.0.0.1", service.port)):
        service.start(wait=False)
        assert service.process is not None
        assert service.process.wait(30) == 1
    assert service.log() == (
        f"drg: Port {service.port} on 127.0.0.1 is in use. "
        "Stop what listens there, or name another: --port.\n"
    )
    assert not (folder / "var").exists()


def test_a_host_that_is_not_this_machine_is_one_clear_line(folder: Path) -> None:
    service = Service(folder, None)
    service.arguments += ["--host", "192.0.2.1"]
    service.start(wait=False)
    assert service.process is not None
    assert service.process.wait(30) == 1
    assert service.log().startswith(f"drg: It cannot listen on 192.0.2.1, port {service.port}: ")
    assert service.log().count("\n") == 1


def test_every_wrong_setting_is_one_line(folder: Path) -> None:
    service = Service(
        folder, None, APP_ENV="STAGING", DRG_POOL_SIZE="many", DATABASE_URL="x:s3cr3t"
    )
    service.environment["DRG_POLL_SIZE"] = "8"
    service.start(wait=False)
    assert service.process is not None
    assert service.process.wait(30) == 2
    assert service.log().splitlines() == [
        "The environment variable DRG_POLL_SIZE is not known; did you mean DRG_POOL_SIZE?",
        "drg: APP_ENV must be one of TEST, LOCAL, PRODUCTION, not 'STAGING'.",
        "drg: DATABASE_URL must be a URL like postgresql://user:password@host:5432/database.",
        "drg: DRG_POOL_SIZE must be a whole number from 2 to 1000, not 'many'.",
    ]


def test_an_embedded_database_that_cannot_be_is_told_without_a_traceback(folder: Path) -> None:
    (folder / "var").write_text("a file, not a folder")
    service = Service(folder, None)
    service.start(wait=False)
    assert service.process is not None
    assert service.process.wait(30) == 1
    assert service.log().startswith("drg: The embedded PostgreSQL in ")
    assert "Traceback" not in service.log()


def test_workers_that_cannot_start_end_the_service_with_the_reason(
    folder: Path, database: Database
) -> None:
    """They are not tried again and again."""
    service = Service(folder, database)
    service.program = [
        sys.executable,
        "-c",
        FAILING,
        "serve",
    ]
    service.start(wait=False)
    assert service.process is not None
    assert service.process.wait(30) == 1
    assert service.log().splitlines()[-1] == "drg: The service cannot start: the reason"
    assert service.log().count("drg: ") == 1
    assert "respawn" not in service.log().lower()
    assert not processes(f"--port {service.port}")


# ── what it survives ─────────────────────────────────────────────────────────────────────────────


def test_a_killed_service_is_started_again_at_once_on_the_same_port_and_data(
    embedded: Service,
) -> None:
    """Its workers end by themselves; its PostgreSQL is joined by the next start."""
    embedded.start()
    wait_until_served(embedded)
    assert embedded.process is not None
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


# ── other servers ────────────────────────────────────────────────────────────────────────────────


def stopped(service: Service, number: signal.Signals) -> None:
    """End the service, after which its embedded PostgreSQL is gone."""
    assert service.process is not None
    for _ in range(3):  # as a person would who sees that nothing happened
        service.process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            service.process.wait(15)
            break
    assert service.process.poll() is not None
    wait_for(lambda: not postmasters(service))


def test_python_wsgi_py_is_drg_serve(embedded: Service) -> None:
    embedded.program = [sys.executable, str(ROOT / "wsgi.py")]
    embedded.start()
    wait_until_served(embedded)
    assert end(embedded, signal.SIGTERM) == 0
    assert not postmasters(embedded)


def test_flask_run_needs_no_flask_app(embedded: Service) -> None:
    """In the project's folder, Flask finds ``wsgi:app``; the embedded PostgreSQL ends with it."""
    embedded.program = [str(Path(sys.executable).with_name("flask")), "run"]
    embedded.arguments = ["--port", str(embedded.port)]
    embedded.cwd = ROOT
    embedded.start()
    assert embedded.get("/generator").status_code in (200, 404)
    assert len(postmasters(embedded)) == 1
    stopped(embedded, signal.SIGINT)
    assert "Traceback" not in embedded.log()


def test_any_wsgi_server_can_serve_wsgi_app(embedded: Service) -> None:
    """Here granian's own command line, whose workers end without Python's atexit."""
    embedded.program = [str(Path(sys.executable).with_name("granian")), "--interface", "wsgi"]
    embedded.arguments = ["--port", str(embedded.port), "--workers", "1", "wsgi:app"]
    embedded.cwd = ROOT
    embedded.start()
    assert embedded.get("/generator").status_code in (200, 404)
    assert len(postmasters(embedded)) == 1
    stopped(embedded, signal.SIGTERM)
    assert "Traceback" not in embedded.log()

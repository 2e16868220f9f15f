"""How ``drg serve`` starts, and what it says when it cannot."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from data_resource_api.server import default_workers
from tests.serve.processes import NOTE, end, postmasters, processes, wait_for, wait_until_served
from tests.service import Database, Service

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

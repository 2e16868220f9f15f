"""The database goes away and comes back: 503 at once, and no restart of the service."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_resource_api.database.embedded import EmbeddedPostgres, join
from tests.service import Database, Service, entry, payload


class Server:
    """A PostgreSQL of this module's own, which can be stopped."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.embedded: EmbeddedPostgres = join(directory)

    def stop(self) -> None:
        """SIGINT, PostgreSQL's fast shutdown."""
        pid = int((self.embedded.data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + 30
        while (self.embedded.data / "postmaster.pid").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def start(self) -> None:
        self.embedded.release()
        self.embedded = join(self.directory)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        server = Server(Path(folder) / "postgresql")
        yield server
        server.embedded.release()


@pytest.fixture
def service(tmp_path: Path, server: Server) -> Iterator[Service]:
    service = Service(tmp_path, Database(server.embedded.url), workers=2)
    service.start()
    service.generate(payload(entry("people", {"name": "name", "type": "string"})))
    yield service
    service.stop()
    assert "Traceback" not in service.log(), service.log()


def test_requests_are_503_while_the_database_is_away_and_answered_when_it_is_back(
    service: Service, server: Server
) -> None:
    assert service.post("/people", {"name": "Ada"}).status_code == 201
    server.stop()
    for method, path, body in (
        ("GET", "/people", None),
        ("GET", "/people/1", None),
        ("POST", "/people", {"name": "Bob"}),
        ("PUT", "/people/1", {"name": "Bob"}),
        ("POST", "/people/query", {"name": "Bob"}),
        ("POST", "/generator", payload(entry("other"))),
        ("GET", "/tableschema", None),
        ("GET", "/-/ready", None),
    ):
        began = time.monotonic()
        response = service.request(method, path, body)
        assert response.status_code == 503, (method, path, response.text)
        assert int(response.headers["Retry-After"]) > 0
        assert "error" in response.json()
        assert time.monotonic() - began < 20
    assert service.get("/-/health").status_code == 200
    server.start()
    deadline = time.monotonic() + 20
    while service.get("/people/1").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    while not all(service.get("/people/1").status_code == 200 for _ in range(20)):
        assert time.monotonic() < deadline, "every worker recovers"
    assert service.post("/people", {"name": "Bob"}).status_code == 201


def test_a_service_starts_while_the_database_is_away_and_serves_when_it_is_there(
    service: Service, server: Server
) -> None:
    service.post("/people", {"name": "Ada"})
    service.stop()
    server.stop()
    service.start()
    for path in ("/people/1", "/-/ready", "/generator"):
        response = service.get(path)
        assert response.status_code == 503
        assert "Retry-After" in response.headers
    server.start()
    deadline = time.monotonic() + 20
    while service.get("/people/1").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_statement_that_takes_too_long_is_503(tmp_path: Path, server: Server) -> None:
    database = Database(server.embedded.url)
    service = Service(tmp_path, database, workers=1, DRG_STATEMENT_TIMEOUT="300")
    service.start()
    try:
        service.generate(payload(entry("people")))
        import psycopg2

        with contextlib.closing(psycopg2.connect(database.url)) as connection:
            connection.cursor().execute("LOCK TABLE people IN ACCESS EXCLUSIVE MODE")
            response = service.get("/people")
            assert response.status_code == 503
            assert "DRG_STATEMENT_TIMEOUT" in response.json()["error"]
        assert service.get("/people").status_code == 200
    finally:
        service.stop()

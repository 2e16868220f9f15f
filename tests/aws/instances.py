"""Instances of the service in a cloud: how they are locked, what they are told, what they serve."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from tests.cloud import REGION
from tests.command_line import run
from tests.service import Database, entry, free_port, payload

BOOKS = payload(entry("book", {"name": "title", "type": "string"}))


@dataclass(frozen=True)
class Access:
    """How instances are locked, and what opens them."""

    settings: dict[str, str]
    headers: dict[str, str]


def secret_of(url: str) -> dict[str, object]:
    """A database's secret, as Secrets Manager keeps it."""
    parts = sa.make_url(url)
    return {
        "username": parts.username,
        "password": parts.password,
        "host": parts.host or parts.query["host"],
        "port": parts.port or parts.query.get("port", 5432),
    }


def sm_settings(name: str, database: str) -> dict[str, str]:
    """The variables that take the address of a database from a secret."""
    return {
        "AWS_SM_ENABLED": "1",
        "AWS_SM_NAME": name,
        "AWS_SM_REGION": REGION,
        "AWS_SM_DBNAME": database,
    }


def eventually(check: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something that has to come about in so many seconds."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(0.1)


def live_payload(database: Database) -> bytes:
    """What the database says is live."""
    ((text,),) = database.execute("SELECT payload FROM admin.generation ORDER BY id DESC LIMIT 1")
    return str(text).encode()


def serve(**settings: str) -> subprocess.CompletedProcess[str]:
    """Run ``drg serve`` where it ends by itself."""
    settings["AWS_EC2_METADATA_DISABLED"] = "true"
    return run("drg", "serve", "--port", str(free_port()), **settings)

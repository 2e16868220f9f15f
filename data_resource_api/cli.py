"""``drg``: serve, generate."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from data_resource_api.errors import ConfigurationError
from data_resource_api.settings import Settings


@click.group()
def drg() -> None:
    """Data Resource Generator: a database and a REST API from one JSON document."""


@drg.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8081, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--workers", default=None, type=click.IntRange(1, 64), help="Processes. [default: cores]"
)
def serve(host: str, port: int, workers: int | None) -> None:
    """Serve, with the embedded PostgreSQL where no database is configured."""
    from granian import Granian
    from granian.constants import Interfaces

    settings = Settings.from_environment()
    embedded = None
    if settings.sqlalchemy_url is None:
        from data_resource_api.database.embedded import join

        embedded = join(settings.data_dir)
    try:
        Granian(
            "data_resource_api.app:create_app",
            factory=True,
            address=host,
            port=port,
            interface=Interfaces.WSGI,
            workers=workers or min(os.cpu_count() or 1, 4),
            blocking_threads=4,
        ).serve()
    finally:
        if embedded:
            embedded.release()


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; configuration errors are told without a traceback."""
    try:
        return drg(arguments)
    except ConfigurationError as error:
        for line in error.errors:
            click.echo(f"drg: {line}", err=True)
        sys.exit(2)


__all__ = ["Path", "drg", "main"]

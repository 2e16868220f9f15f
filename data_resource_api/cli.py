"""``drg``: serve, generate, routes. The same commands are a group of Flask's command line."""

from __future__ import annotations

from typing import Any, BinaryIO

import click

from data_resource_api import __version__
from data_resource_api.database.programs import EmbeddedPostgresError
from data_resource_api.errors import BadRequest, ConfigurationError
from data_resource_api.export import export_rows
from data_resource_api.inspection import config
from data_resource_api.json_text import read_json
from data_resource_api.key_commands import doctor, keys
from data_resource_api.running_service import (
    Refusal,
    RunningService,
    access_token,
    service_options,
)
from data_resource_api.settings import Settings
from data_resource_api.transfer import import_rows


class Misconfigured(Refusal):
    """A setting is wrong or missing; each line names one, and the remedy."""

    exit_code = 2


class _Group(click.Group):
    """A group whose commands end with a sentence, not with a traceback, where we know the reason."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            raise Misconfigured(*error.errors) from error
        except EmbeddedPostgresError as error:
            raise Refusal(*str(error).splitlines()) from error


@click.group(cls=_Group)
@click.version_option(__version__, prog_name="drg")
def drg() -> None:
    """Data Resource Generator: a database and a REST API from one JSON document."""


@drg.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", default=8081, show_default=True, type=click.IntRange(1, 65535), help="The port."
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Processes.  [default: one for each core, up to 8]",
)
def serve(host: str, port: int, workers: int | None) -> None:
    """Serve, with the embedded PostgreSQL where no database is configured."""
    from data_resource_api import server

    settings = Settings.from_environment()
    try:
        server.serve(settings, host=host, port=port, workers=workers or server.default_workers())
    except server.CannotServe as error:
        raise Refusal(str(error)) from error


@drg.command()
@click.argument("payload", type=click.File("rb"))
@service_options
def generate(payload: BinaryIO, url: str, token_file: BinaryIO | None) -> None:
    """Post a PAYLOAD (a file, or - for standard input) to a running service.

    A service in PRODUCTION wants an access token with its administration scope: in a file, or in the
    environment variable DRG_TOKEN. The process list shows arguments, so a token cannot be one.
    """
    service = RunningService(url, access_token(token_file))
    body = payload.read()
    try:
        read_json(body)
    except BadRequest as error:
        raise Refusal(f"{payload.name}: {error.detail}") from error
    service.ask("POST", "/generator", body)
    live = service.ask("GET", "/generator")
    tables = ", ".join(table["name"] for table in live["tables"])
    click.echo(f"{live['name']} is live: {service.url}/ui/")
    click.echo(f"Tables: {tables}")


@drg.command()
def routes() -> None:
    """List the operations of what is live."""
    from data_resource_api.app import create_app

    live = create_app().extensions["data_resource_api"].current
    if live.problem is not None:
        raise Refusal(live.problem.detail, *live.problem.errors)
    if live.resource is None:
        raise Refusal("Nothing has been generated yet.")
    for operation in live.resource.operations:
        click.echo(f"{operation.verb.upper():7}{operation.path}")


drg.add_command(import_rows)
drg.add_command(export_rows)
drg.add_command(config)
drg.add_command(keys)
drg.add_command(doctor)


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line."""
    return drg(arguments)

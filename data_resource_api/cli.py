"""``drg``: serve, generate, routes. The same commands are a group of Flask's command line."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, BinaryIO, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

import click

from data_resource_api import __version__
from data_resource_api.database.programs import EmbeddedPostgresError
from data_resource_api.errors import BadRequest, ConfigurationError
from data_resource_api.inspection import config
from data_resource_api.json_text import read_json
from data_resource_api.key_commands import doctor, keys
from data_resource_api.settings import TOKEN_VARIABLE, Settings
from data_resource_api.variables import secret_text

DEFAULT_URL: Final = "http://127.0.0.1:8081"
#: A payload of hundreds of tables takes seconds.
TIMEOUT_SECONDS: Final = 300
#: RFC 6750, section 2.1.
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")

#: What to do about a refusal, by its status and by whether a token was sent.
_REMEDIES: Final[Mapping[tuple[int, bool], tuple[str]]] = {
    (401, False): (
        f"The service wants an access token: put it in a file for --token-file, or in {TOKEN_VARIABLE}.",
    ),
    (401, True): (
        "The token is not accepted: it may have expired, or be for another service or provider.",
    ),
    (403, True): (
        "The token is valid, but has not the scope for this (OAUTH2_ADMIN_SCOPE of the service).",
    ),
}


class Refusal(click.ClickException):
    """The command cannot do what it was asked; each line tells why."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines

    def show(self, file: Any = None) -> None:
        """Print every line to standard error."""
        for line in self.lines:
            click.echo(f"drg: {line}", err=True, file=file)


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
@click.option("--url", default=DEFAULT_URL, show_default=True, help="The service.")
@click.option(
    "--token-file",
    metavar="FILE",
    type=click.File("rb"),
    help="A file with the access token to send, or - for standard input.  [default: DRG_TOKEN]",
)
def generate(payload: BinaryIO, url: str, token_file: BinaryIO | None) -> None:
    """Post a PAYLOAD (a file, or - for standard input) to a running service.

    A service in PRODUCTION wants an access token with its administration scope: in a file, or in the
    environment variable DRG_TOKEN. The process list shows arguments, so a token cannot be one.
    """
    service = _Service(url, _token(token_file))
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


def _token(file: BinaryIO | None) -> str | None:
    """The access token to send, from the file or from ``DRG_TOKEN``; ``None`` without either."""
    if file is None:
        source, text = TOKEN_VARIABLE, secret_text(os.environ, TOKEN_VARIABLE)
        if text is None:
            return None
    else:
        source, text = file.name, file.read().decode("utf-8", "replace")
    token = text.strip()
    if not _TOKEN.fullmatch(token):
        raise Refusal(f"{source} holds no access token: it must be the token alone, on one line.")
    return token


drg.add_command(config)
drg.add_command(keys)
drg.add_command(doctor)


class _Service:
    """A running service, as `drg generate` talks to it."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        self._token = token
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refusal(f"--url must be like {DEFAULT_URL}, not {url}")
        # A proxy, if there is one, is not for this machine's own addresses.
        here = _is_loopback(parts.hostname)
        proxies = ProxyHandler({}) if here else ProxyHandler()
        if token and parts.scheme == "http" and not here:
            click.echo(f"drg: Warning: the token is sent to {self.url} unencrypted.", err=True)
        self._open = build_opener(proxies).open

    def ask(self, verb: str, path: str, body: bytes | None = None) -> Any:
        """Send one request; return the answer's JSON, ``None`` for an empty one."""
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        request = Request(self.url + path, body, headers, method=verb)  # noqa: S310
        if self._token is not None:  # not for where a redirect leads: that may be another host
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        try:
            with self._open(request, timeout=TIMEOUT_SECONDS) as response:
                answer = response.read()
        except HTTPError as refusal:
            with refusal:
                raise Refusal(
                    *_reasons(refusal), *_REMEDIES.get((refusal.code, self._token is not None), ())
                ) from None
        except (URLError, HTTPException, OSError) as error:
            reason = getattr(error, "reason", error)
            if body is not None and isinstance(reason, BrokenPipeError | ConnectionResetError):
                raise Refusal(
                    f"The service at {self.url} does not read the payload's {len(body):,} bytes to "
                    "their end: that is more than its DRG_MAX_BODY_BYTES."
                ) from error
            raise Refusal(
                f"No service answers at {self.url}: {reason}. Start one with `drg serve`, "
                "or name another with --url."
            ) from error
        try:
            return json.loads(answer) if answer else None
        except ValueError:
            raise Refusal(f"What answers at {self.url} is not this service: no JSON.") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reasons(refusal: HTTPError) -> list[str]:
    """What the service says, fault by fault."""
    text = refusal.read().decode(errors="replace")
    try:
        body = json.loads(text)
        said = body.get("error") or body["message"]
        return [str(said), *map(str, body.get("errors", ()))]
    except (ValueError, AttributeError, KeyError):
        phrase = HTTPStatus(refusal.code).phrase if refusal.code in set(HTTPStatus) else ""
        return [f"The answer of {refusal.url} is {refusal.code} {phrase}: {text[:200]}"]


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line."""
    return drg(arguments)

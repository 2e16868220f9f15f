"""A service that is running somewhere, as the commands of ``drg`` talk to it."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener, getproxies, proxy_bypass

import click

from data_resource_api.settings import TOKEN_VARIABLE
from data_resource_api.variables import secret_text

if TYPE_CHECKING:
    from urllib3 import PoolManager

#: Formats of rows by their names, which are also the endings of files.
MEDIA_TYPES: Final = {
    "csv": "text/csv",
    "ndjson": "application/x-ndjson",
    "jsonl": "application/x-ndjson",
}

DEFAULT_URL: Final = "http://127.0.0.1:8081"
#: A payload of hundreds of tables takes seconds.
TIMEOUT_SECONDS: Final = 300
#: A service that has read all rows may take its DRG_IMPORT_TIMEOUT to add them.
_IMPORT_SECONDS: Final = 3_600
#: Bytes that are read at a time.
_BLOCK: Final = 2**16
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


def service_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--url`` and ``--token-file``."""
    token = click.option(
        "--token-file",
        metavar="FILE",
        type=click.File("rb"),
        help="A file with the access token to send, or - for standard input.  [default: DRG_TOKEN]",
    )
    url = click.option("--url", default=DEFAULT_URL, show_default=True, help="The service.")
    return url(token(command))


def access_token(file: BinaryIO | None) -> str | None:
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


class RunningService:
    """A running service, as a command talks to it."""

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

    def send(self, path: str, body: Iterable[bytes], headers: Mapping[str, str]) -> Any:
        """POST a body as it is made, in chunks; return the answer's JSON.

        A service may answer before it has read everything, which ``urllib`` does not wait to hear.
        """
        import urllib3

        headers = {"Accept": "application/json", **headers}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            answer = self._pool().request(
                "POST",
                self.url + path,
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(connect=TIMEOUT_SECONDS, read=_IMPORT_SECONDS),
                retries=False,
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            reason = getattr(error, "reason", None) or error
            raise Refusal(
                f"No answer comes from {self.url}: {reason}. Either nothing listens there, or it did not "
                "read to the end."
            ) from error
        if answer.status >= 300:
            remedies = _REMEDIES if answer.status == 401 else {}
            raise Refusal(
                *_said(answer.data.decode(errors="replace"), answer.status, self.url + path),
                *remedies.get((answer.status, self._token is not None), ()),
            )
        try:
            return json.loads(answer.data)
        except ValueError:
            raise Refusal(f"What answers at {self.url} is not this service: no JSON.") from None

    @contextmanager
    def receive(self, path: str, media_type: str) -> Iterator[Iterator[bytes]]:
        """GET something that is streamed, as it comes.

        :raises Refusal: it is refused, is something else, or breaks off.
        """
        request = Request(self.url + path, headers={"Accept": media_type})  # noqa: S310 (http by __init__)
        if self._token is not None:
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        try:
            with self._open(request, timeout=TIMEOUT_SECONDS) as response:
                if response.headers.get_content_type() != media_type:
                    raise Refusal(
                        f"What answers at {self.url} is not this service: no {media_type}."
                    )
                yield iter(lambda: response.read(_BLOCK), b"")
        except HTTPError as refusal:
            with refusal:
                raise Refusal(
                    *_reasons(refusal), *_REMEDIES.get((refusal.code, self._token is not None), ())
                ) from None
        except HTTPException as error:
            raise Refusal(
                "The service broke off: its log says why. What was written is not whole."
            ) from error
        except (URLError, ConnectionError, TimeoutError) as error:
            reason = getattr(error, "reason", error)
            raise Refusal(
                f"No answer comes from {self.url}, or not to its end: {reason}."
            ) from error

    def _pool(self) -> PoolManager:
        import urllib3

        parts = urlsplit(self.url)
        proxy = None
        if not (_is_loopback(parts.hostname or "") or proxy_bypass(parts.netloc)):
            proxy = getproxies().get(parts.scheme)
        context = ssl.create_default_context()  # whom urllib trusts
        if proxy:
            return urllib3.ProxyManager(proxy, ssl_context=context)
        return urllib3.PoolManager(ssl_context=context)

    def ask(self, verb: str, path: str, body: bytes | None = None) -> Any:
        """Send one request; return the answer's JSON, ``None`` for an empty one."""
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        request = Request(self.url + path, body, headers, method=verb)  # noqa: S310 (http by __init__)
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
    return _said(refusal.read().decode(errors="replace"), refusal.code, str(refusal.url))


def _said(text: str, status: int, url: str) -> list[str]:
    try:
        body = json.loads(text)
        said = body.get("error") or body["message"]
        return [str(said), *map(str, body.get("errors", ()))]
    except (ValueError, AttributeError, KeyError):
        phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
        return [f"The answer of {url} is {status} {phrase}: {text[:200]}"]

"""What a provider says about a token: a rule that is broken is what keeps it out."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote

import pytest

from data_resource_api.security import Grant, InvalidToken
from data_resource_api.security.fetch import Endpoint
from data_resource_api.security.introspection import RULES, IntrospectionVerifier
from tests.provider import AUDIENCE


class Answers(BaseHTTPRequestHandler):
    """An introspection endpoint that answers every question with what its path says."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = unquote(self.path[1:]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def introspected() -> Iterator[Callable[..., Grant]]:
    """Has a token verified about which the provider says this."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def verify(changes: Mapping[str, Any], *, without: str = "") -> Grant:
        claims = {name: value for name, value in (GOOD | changes).items() if value is not None}
        rules = {name: rule for name, rule in RULES.items() if name != without}
        url = f"http://127.0.0.1:{server.server_port}/{quote(json.dumps(claims), safe='')}"
        return IntrospectionVerifier(
            Endpoint(url), ("me", "secret"), "https://id.test", AUDIENCE, lambda: NOW, rules
        ).verify("x")

    yield verify
    server.shutdown()
    server.server_close()


NOW = 1_800_000_000.0

GOOD = {"active": True, "scope": "read", "aud": [AUDIENCE, "x"], "exp": NOW + 20, "nbf": NOW}


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        *(("active", {"active": value}) for value in (False, "true", "false", 1, None)),
        *(("exp", {"exp": value}) for value in (NOW - 61, 0, -1)),
        *(("nbf", {"nbf": value}) for value in (NOW + 61, "now", True)),
        *(("iss", {"iss": value}) for value in ("https://evil.test", "", 1)),
        *(("aud", {"aud": value}) for value in ("https://other.test", [], None, AUDIENCE[:-1])),
        *(("token_type", {"token_type": value}) for value in ("DPoP", "refresh_token", 1)),
    ],
)
def test_an_answer_that_breaks_a_rule_passes_without_that_rule_only(
    introspected: Callable[..., Grant], rule: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidToken) as caught:
        introspected(changes)
    assert caught.value.seconds == 10
    assert introspected(changes, without=rule).scopes == {"read"}


@pytest.mark.parametrize("value", ["tomorrow", True, [NOW + 20]])
def test_an_expiry_that_is_no_time_is_refused(
    introspected: Callable[..., Grant], value: Any
) -> None:
    with pytest.raises(InvalidToken):
        introspected({"exp": value})


def test_an_answer_is_believed_for_a_minute_at_most(introspected: Callable[..., Grant]) -> None:
    assert introspected({}).seconds == 20
    assert introspected({"exp": NOW + 3600}).seconds == 60
    assert introspected({"exp": None}).seconds == 60
    assert introspected({"iss": "https://id.test/", "token_type": "Bearer"}).scopes == {"read"}

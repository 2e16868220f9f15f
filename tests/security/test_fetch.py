"""What is fetched from a provider, and what is not believed of it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from data_resource_api.errors import ProviderUnavailable
from data_resource_api.security import fetch
from data_resource_api.security.fetch import Endpoint


class Odd(BaseHTTPRequestHandler):
    """An endpoint that misbehaves in the way that its path names."""

    def do_GET(self) -> None:
        self.server.paths.append(self.path)  # type: ignore[attr-defined]
        try:
            getattr(self, self.path[1:])()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def answer(self, code: int, body: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def good(self) -> None:
        self.answer(200, b'{"keys": []}', **{"Set-Cookie": "a=b"})

    def cookies(self) -> None:
        self.answer(200, b"%d" % len(self.headers.get_all("Cookie", [])))

    def redirect(self) -> None:
        self.answer(302, b"{}", Location="/good")

    def page(self) -> None:
        self.answer(200, b"<html>")

    def large(self) -> None:
        self.answer(200, b'"' + b"x" * (fetch.MOST_BYTES + 1) + b'"')

    def cut(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"{")

    def slow(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "10000000")
        self.end_headers()
        for _ in range(1000):
            self.wfile.write(b" ")
            if self.server.stopped.wait(0.01):  # type: ignore[attr-defined]
                break

    def nothing(self) -> None:
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def odd() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Odd)
    server.paths = []  # type: ignore[attr-defined]
    server.stopped = threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.stopped.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


def endpoint(server: ThreadingHTTPServer, path: str, **more: Any) -> Endpoint:
    return Endpoint(f"http://127.0.0.1:{server.server_port}/{path}", **more)


def test_an_answer_is_status_and_json(odd: ThreadingHTTPServer) -> None:
    assert endpoint(odd, "good").ask("GET") == (200, {"keys": []})


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("redirect", "redirects"),
        ("page", "not JSON"),
        ("large", "more than"),
        ("cut", "cannot be reached"),
        ("nothing", "cannot be reached"),
    ],
)
def test_an_odd_answer_is_none(odd: ThreadingHTTPServer, path: str, reason: str) -> None:
    with pytest.raises(ProviderUnavailable) as caught:
        endpoint(odd, path).ask("GET")
    assert reason in caught.value.reason
    assert "/good" not in odd.paths[-1]  # type: ignore[attr-defined]


def test_an_answer_that_drips_is_given_up(odd: ThreadingHTTPServer) -> None:
    """Each piece comes in time; the whole would not. The clock here runs ten times as fast."""
    fast = endpoint(odd, "slow", clock=lambda: time.monotonic() * 10)
    with pytest.raises(ProviderUnavailable) as caught:
        fast.ask("GET")
    assert re.search(r"takes more than \d+ seconds", caught.value.reason)


def test_a_provider_that_cannot_be_reached_is_left_alone_for_a_while(
    odd: ThreadingHTTPServer,
) -> None:
    now = [100.0]
    asked = endpoint(odd, "nothing", clock=lambda: now[0])
    before = len(odd.paths)  # type: ignore[attr-defined]
    for _ in range(5):
        with pytest.raises(ProviderUnavailable):
            asked.ask("GET")
    assert len(odd.paths) == before + 1  # type: ignore[attr-defined]
    now[0] += fetch.RESPITE_SECONDS
    with pytest.raises(ProviderUnavailable):
        asked.ask("GET")
    assert len(odd.paths) == before + 2  # type: ignore[attr-defined]


def test_no_proxy_stands_before_loopback_and_no_cookie_is_kept(
    odd: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    asked = endpoint(odd, "good")
    asked.ask("GET")
    asked.url = endpoint(odd, "cookies").url
    assert asked.ask("GET") == (200, 0)

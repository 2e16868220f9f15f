"""Each provider over HTTP: asked, rotated, switched off and on again; and what stops a start."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from data_resource_api import create_app, security
from data_resource_api.errors import ConfigurationError, ProviderUnavailable
from data_resource_api.security import Grant, InvalidToken, Provider, fetch
from data_resource_api.security.fetch import Endpoint
from data_resource_api.security.providers import address_fault
from data_resource_api.settings import Settings
from tests import provider as real
from tests.provider import AUDIENCE
from tests.service import Database, Service, entry, payload, running

ADMIN = "drg:admin"


@pytest.fixture
def provider() -> Iterator[real.Provider]:
    provider = real.Provider()
    yield provider
    provider.stop()


def status(service: Service, headers: dict[str, str], path: str = "/generator") -> int:
    return service.get(path, headers=dict(headers)).status_code


def unavailable(service: Service, headers: dict[str, str]) -> None:
    response = service.get("/generator", headers=dict(headers))
    assert response.status_code == 503, response.text
    assert response.json() == {"error": "The provider of tokens cannot be asked."}
    assert int(response.headers["Retry-After"]) > 0


def everywhere(service: Service, headers: dict[str, str], count: int = 20) -> set[int]:
    """The statuses of enough requests to reach every worker."""
    return {status(service, headers) for _ in range(count)}


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────


def test_keys_are_rotated_and_the_provider_goes_and_comes_back(
    tmp_path: Path, server_url: str, provider: real.Provider
) -> None:
    """No restart, nobody locked out, no fetch that was not needed."""
    with running(tmp_path, server_url, workers=2, **provider.settings()) as service:
        old = provider.bearer(ADMIN)
        assert everywhere(service, old) == {404}  # nothing is generated, and that may be known

        provider.rotate()
        assert everywhere(service, provider.bearer(ADMIN)) == {404}
        assert provider.counts["/.well-known/jwks.json"] <= 4

        provider.stop()
        assert everywhere(service, provider.bearer(ADMIN)) == {404}
        assert everywhere(service, {"Authorization": "Bearer garbage"}) == {401}
        assert provider.counts["/.well-known/jwks.json"] <= 4


def test_a_provider_that_is_down_at_the_start_is_found_later(
    tmp_path: Path, server_url: str, provider: real.Provider
) -> None:
    provider.stop()
    with running(tmp_path, server_url, workers=1, **provider.settings()) as service:
        assert service.get("/-/ready").status_code == 200
        assert status(service, {}) == 401
        assert status(service, {"Authorization": "Bearer garbage"}) == 401
        unavailable(service, provider.bearer(ADMIN))
        assert f"The provider of tokens, {provider.issuer}/" in service.log()
        provider.start()
        deadline = time.monotonic() + 60
        while status(service, provider.bearer(ADMIN)) == 503 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert status(service, provider.bearer(ADMIN)) == 404


def test_a_thousand_forged_key_ids_cause_two_fetches_a_worker(
    tmp_path: Path, server_url: str, provider: real.Provider
) -> None:
    with running(tmp_path, server_url, workers=2, **provider.settings()) as service:
        token = provider.token(ADMIN, header={"kid": "forged"})
        statuses = set()
        for _ in range(20):
            connection = http.client.HTTPConnection("127.0.0.1", service.port)
            for _ in range(50):
                connection.request("GET", "/x", headers={"Authorization": f"Bearer {token}"})
                response = connection.getresponse()
                response.read()
                statuses.add(response.status)
            connection.close()
        assert statuses == {401}
        assert 2 <= provider.counts["/.well-known/jwks.json"] <= 4


# ── introspection ────────────────────────────────────────────────────────────────────────────────


def introspection(provider: real.Provider, **changes: str) -> dict[str, str]:
    return provider.settings(
        OAUTH2_PROVIDER="INTROSPECTION",
        OAUTH2_CLIENT_ID="operator",
        OAUTH2_CLIENT_SECRET="operator-secret",
        **changes,
    )


def test_the_provider_is_asked_about_a_token(
    tmp_path: Path, server_url: str, provider: real.Provider
) -> None:
    with running(tmp_path, server_url, workers=1, **introspection(provider)) as service:
        good = provider.bearer(ADMIN)
        assert status(service, {}) == 401
        assert status(service, good) == 404
        assert status(service, provider.bearer("")) == 403
        for bad in (
            "garbage",
            provider.token(ADMIN, exp=int(time.time()) - 3600),
            provider.token(ADMIN, nbf=int(time.time()) + 3600),
            provider.token(ADMIN, aud="https://other.test"),
            provider.token(ADMIN, aud=None),
            provider.token(ADMIN, iss="https://evil.test"),
        ):
            response = service.get("/generator", headers={"Authorization": f"Bearer {bad}"})
            assert response.status_code == 401
            assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
        revoked = provider.token(ADMIN)
        provider.revoked.add(revoked)
        assert status(service, {"Authorization": f"Bearer {revoked}"}) == 401

        before = provider.counts["/oauth/introspect"]
        assert everywhere(service, good) == {404}
        assert everywhere(service, {"Authorization": f"Bearer {revoked}"}) == {401}
        assert provider.counts["/oauth/introspect"] == before

        provider.stop()
        assert everywhere(service, good) == {404}
        for _ in range(3):
            unavailable(service, provider.bearer(ADMIN))
        assert everywhere(service, {"Authorization": f"Bearer {revoked}"}) == {401}
        assert "operator-secret" not in service.log()
        assert good["Authorization"][7:] not in service.log()


def test_a_provider_that_does_not_know_the_client_is_said_so_in_the_log(
    tmp_path: Path, server_url: str, provider: real.Provider
) -> None:
    settings = introspection(provider) | {"OAUTH2_CLIENT_SECRET": "wrong-canary"}
    with running(tmp_path, server_url, workers=1, **settings) as service:
        unavailable(service, provider.bearer(ADMIN))
        assert "answers 401: see OAUTH2_CLIENT_ID and OAUTH2_CLIENT_SECRET" in service.log()
        assert "wrong-canary" not in service.log()


# ── BrightHive ───────────────────────────────────────────────────────────────────────────────────


def test_brighthive_says_whether_a_token_is_valid(
    tmp_path: Path, server_url: str, provider: real.Provider
) -> None:
    settings = provider.settings(OAUTH2_PROVIDER="BRIGHTHIVE", OAUTH2_ADMIN_SCOPE="")
    with running(tmp_path, server_url, workers=1, **settings) as service:
        good = provider.bearer()
        stated = payload(entry("people"))
        assert service.post("/generator", stated, headers=dict(good)).status_code == 204
        assert status(service, good, "/people") == 200
        assert status(service, {}, "/people") == 401
        assert status(service, {"Authorization": "Bearer garbage"}, "/people") == 401
        expired = provider.bearer(exp=int(time.time()) - 3600)
        assert status(service, expired, "/people") == 401
        provider.stop()
        assert status(service, good, "/people") == 200
        unavailable(service, provider.bearer())


def test_an_administration_scope_that_brighthive_never_tells_closes_those_routes(
    tmp_path: Path, server_url: str, provider: real.Provider
) -> None:
    settings = provider.settings(OAUTH2_PROVIDER="BRIGHTHIVE", OAUTH2_ADMIN_SCOPE=ADMIN)
    with running(tmp_path, server_url, workers=1, **settings) as service:
        assert status(service, provider.bearer(ADMIN)) == 403
        assert "BRIGHTHIVE tells no scopes" in service.log()


# ── what is public ───────────────────────────────────────────────────────────────────────────────


def test_the_documentation_is_public_where_it_is_said_so(
    tmp_path: Path, server_url: str, provider: real.Provider
) -> None:
    settings = provider.settings(DRG_PUBLIC_DOCS="1", OAUTH2_ADMIN_SCOPE="a b")
    with running(tmp_path, server_url, workers=1, **settings) as service:
        headers = provider.bearer("b a")
        stated = payload(entry("people"))
        assert service.post("/generator", stated, headers=dict(headers)).status_code == 204
        assert status(service, {}, "/") == 200
        assert status(service, {}, "/static/swagger.json") == 200
        assert status(service, {}, "/generator") == 401
        assert status(service, provider.bearer("a")) == 403


def test_why_nothing_can_be_served_is_not_for_anybody(
    tmp_path: Path, server_url: str, provider: real.Provider
) -> None:
    static = tmp_path / "static"
    static.mkdir()
    (static / "data_resource_generation_payload.json").write_text("{")
    with running(tmp_path, server_url, workers=1, **provider.settings()) as service:
        assert status(service, {}, "/people") == 401
        assert status(service, provider.bearer(), "/people") == 503


# ── start ────────────────────────────────────────────────────────────────────────────────────────

URL = "https://id.example.org"


def refused(**changes: str | None) -> tuple[str, ...]:
    """What a start says of these variables."""
    stated = {
        "APP_ENV": "PRODUCTION",
        "DATABASE_URL": "postgresql://x",
        "OAUTH2_PROVIDER": "OIDC",
        "OAUTH2_URL": URL,
        "OAUTH2_AUDIENCE": AUDIENCE,
    }
    variables = {name: value for name, value in (stated | changes).items() if value is not None}
    try:
        security.guard_for(Settings.from_environment(variables))
    except ConfigurationError as error:
        return error.errors
    return ()


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({}, []),
        ({"OAUTH2_PROVIDER": "auth0"}, []),
        ({"OAUTH2_PROVIDER": "GOOGLE"}, ["OAUTH2_PROVIDER must be one of AUTH0, OIDC, BRIGHTHIVE"]),
        ({"OAUTH2_PROVIDER": "OI DC"}, ["OAUTH2_PROVIDER must be one word"]),
        ({"APP_ENV": "TEST", "OAUTH2_PROVIDER": "GOOGLE"}, ["OAUTH2_PROVIDER must be one of"]),
        (
            {"OAUTH2_URL": None, "OAUTH2_AUDIENCE": ""},
            ["OAUTH2_PROVIDER=OIDC needs OAUTH2_URL.", "OAUTH2_PROVIDER=OIDC needs OAUTH2_AUDIENCE."],
        ),
        ({"OAUTH2_URL": "http://id.example.org"}, ["OAUTH2_URL must be https; http is for"]),
        ({"OAUTH2_JWKS_URL": "ftp://id.example.org"}, ["OAUTH2_JWKS_URL must be a URL like"]),
        (
            {"OAUTH2_ALGORITHMS": "HS256 none"},
            ["OAUTH2_ALGORITHMS: HS256 is", "OAUTH2_ALGORITHMS: none is"],
        ),
        ({"OAUTH2_ADMIN_SCOPE": 'drg"admin'}, ["OAUTH2_ADMIN_SCOPE: 'drg\"admin' is not a scope"]),
        ({"OAUTH2_ALGORITHMS": ","}, ["OAUTH2_ALGORITHMS names no algorithm."]),
        ({"OAUTH2_ALGORITHMS": "RS256,PS512 ES384 EdDSA"}, []),
        (
            {"OAUTH2_PROVIDER": "INTROSPECTION", "OAUTH2_AUDIENCE": None},
            [
                "OAUTH2_PROVIDER=INTROSPECTION needs OAUTH2_CLIENT_ID.",
                "OAUTH2_PROVIDER=INTROSPECTION needs OAUTH2_CLIENT_SECRET.",
            ],
        ),
        (
            {"OAUTH2_PROVIDER": "BRIGHTHIVE"},
            ["OAUTH2_PROVIDER=BRIGHTHIVE needs OAUTH2_ADMIN_SCOPE: it tells no scopes."],
        ),
        ({"OAUTH2_PROVIDER": "BRIGHTHIVE", "OAUTH2_ADMIN_SCOPE": ""}, []),
    ],
    ids=str,
)  # fmt: skip
def test_a_start_says_everything_that_is_wrong(
    changes: dict[str, str | None], faults: list[str]
) -> None:
    said = refused(**changes)
    assert len(said) == len(faults), said
    for line, fault in zip(said, faults, strict=True):
        assert line.startswith(fault)


@pytest.mark.parametrize(
    "address",
    [
        "https://id.example.org", "https://id.example.org:8443/realms/x/", "http://localhost:9000",
        "http://127.0.0.1:9000/", "http://[::1]:9000", "HTTPS://ID.example.org",
    ],
)  # fmt: skip
def test_an_address_may_be_called(address: str) -> None:
    assert address_fault(address) is None


@pytest.mark.parametrize(
    "address",
    [
        "id.example.org", "https://", "https:///x", "http://id.example.org",
        "http://127.0.0.1.evil.test", "http://localhost@evil.test",
        "https://me:secret@id.example.org", "https://id.example.org?x", "https://id.example.org/#x",
        "https://id.example.org:port", "https://[::1", "file:///etc", "https://id.exa mple.org",
        "http://10.0.0.1", "javascript:alert(1)",
    ],
)  # fmt: skip
def test_an_address_may_not_be_called(address: str) -> None:
    assert address_fault(address) is not None


def test_an_empty_administration_scope_opens_nothing_where_tokens_have_scopes() -> None:
    """What a deployment's file leaves empty counts as not set."""
    from data_resource_api.security.providers import admin_security

    stated = {"OAUTH2_PROVIDER": "OIDC", "OAUTH2_ADMIN_SCOPE": ""}
    assert admin_security(Settings.from_environment(stated)) == (frozenset({ADMIN}),)
    assert admin_security(Settings.from_environment({})) == (frozenset({ADMIN}),)


def test_test_and_local_say_that_they_check_no_tokens(caplog: pytest.LogCaptureFixture) -> None:
    assert refused(APP_ENV="LOCAL", OAUTH2_URL=None) == ()
    assert caplog.messages == ["OAUTH2_PROVIDER is set, and APP_ENV=LOCAL checks no tokens."]


# ── a provider of one's own ──────────────────────────────────────────────────────────────────────


class Own:
    """Tokens that are their owner's name."""

    def verify(self, token: str) -> Grant:
        if not token.startswith("name-"):
            raise InvalidToken("The token is nobody's name.")
        return Grant(token[5:], scopes=frozenset({ADMIN}), seconds=60)


def test_a_deployment_may_add_a_provider(
    monkeypatch: pytest.MonkeyPatch, database: Database, tmp_path: Path
) -> None:
    monkeypatch.setitem(security.PROVIDERS, "MINE", Provider("Names.", lambda settings: Own()))
    app = create_app(
        Settings.from_environment(
            {
                "APP_ENV": "PRODUCTION",
                "DATABASE_URL": database.url,
                "DRG_STATIC_DIR": str(tmp_path),
                "OAUTH2_PROVIDER": "mine",
            }
        )
    )
    seen: dict[str, Any] = {}
    inner = app.wsgi_app

    def outer(environ: Any, start_response: Any) -> Any:
        seen["environ"] = environ
        return inner(environ, start_response)

    app.wsgi_app = outer  # type: ignore[method-assign]
    client = app.test_client()
    good = client.get("/tableschema", headers={"Authorization": "Bearer name-ada"})
    assert good.status_code == 200
    assert seen["environ"]["drg.subject"] == "ada"
    bad = client.get("/tableschema", headers={"Authorization": "Bearer x"})
    assert bad.status_code == 401
    assert "The token is nobody's name." in bad.headers["WWW-Authenticate"]
    app.extensions["data_resource_api"].engine.dispose()


# ── what is fetched ──────────────────────────────────────────────────────────────────────────────


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

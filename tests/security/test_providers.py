"""Each provider over HTTP: asked, rotated, switched off and on again."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_resource_api import create_app, security
from data_resource_api.security import Grant, InvalidToken, Provider
from data_resource_api.settings import Settings
from tests import provider as real
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

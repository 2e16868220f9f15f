"""Who is served: in TEST and LOCAL only clients on this machine, unless it is said otherwise."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_resource_api.errors import ConfigurationError, Forbidden
from data_resource_api.security import LoopbackOnly, guard_for, is_loopback_host
from data_resource_api.settings import Settings
from tests.service import Service, clean_environment, entry, payload, running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("security"), server_url, workers=1) as service:
        service.generate(payload(entry("people")))
        yield service


PATHS = ("/people", "/people/1", "/generator", "/swagger", "/tableschema", "/", "/ui/", "/nothing")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "example.org"},
        {"Host": "127.0.0.1.example.org"},
        {"Host": "10.0.0.1:8081"},
        {"Host": "localhost.example.org:8081"},
        {"Host": "evil@127.0.0.1"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Host": "localhost"},
        {"X-Real-IP": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"Via": "1.1 proxy"},
    ],
)
def test_a_request_that_is_not_of_this_machine_is_403(
    service: Service, headers: dict[str, str]
) -> None:
    for path in PATHS:
        response = service.get(path, headers=dict(headers))
        assert response.status_code == 403, path
        assert response.headers["Content-Type"] == "application/json"
        assert "DRG_ALLOW_ANONYMOUS" in response.json()["error"]
    assert service.post("/people", {}, headers=dict(headers)).status_code == 403
    assert service.post("/generator", {}, headers=dict(headers)).status_code == 403


def test_probes_are_for_anybody(service: Service) -> None:
    for path in ("/-/health", "/-/ready"):
        assert service.get(path, headers={"Host": "10.0.0.1"}).status_code == 200
    assert service.get("/-/other", headers={"Host": "10.0.0.1"}).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.9.9.9:8081"])
def test_every_loopback_name_is_served(service: Service, host: str) -> None:
    assert service.get("/people", headers={"Host": host}).status_code == 200


def test_a_form_of_a_web_page_cannot_drive_the_service(service: Service) -> None:
    """What a browser sends across origins without asking is never JSON."""
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        for page, status in (({}, 415), ({"Origin": "https://example.org"}, 403)):
            headers = {"Content-Type": media_type} | page
            assert service.post("/people", "{}", headers=dict(headers)).status_code == status
            assert service.post("/generator", "{}", headers=dict(headers)).status_code == status
    preflight = service.request("OPTIONS", "/people", headers={"Origin": "https://example.org"})
    assert "Access-Control-Allow-Origin" not in preflight.headers


def test_anybody_is_served_where_it_is_said_so(tmp_path: Path, server_url: str) -> None:
    with running(tmp_path, server_url, workers=1, DRG_ALLOW_ANONYMOUS="1") as service:
        headers = {"Host": "example.org", "X-Forwarded-For": "192.0.2.1"}
        assert service.get("/generator", headers=headers).status_code == 404


def environ(**changes: str) -> dict[str, Any]:
    return {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost:8081", **changes}


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", ""])
def test_a_loopback_address_passes(address: str) -> None:
    LoopbackOnly().check(environ(REMOTE_ADDR=address))


@pytest.mark.parametrize(
    "address", ["192.0.2.1", "10.0.0.1", "::ffff:192.0.2.1", "2001:db8::1", "x", "0.0.0.0"]
)
def test_another_address_does_not(address: str) -> None:
    with pytest.raises(Forbidden, match="loopback address"):
        LoopbackOnly().check(environ(REMOTE_ADDR=address))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("localhost.", True),
        ("[::1]:8081", True),
        ("[::1]", True),
        ("::1", True),
        ("", False),
        ("[2001:db8::1]:8081", False),
        ("127.0.0.1:8081@example.org", False),
        ("0.0.0.0:8081", False),
        ("example.org", False),
    ],
)
def test_a_host_is_a_loopback_name_or_not(host: str, expected: bool) -> None:
    assert is_loopback_host(host) is expected


def test_without_authorization_nothing_that_checks_tokens_is_imported() -> None:
    """It would only make a start slower."""
    program = (
        "import sys; from data_resource_api.app import create_app; "
        "from data_resource_api.security import guard_for; "
        "from data_resource_api.settings import Settings; guard_for(Settings()); "
        "print(sorted({'authlib', 'joserfc'} & set(sys.modules)))"
    )
    warnings = "ignore:Using `httpx` with `starlette.testclient` is deprecated"
    done = subprocess.run(
        [sys.executable, "-W", warnings, "-c", program],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_production_serves_nobody_without_tokens_that_can_be_checked() -> None:
    settings = Settings(
        app_env="PRODUCTION", database_url="postgresql+psycopg2://x", oauth2_provider="OIDC"
    )
    with pytest.raises(ConfigurationError, match="OIDC"):
        guard_for(settings)

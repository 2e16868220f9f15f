"""The pages over HTTP, without a browser: what they say, and with which headers."""

from __future__ import annotations

import html
import re
import time
from pathlib import Path

import pytest
import requests

from tests.service import Service, entry, payload, running
from tests.ui.pages import PAGES, text_of


@pytest.mark.parametrize("path", PAGES)
def test_nothing_generated_is_not_an_error(service: Service, path: str) -> None:
    answer = service.get(path)
    assert answer.status_code == 200
    assert "Nothing has been generated yet" in answer.text


def test_the_payload_on_the_empty_page_can_be_posted_as_it_is(
    tmp_path: Path, server_url: str
) -> None:
    """And the commands on the page that is there then are the ones that work."""
    with running(tmp_path, server_url, workers=1) as service:
        found = re.search(r'<code id="first-payload">(.*?)</code>', service.get("/").text, re.S)
        assert found is not None
        service.generate(html.unescape(found[1]))
        page = text_of(service.get("/").text)
        assert f"curl '{service.url}/person?limit=5'" in page
        body = re.search(r"-d '(\{.*?\})'", page, re.S)
        assert body is not None
        assert service.post("/person", body[1]).status_code == 201


@pytest.mark.parametrize("path", PAGES)
def test_a_client_that_wants_json_gets_the_page(live: Service, path: str) -> None:
    answer = live.get(path, headers={"Accept": "application/json"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("path", PAGES)
def test_what_cannot_be_served_is_explained(tmp_path: Path, server_url: str, path: str) -> None:
    with running(tmp_path, server_url, workers=1) as service:
        service.generate(payload(entry("thing")))
        service.stop()
        (service.static / "data_resource_generation_payload.json").write_text("{")
        service.start()
        answer = service.get(path)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "30"
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "is damaged" in answer.text
        service.generate(payload(entry("thing")))
        assert service.get(path).status_code == 200


def test_a_database_that_is_away_is_a_503_page_and_comes_back(
    tmp_path: Path, server_url: str
) -> None:
    with running(tmp_path, server_url, workers=1) as service:
        assert service.get("/").status_code == 200
        assert service.database is not None
        name = service.database.name
        service.database._on_server(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        service.database._on_server(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        answer = wait_for_status(service, 503)
        assert "The database cannot be reached." in answer.text
        assert answer.headers["Retry-After"]
        service.database._on_server(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        wait_for_status(service, 200)


def wait_for_status(service: Service, status: int) -> requests.Response:
    deadline = time.monotonic() + 20
    while (answer := service.get("/")).status_code != status:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)
    return answer


def test_unmatched_operations_and_rules_of_the_api_are_told(
    tmp_path: Path, server_url: str
) -> None:
    """With their reasons; so are tables without any operation, and long lists of choices."""
    document = payload(
        entry(
            "thing",
            {"name": "size", "type": "object", "constraints": {"minLength": 1}},
            {
                "name": "step",
                "type": "integer",
                "constraints": {"enum": list(range(30)), "minimum": 7, "maximum": 7},
            },
        ),
        entry("silent", {"name": "b", "type": "boolean", "constraints": {"enum": [True]}}),
        entry("write only"),
        entry("read one"),
        paths={
            "/thing": {"get": {"responses": {"200": {"description": "."}}}},
            "/thingy": {"get": {"responses": {"200": {"description": "."}}}},
            "/write only": {"post": {"responses": {"201": {"description": "."}}}},
            "/read one/{id}": {
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {}}],
                "get": {"responses": {"200": {"description": "."}}},
            },
        },
    )
    with running(tmp_path, server_url, workers=1) as service:
        service.generate(document)
        page = re.sub(r"\s+", " ", text_of(service.get("/").text))
    assert "1 operation that no table answers" in page
    assert "/thingy no table is called" in page
    assert "thing · size minLength" in page
    assert "at least 1 member " in page
    assert "exactly 7" in page
    assert "and 18 more" in page
    assert "one of true" in page
    assert "names no path of this table" in page
    assert f"curl -X POST {service.url}/write%20only" in page
    assert f"curl -X GET {service.url}/read%20one/1" in page


# ── headers ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("state", ["service", "live"])
def test_pages_carry_the_security_headers(
    request: pytest.FixtureRequest, state: str, path: str
) -> None:
    """No inline script anywhere, nothing from elsewhere, in nobody's frame."""
    service: Service = request.getfixturevalue(state)
    headers = service.get(path).headers
    policy = dict(
        directive.split(" ", 1) for directive in headers["Content-Security-Policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy.get("script-src", "'none'") in ("'self'", "'none'")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert policy["img-src"] == "'self' data:"
    for directive in ("base-uri", "frame-ancestors", "form-action"):
        assert policy[directive] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"


def test_the_landing_page_runs_no_script(live: Service) -> None:
    assert "script-src" not in live.get("/").headers["Content-Security-Policy"]


def test_ui_redirects_to_the_page_on_the_same_host(live: Service) -> None:
    """Relative, whatever the Host header says; it holds under a prefix."""
    answer = live.get("/ui")
    assert answer.status_code == 308
    assert answer.headers["Location"] == "ui/"


@pytest.mark.parametrize("path", PAGES)
def test_pages_have_get_and_head_only(live: Service, path: str) -> None:
    head = live.request("HEAD", path)
    assert head.status_code == 200
    assert head.content == b""
    answer = live.post(path, {})
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]
    assert "error" in answer.json()


def test_a_page_refers_to_nothing_elsewhere(live: Service) -> None:
    """Every address that a browser would load is relative, and answers."""
    for path in PAGES:
        page = live.get(path).text
        loaded = re.findall(r'<(?:script|link|img)\b[^>]*\b(?:src|href)="([^"]*)"', page)
        assert loaded
        for address in loaded:
            assert not re.match(r"[a-z]+:|//", address)
            assert live.get(f"{path}{html.unescape(address)}").status_code == 200

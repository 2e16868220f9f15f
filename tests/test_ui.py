"""The pages over HTTP, without a browser: states, headers, caching, and what is never served."""

from __future__ import annotations

import html
import http.client
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask

from data_resource_api.compiler.data_resource import compile_data_resource
from data_resource_api.errors import MethodNotAllowed
from data_resource_api.ui import locked_landing, register_pages, wants_landing_page
from data_resource_api.ui.assets import ASSETS
from data_resource_api.ui.assets import PAGES as PAGES_FOLDER
from data_resource_api.ui.origins import FLOWS, token_origins
from data_resource_api.ui.sections import sections_of
from tests.service import Service, entry, payload, running, workforce

PAGES = ("/", "/ui/")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("live"), server_url, workers=1) as service:
        service.generate(workforce())
        yield service


def raw(service: Service, path: str, method: str = "GET") -> tuple[int, bytes]:
    """A request whose path nobody normalises on the way."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    try:
        connection.putrequest(method, path)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def text_of(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", " ", page))


# ── states ───────────────────────────────────────────────────────────────────────────────────────


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


# ── assets ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ASSETS)
def test_an_asset_is_sent_once(live: Service, name: str) -> None:
    """With its type and an ETag; asked again, the answer is 304 without a body."""
    answer = live.get(f"/ui/{name}")
    assert answer.status_code == 200
    types = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    assert answer.headers["Content-Type"].startswith(types[name.rpartition(".")[2]])
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-cache"
    again = live.get(f"/ui/{name}", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    assert again.content == b""
    other = live.get(f"/ui/{name}", headers={"If-None-Match": '"other"'})
    assert other.status_code == 200


def test_an_asset_is_kept_for_good_under_its_version_only(live: Service) -> None:
    """Another version's name must not be kept: it would outlive the next release."""
    found = re.search(r'href="(ui/pages\.css\?v=\w+)"', live.get("/").text)
    assert found is not None
    cached = live.get(f"/{found[1]}").headers["Cache-Control"]
    assert cached == "public, max-age=31536000, immutable"
    assert live.get("/ui/pages.css?v=old").headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/ui/../app.py",
        "/ui/%2e%2e/app.py",
        "/ui/%2e%2e%2fapp.py",
        "/ui/..%5capp.py",
        "/ui/....//app.py",
        "/ui/assets/pages.css",
        "/ui/landing.html",
        "/ui/first-payload.json",
        "/ui/index.html",
        "/ui/oauth2-redirect.html",
        "/ui/swagger-ui-bundle.js.map",
        "/ui/swagger-ui.css/",
        "/ui/%00",
        "/ui//etc/passwd",
        "/ui/nothing",
    ],
)
def test_nothing_else_is_served(live: Service, path: str) -> None:
    """Names are looked up in a list, never in a folder; a 404 is JSON."""
    status, body = raw(live, path)
    assert status == 404
    assert body.startswith(b'{"error":')
    assert b"import" not in body


# ── where the docs are not public ────────────────────────────────────────────────────────────────


@pytest.fixture
def private() -> Flask:
    """The pages alone. There is nothing that they could tell, and nobody whom they could ask."""
    app = Flask("pages", static_folder=None)
    register_pages(app, None, public_docs=False)  # type: ignore[arg-type]
    return app


def test_the_shell_is_served_without_looking_at_what_is_live(private: Flask) -> None:
    """So it cannot name anything of it; its assets are the same as ever."""
    answer = private.test_client().get("/ui/")
    assert answer.status_code == 200
    assert "connect-src 'self'" in answer.headers["Content-Security-Policy"]
    for reference in re.findall(r'(?:src|href)="([^".]+\.(?:css|js|svg)\?v=\w+)"', answer.text):
        assert private.test_client().get(f"/ui/{reference}").status_code == 200


def test_the_tokens_field_leaves_nothing_behind(private: Flask) -> None:
    """No name, so that no form sends it; nothing that browsers fill in, keep or correct."""
    found = re.search(r'<input id="token"[^>]*>', private.test_client().get("/ui/").text)
    assert found is not None
    for attribute in ('type="text"', 'autocomplete="off"', 'spellcheck="false"'):
        assert attribute in found[0]
    assert "name=" not in found[0]


def test_the_locked_landing_page_keeps_the_refusals_status_and_headers(private: Flask) -> None:
    with private.test_request_context("/"):
        answer = locked_landing(MethodNotAllowed("No.", ["GET"]))
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET"
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert 'href="ui/"' in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("method", "path", "accept", "page"),
    [
        ("GET", "/", "text/html,application/xhtml+xml,*/*;q=0.8", True),
        ("HEAD", "/", "text/html", True),
        ("GET", "/", "*/*", False),
        ("GET", "/", "", False),
        ("GET", "/", "application/json, text/html;q=0.5", False),
        ("POST", "/", "text/html", False),
        ("GET", "/people", "text/html", False),
    ],
)
def test_only_a_browser_at_the_landing_page_gets_a_page(
    private: Flask, method: str, path: str, accept: str, page: bool
) -> None:
    headers = {"Accept": accept} if accept else {}
    with private.test_request_context(path, method=method, headers=headers):
        assert wants_landing_page() is page


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://id.example.org/oauth/token", "https://id.example.org"),
        ("HTTPS://ID.Example.org:8443/t?a=b", "https://id.example.org:8443"),
        ("http://127.0.0.1:9000/t", "http://127.0.0.1:9000"),
        ("https://user:secret@id.example.org/t", "https://id.example.org"),
        ("/oauth/token", None),
        ("https://id.example.org; script-src *", None),
        ("https://*/t", None),
        ("https://*.example.org/t", None),
        ("https://a b/t", None),
        ("https://id.example.org:port/t", None),
        ("https://[::1/t", None),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("", None),
        (5, None),
    ],
)
def test_a_token_url_allows_its_origin_and_nothing_else(url: Any, origin: str | None) -> None:
    """Whatever it holds, it cannot end the directive."""
    flows = {
        "clientCredentials": {"tokenUrl": url},
        "authorizationCode": {"tokenUrl": "https://a.b"},
    }
    schemes = {
        "oauth": {"type": "oauth2", "flows": flows},
        "again": {"type": "oauth2", "flows": flows},
    }
    assert token_origins({"components": {"securitySchemes": schemes}}) == (
        () if origin is None else (origin,)
    )


def test_the_dialogs_flows_are_those_whose_urls_may_be_asked() -> None:
    """The script keeps the flows that the policy knows."""
    script = (PAGES_FOLDER / "assets" / "swagger.js").read_text("utf-8")
    stated = re.search(r"FLOWS = \[(.*?)\]", script)
    assert stated is not None
    assert tuple(re.findall(r'"(\w+)"', stated[1])) == FLOWS


def test_where_tokens_are_needed_the_commands_send_one() -> None:
    """But for public operations."""
    document = payload(entry("thing"), entry("notice"))
    listed = document["data_resource_schema"]["api"]["apiSpec"]["paths"]["/notice"]
    listed["get"] = {**listed["get"], "security": []}
    resource = compile_data_resource(document)
    header = ' \\\n  -H "Authorization: Bearer $TOKEN"'
    for locked in (False, True):
        thing, notice = sections_of(resource, "http://a/", locked=locked)
        sent = header if locked else ""
        assert thing.curl == (f"curl 'http://a/thing?limit=5'{sent}",)
        assert notice.curl == ("curl 'http://a/notice?limit=5'",)


@pytest.mark.parametrize("broken", [None, [], {"a": 5}, {"a": {"type": "oauth2", "flows": []}}])
def test_schemes_that_nobody_validated_allow_nothing(broken: Any) -> None:
    assert token_origins({"components": {"securitySchemes": broken}}) == ()
    assert token_origins({"components": broken}) == ()

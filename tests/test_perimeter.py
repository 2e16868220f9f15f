"""What every answer has, whoever gives it: an id, security headers, and nothing of CORS unless asked."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from data_resource_api.cors import CrossOrigin
from tests.service import Service, entry, payload, running

APP = "https://app.example.org"
LOCAL_APP = "http://localhost:3000"
OTHER = "https://example.org"

#: Answers of every layer: generated routes, administration, pages, router, guard, server's own errors.
EVERYWHERE = [
    ("GET", "/people", {}, 200),
    ("HEAD", "/people", {}, 200),
    ("GET", "/people/1", {}, 404),
    ("DELETE", "/people/1", {}, 405),
    ("OPTIONS", "/people", {}, 405),
    ("POST", "/people", {}, 415),
    ("GET", "/nothing", {}, 404),
    ("GET", "/generator", {}, 200),
    ("GET", "/static/swagger.json", {}, 200),
    ("GET", "/static/.live", {}, 404),
    ("GET", "/swagger", {}, 200),
    ("GET", "/", {}, 200),
    ("GET", "/ui", {}, 308),
    ("GET", "/ui/", {}, 200),
    ("GET", "/-/health", {}, 200),
    ("GET", "/people", {"Host": "example.org"}, 403),
    ("GET", "/generator", {"Host": "example.org"}, 403),
    ("BREW", "/people", {}, 405),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    """A service that allows no other origin."""
    with running(tmp_path_factory.mktemp("perimeter"), server_url, workers=1) as service:
        service.generate(payload(entry("people", {"name": "name", "type": "string"})))
        yield service


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    """A service whose API two origins may use."""
    with running(
        tmp_path_factory.mktemp("cors"),
        server_url,
        workers=1,
        DRG_CORS_ORIGINS=f"{APP}, {LOCAL_APP}",
    ) as service:
        service.generate(payload(entry("people", {"name": "name", "type": "string"})))
        yield service


# ── every answer ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("method", "path", "headers", "status"), EVERYWHERE)
def test_every_answer_has_an_id_and_the_security_headers(
    service: Service, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    response = service.request(method, path, headers=dict(headers))
    assert response.status_code == status
    names = [name.lower() for name in response.raw.headers]  # with those that stand there twice
    assert len(names) == len(set(names))
    answer = response.headers
    assert re.fullmatch("[0-9a-f]{32}", answer["X-Request-Id"])
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
    assert answer["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert not re.search(r"\d", answer.get("Server", "")), "a version"
    assert not [name for name in names if name.startswith("access-control")]
    assert "Origin" not in answer.get("Vary", "")


def test_the_assets_of_pages_keep_their_own_caching(service: Service) -> None:
    path = re.findall(r'href="(ui/[^"]+\.css[^"]*)"', service.get("/").text)[0]
    assert "immutable" in service.get(f"/{path}").headers["Cache-Control"]


@pytest.mark.parametrize(
    "given", ["a", "0" * 64, "req-1.2_3", "6f1f9bd7-8d39-4d5c-b5d2-0a4e5c1a7f10"]
)
def test_a_well_formed_request_id_is_kept(service: Service, given: str) -> None:
    for path in ("/people", "/generator", "/nothing"):
        response = service.get(path, headers={"X-Request-Id": given})
        assert response.headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "0" * 65, "a b", "a\tb", '"', "é", "a;b", "{}"])
def test_another_request_id_is_replaced(service: Service, given: str) -> None:
    response = service.get("/people", headers={"X-Request-Id": given.encode()})
    assert re.fullmatch("[0-9a-f]{32}", response.headers["X-Request-Id"])


# ── CORS ─────────────────────────────────────────────────────────────────────────────────────────


def preflight(service: Service, origin: str, path: str = "/people") -> dict[str, str]:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    response = service.request("OPTIONS", path, headers=headers)
    found = {name.lower(): value for name, value in response.headers.items()}
    return found | {"status": str(response.status_code)}


@pytest.mark.parametrize("origin", [APP, LOCAL_APP])
def test_an_origin_that_is_listed_may_read_answers(shared: Service, origin: str) -> None:
    for path, status in (("/people", 200), ("/people/9", 404), ("/generator", 200), ("/x", 404)):
        headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
        response = shared.get(path, headers=headers)
        assert response.status_code == status
        assert response.headers["Access-Control-Allow-Origin"] == origin
        assert "Origin" in response.headers["Vary"].split(", ")
        exposed = response.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"Location", "X-Request-Id", "WWW-Authenticate", "Retry-After"} <= set(exposed)
        assert "Access-Control-Allow-Credentials" not in response.headers


def test_its_preflight_is_answered_for_every_path_alike(shared: Service) -> None:
    """Without a token, and without telling which paths exist."""
    for path in ("/people", "/people/1", "/generator", "/nothing"):
        answer = preflight(shared, APP, path)
        assert answer["status"] == "204"
        assert answer["access-control-allow-origin"] == APP
        assert {"PUT", "PATCH", "POST"} <= set(answer["access-control-allow-methods"].split(", "))
        allowed = answer["access-control-allow-headers"].lower().split(", ")
        assert {"authorization", "content-type", "prefer", "if-match"} <= set(allowed)
        assert answer["access-control-max-age"] == "600"
        assert "Origin" in answer["vary"].split(", ")


@pytest.mark.parametrize(
    "origin",
    [
        OTHER,
        "null",
        "http://app.example.org",
        f"{APP}:8443",
        f"{APP}.evil.example",
        "https://evil.example/https://app.example.org",
        "HTTPS://APP.EXAMPLE.ORG",
        "http://localhost:3001",
        "*",
    ],
)
def test_an_origin_that_is_not_listed_is_told_nothing(shared: Service, origin: str) -> None:
    answer = preflight(shared, origin)
    assert answer["status"] == "403"
    assert "Origin" in answer["vary"].split(", ")
    assert [name for name in answer if name.startswith("access-control")] == []


def test_caches_are_told_that_answers_depend_on_the_origin(shared: Service) -> None:
    assert "Origin" in shared.get("/people").headers["Vary"].split(", ")


def test_without_the_setting_there_is_no_cors(service: Service) -> None:
    answer = preflight(service, APP)
    assert answer["status"] == "403"
    assert [name for name in answer if name.startswith("access-control")] == []


# ── pages of other origins, where authorization is off ───────────────────────────────────────────


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "marks",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},  # another port of this machine's
        {"Sec-Fetch-Site": "unheard-of"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Origin": OTHER},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1"},
    ],
)
def test_a_request_of_another_pages_is_403(
    service: Service, method: str, marks: dict[str, str]
) -> None:
    for path in ("/people", "/generator", "/tableschema/1", "/ui/", "/"):
        response = service.request(method, path, {}, headers=dict(marks))
        assert response.status_code == 403, path
    assert service.get("/people").json()["people"] == []


def test_a_request_of_a_page_of_the_service_is_served(service: Service) -> None:
    own = [
        {"Sec-Fetch-Site": "same-origin", "Origin": service.url},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
        {"Origin": service.url},
        {},
    ]
    for marks in own:
        assert service.get("/people", headers=dict(marks)).status_code == 200
        assert service.post("/people/query", {"name": "x"}, headers=dict(marks)).status_code == 404


def test_a_link_from_elsewhere_may_be_followed_and_no_form_sent(service: Service) -> None:
    visit = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    assert service.get("/ui/", headers=dict(visit)).status_code == 200
    form = {**visit, "Origin": OTHER, "Content-Type": "text/plain"}
    assert service.post("/people", '{"name":"="}', headers=form).status_code == 403


def test_in_production_a_token_decides_and_not_the_page() -> None:
    """A browser adds no bearer token by itself, so that a page without one gets a 401 anyway."""
    environ = {"REQUEST_METHOD": "POST", "HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_ORIGIN": OTHER}
    CrossOrigin((), refuse_others=False).check(environ)

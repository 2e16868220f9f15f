"""Every route × every token case, on one PRODUCTION service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from flask import Flask

from data_resource_api.admin import register_admin
from data_resource_api.app import register_metrics
from data_resource_api.compiler.openapi import KINDS
from data_resource_api.ui import register_pages
from tests.provider import Provider
from tests.security.routes import secure
from tests.security.tokens import BAD
from tests.service import Service, entry, payload, running

ADMIN = "drg:admin"
PLAIN = 'Bearer realm="data-resource-api"'


def document() -> dict[str, Any]:
    """people: by scopes; teams: any valid token; notices: GET is public."""
    people = entry("people", {"name": "name", "type": "string"})
    owner = {"fields": "owner", "reference": {"resource": "people", "fields": "id"}}
    badges = entry("badges", {"name": "owner", "type": "integer"}, foreignKeys=[owner])
    stated = payload(people, entry("teams"), entry("notices"), badges, pairs=[("people", "teams")])
    api = stated["data_resource_schema"]["api"]["apiSpec"]
    parameters = api["paths"]["/people/{id}"]["parameters"]
    read = api["paths"]["/badges"]["get"]
    api["paths"]["/people/{id}/badges"] = {"parameters": parameters, "get": read}
    api["components"] = {
        "securitySchemes": {
            "tokens": {"$ref": "#/components/securitySchemes/bearer"},
            "bearer": {"type": "http", "scheme": "bearer"},
        }
    }
    return secure(stated)


PAYLOAD = document()
DRAFT = entry("draft")
ANYBODY = None


@dataclass(frozen=True)
class Route:
    """One request, the scope that it needs (``""``: any token; ``ANYBODY``) and what is then answered.

    :ivar place: what stands before a refusal.
    """

    method: str
    path: str
    scope: str | None
    statuses: tuple[int, ...]
    body: Any = None
    place: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


ROUTES = [
    # administration
    Route("POST", "/generator", ADMIN, (204,), PAYLOAD),
    Route("GET", "/generator", ADMIN, (200,)),
    Route("PUT", "/tableschema/1", ADMIN, (200,), DRAFT),
    Route("GET", "/tableschema/1", ADMIN, (200,)),
    Route("GET", "/tableschema", ADMIN, (200,)),
    Route("DELETE", "/tableschema/2", ADMIN, (204, 404)),
    Route("GET", "/swagger", ADMIN, (200,)),
    Route("GET", "/-/metrics", ADMIN, (200,)),
    # documentation
    Route("GET", "/", "", (200,)),
    Route("GET", "/static/swagger.json", "", (200,)),
    Route("GET", "/ui", ANYBODY, (308,)),
    Route("GET", "/ui/", ANYBODY, (200,)),
    Route("GET", "/ui/swagger.js", ANYBODY, (200,)),
    Route("GET", "/ui/swagger-ui-bundle.js", ANYBODY, (200,)),
    # probes
    Route("GET", "/-/health", ANYBODY, (200,)),
    Route("GET", "/-/ready", ANYBODY, (200,)),
    # generated operations, one of each kind, by scopes
    Route("GET", "/people", "read", (200,)),
    Route("HEAD", "/people", "read", (200,)),
    Route("POST", "/people", "write", (201,), {"name": "Ada"}),
    Route("POST", "/people/query", "write", (200, 404), {"name": "Nobody"}),
    Route("GET", "/people/1", "read", (200,)),
    Route("PUT", "/people/1", "write", (200, 201), {"name": "Ada"}),
    Route("PATCH", "/people/1", "write", (200,), {"name": "Ada"}),
    Route("DELETE", "/people/1", "write", (405,)),
    Route("GET", "/people/1/teams", "read", (200,)),
    Route("PUT", "/people/1/teams", "write", (200,), []),
    Route("PATCH", "/people/1/teams", "write", (200,), []),
    Route("GET", "/people/1/badges", "read", (200,)),
    # … several at once, by the scopes of each
    Route(
        "POST",
        "/-/batch",
        "write",
        (200,),
        {"operations": [{"method": "POST", "path": "/people", "body": {"name": "Ada"}}]},
        "operations[0]: ",
    ),
    # … by any token, and by none
    Route("GET", "/teams", "", (200,)),
    Route("POST", "/teams", "", (201,), {}),
    Route("GET", "/notices", ANYBODY, (200,)),
    Route("POST", "/notices", "", (201,), {}),
    # nothing
    Route("GET", "/nothing", "", (404,)),
    Route("GET", "/nothing/1", "", (404,)),
    Route("DELETE", "/notices", "", (405,)),
    Route("OPTIONS", "/people", "", (405,)),
    Route("DELETE", "/generator", "", (405,)),
    Route("POST", "/-/health", "", (405,)),
    Route("GET", "/-/nothing", "", (404,)),
    Route("GET", "/static/data_resource_generation_payload.json", "", (404,)),
    Route("GET", "/ui/nothing.js", "", (404,)),
    Route("GET", "/generator/", "", (404,)),
]
by_route = pytest.mark.parametrize("route", ROUTES, ids=str)


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, server_url: str, provider: Provider
) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("production"), server_url, **provider.settings()) as made:
        headers = provider.bearer(f"{ADMIN} write")
        assert made.post("/generator", PAYLOAD, headers=dict(headers)).status_code == 204
        assert made.put("/tableschema/1", DRAFT, headers=dict(headers)).status_code == 200
        assert made.put("/people/1", {"name": "Ada"}, headers=dict(headers)).status_code == 201
        yield made


def send(service: Service, route: Route, headers: dict[str, str]) -> requests.Response:
    return service.request(route.method, route.path, route.body, headers=dict(headers))


def is_admitted(response: requests.Response, route: Route) -> None:
    assert response.status_code in route.statuses, response.text
    assert "WWW-Authenticate" not in response.headers


def is_unauthorized(response: requests.Response, route: Route, challenge: str) -> None:
    assert response.status_code == 401, response.text
    assert response.headers["WWW-Authenticate"] == challenge
    assert response.headers["Content-Type"] == "application/json"
    if route.method != "HEAD":
        assert response.json() == {"message": f"{route.place}Access Denied"}


@by_route
def test_without_a_token(service: Service, route: Route) -> None:
    response = send(service, route, {})
    if route.scope is ANYBODY:
        is_admitted(response, route)
    else:
        is_unauthorized(response, route, PLAIN)


@by_route
@pytest.mark.parametrize("case", BAD)
def test_with_a_bad_token(service: Service, provider: Provider, route: Route, case: str) -> None:
    token = BAD[case](provider, f"{ADMIN} read write")
    response = send(service, route, {"Authorization": f"Bearer {token}"})
    if route.scope is ANYBODY:
        is_admitted(response, route)
    else:
        stated = response.headers.get("WWW-Authenticate", "")
        assert re.fullmatch(
            rf'{PLAIN}, error="invalid_token", error_description="The token [a-z ]+\."', stated
        )
        is_unauthorized(response, route, stated)


@by_route
def test_without_the_scope(service: Service, provider: Provider, route: Route) -> None:
    """Every scope but the right one."""
    others = {ADMIN, "read", "write"} - {route.scope}
    response = send(service, route, provider.bearer(" ".join(others) if route.scope else ""))
    if not route.scope:
        is_admitted(response, route)
        return
    assert response.status_code == 403
    assert (
        response.headers["WWW-Authenticate"]
        == f'{PLAIN}, error="insufficient_scope", scope="{route.scope}"'
    )
    if route.method != "HEAD":
        told = f"{route.place}The token needs the scope {route.scope}."
        assert response.json() == {"error": told}


@by_route
def test_with_the_right_token(service: Service, provider: Provider, route: Route) -> None:
    is_admitted(send(service, route, provider.bearer(route.scope or "")), route)


# ── the table is whole ───────────────────────────────────────────────────────────────────────────


def test_the_table_has_every_route_of_the_service() -> None:
    app = Flask("routes", static_folder=None)
    register_admin(app, None)  # type: ignore[arg-type]
    register_metrics(app, None, None)  # type: ignore[arg-type]
    register_pages(app, None, public_docs=True)  # type: ignore[arg-type]
    tested = {str(route) for route in ROUTES}
    for rule in app.url_map.iter_rules():
        for verb in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            path = re.escape(re.sub(r"<(int|any).*>", "1", rule.rule)).replace("1", "[^/]+")
            assert any(re.fullmatch(f"{verb} {path}", route) for route in tested), rule


def test_the_table_has_every_kind_of_operation() -> None:
    paths = {"/people": "rows", "/people/1": "row", "/people/query": "query"}
    paths["/people/1/teams"] = "related"
    tested = {(paths[route.path], route.method) for route in ROUTES if route.path in paths}
    assert {(shape.name.lower(), verb.upper()) for shape, verb in KINDS} <= tested


# ── odd headers ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "stated",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic b3BlcmF0b3I6c2VjcmV0",
        "Token {}",
        "{}",
        "DPoP {}",
        "Bearer:{}",
    ],
)
def test_another_scheme_is_no_credential(service: Service, provider: Provider, stated: str) -> None:
    headers = {"Authorization": stated.format(provider.token(ADMIN))}
    is_unauthorized(service.get("/generator", headers=headers), ROUTES[0], PLAIN)


@pytest.mark.parametrize(
    "stated",
    [
        "Bearer {0} {0}",
        "Bearer {0},Bearer {0}",
        'Bearer "{0}"',
        "Bearer {0}=x",
        "Bearer Bearer {0}",
        "Bearer {0}\t.",
        "Bearer " + "x" * 20_000,
    ],
)
def test_a_malformed_token_is_refused(service: Service, provider: Provider, stated: str) -> None:
    headers = {"Authorization": stated.format(provider.token(ADMIN)).encode("latin-1")}
    response = service.get("/generator", headers=headers)
    assert response.status_code == 401
    assert "The token is malformed." in response.headers["WWW-Authenticate"]


def test_two_headers_are_refused_whatever_the_second_says(
    service: Service, provider: Provider
) -> None:
    """Whoever stands between might have looked at the other one."""
    import http.client

    for first, second in (("Basic eDp5", "Bearer {}"), ("Bearer {}", "Bearer {}")):
        connection = http.client.HTTPConnection("127.0.0.1", service.port)
        connection.putrequest("GET", "/generator")
        for value in (first, second):
            connection.putheader("Authorization", value.format(provider.token(ADMIN)))
        connection.endheaders()
        assert connection.getresponse().status == 401
        connection.close()


def test_a_token_in_the_address_or_the_body_is_none(service: Service, provider: Provider) -> None:
    token = provider.token(f"{ADMIN} read write")
    assert service.get(f"/generator?access_token={token}").status_code == 401
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert service.post("/people", f"access_token={token}", headers=form).status_code == 401


def test_the_scheme_may_be_written_in_any_case(service: Service, provider: Provider) -> None:
    for scheme in ("bearer", "BEARER"):
        headers = {"Authorization": f"{scheme} {provider.token(ADMIN)}"}
        assert service.get("/generator", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["https://other.test", "https://drg.test/api"]},
        {"exp": -30},
        {"nbf": 30},
        {"iss": "/"},
        {"header": {"typ": "JWT"}},
        {"header": {"typ": None}},
        {"header": {"kid": None}},
        {"header": {"x5t": "anything", "cty": "x"}},
    ],
    ids=str,
)
def test_what_providers_do_differently_is_fine(
    service: Service, provider: Provider, changes: dict[str, Any]
) -> None:
    """Several audiences, clocks that differ by half a minute, a final slash, types and key ids."""
    now = provider.claims()["iat"]
    changes = {
        name: now + value if isinstance(value, int) else value for name, value in changes.items()
    }
    if "iss" in changes:
        changes["iss"] = f"{provider.issuer}/"
    headers = provider.bearer(ADMIN, **changes)
    assert service.get("/generator", headers=headers).status_code == 200


def test_a_refusal_comes_before_the_body_is_looked_at(service: Service) -> None:
    """Malformed, too large, not JSON: nothing of that is told to who has no token."""
    for body in ("{", "x" * 20_000_000):
        assert service.post("/teams", body).status_code == 401
        assert service.post("/generator", body).status_code == 401


def test_a_problem_document_is_for_who_prefers_it(service: Service) -> None:
    response = service.get("/generator", headers={"Accept": "application/problem+json"})
    assert response.status_code == 401
    assert response.json()["title"] == "Unauthorized"


def test_public_operations_are_listed_and_were_logged(service: Service, provider: Provider) -> None:
    live = service.get("/generator", headers=provider.bearer(ADMIN)).json()
    assert live["public"] == ["GET /notices"]
    assert "WARNING The document lets anybody call GET /notices." in service.log()

"""A batch is allowed what each of its operations is allowed, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.provider import Provider
from tests.security.routes import secure
from tests.security.tokens import BAD
from tests.service import Service, entry, payload, running

ADMIN = "drg:admin"
PLAIN = 'Bearer realm="data-resource-api"'


def document() -> dict[str, Any]:
    """people: by scopes; teams: any valid token; notices: reading is public."""
    stated = payload(
        entry("people", {"name": "name", "type": "string"}), entry("teams"), entry("notices")
    )
    api = stated["data_resource_schema"]["api"]["apiSpec"]
    api["components"] = {"securitySchemes": {"tokens": {"type": "http", "scheme": "bearer"}}}
    return secure(stated)


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, server_url: str, provider: Provider
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("batches")
    with running(folder, server_url, **provider.settings()) as service:
        headers = provider.bearer(ADMIN)
        assert service.post("/generator", document(), headers=dict(headers)).status_code == 204
        yield service


@pytest.fixture(autouse=True)
def _empty_tables(service: Service) -> None:
    service.execute("TRUNCATE people, teams, notices RESTART IDENTITY")


READ = {"method": "GET", "path": "/people"}
WRITE = {"method": "POST", "path": "/people", "body": {"name": "Ada"}}
TEAM = {"method": "POST", "path": "/teams", "body": {}}
NOTICES = {"method": "GET", "path": "/notices"}


def send(service: Service, headers: dict[str, str], *operations: Any) -> requests.Response:
    return service.post("/-/batch", {"operations": list(operations)}, headers=dict(headers))


def nothing_was_done(service: Service) -> bool:
    counted = service.execute("SELECT (SELECT count(*) FROM people) + (SELECT count(*) FROM teams)")
    return counted == [(0,)]


def test_a_token_with_every_scope_may_do_everything(service: Service, provider: Provider) -> None:
    answer = send(service, provider.bearer("read write"), WRITE, READ, TEAM, NOTICES)
    assert answer.status_code == 200
    assert [result["status"] for result in answer.json()["results"]] == [201, 200, 201, 200]


def test_anybody_may_do_what_is_public(service: Service) -> None:
    assert send(service, {}, NOTICES, NOTICES).status_code == 200


@pytest.mark.parametrize("operations", [[NOTICES, TEAM], [TEAM], [NOTICES, WRITE, TEAM]])
def test_without_a_token_nothing_else_is_done(service: Service, operations: list[Any]) -> None:
    answer = send(service, {}, *operations)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == PLAIN
    assert nothing_was_done(service)


@pytest.mark.parametrize("case", BAD)
def test_with_a_bad_token_nothing_is_done(service: Service, provider: Provider, case: str) -> None:
    token = BAD[case](provider, f"{ADMIN} read write")
    answer = send(service, {"Authorization": f"Bearer {token}"}, TEAM, WRITE)
    assert answer.status_code == 401
    assert "invalid_token" in answer.headers["WWW-Authenticate"]
    assert nothing_was_done(service)


@pytest.mark.parametrize(
    ("scopes", "lacking", "place"),
    [("write", "read", 2), ("read", "write", 1), (ADMIN, "write", 1)],
)
def test_one_operation_without_its_scope_refuses_all_before_anything_is_done(
    service: Service, provider: Provider, scopes: str, lacking: str, place: int
) -> None:
    answer = send(service, provider.bearer(scopes), TEAM, WRITE, READ)
    assert answer.status_code == 403
    assert answer.json() == {"error": f"operations[{place}]: The token needs the scope {lacking}."}
    assert f'scope="{lacking}"' in answer.headers["WWW-Authenticate"]
    assert nothing_was_done(service)
    (drawn,) = service.execute("SELECT nextval(pg_get_serial_sequence('teams', 'id'))")
    assert drawn == (1,), "the first operation had run"


def test_who_has_no_token_does_not_learn_which_paths_exist(
    service: Service, provider: Provider
) -> None:
    """Neither 404 nor 405, as on the paths themselves."""
    for unknown in ({"method": "GET", "path": "/nothing"}, {"method": "PUT", "path": "/teams"}):
        assert send(service, {}, NOTICES, unknown).status_code == 401
        assert send(service, provider.bearer(""), NOTICES, unknown).status_code in (404, 405)
    for administration in ("/generator", "/-/metrics", "/-/batch", "/tableschema/1", "/"):
        tried = {"method": "GET", "path": administration}
        assert send(service, provider.bearer(ADMIN), tried).status_code == 404


def test_a_tag_is_compared_for_who_may_read_the_row_only(
    service: Service, provider: Provider
) -> None:
    """A tag is a hash of the row; who may write and not read could find out its values by guessing."""
    made = service.post("/people", {"name": "Ada"}, headers=dict(provider.bearer("write")))
    path = made.headers["Location"]
    seen = service.get(path, headers=dict(provider.bearer("read"))).headers["ETag"]
    change = {"method": "PATCH", "path": path, "body": {}, "headers": {"If-Match": seen}}
    blind, seeing = provider.bearer("write"), provider.bearer("read write")
    answer = send(service, blind, change)
    assert answer.status_code == 403
    assert answer.json()["error"] == "operations[0]: The token needs the scope read."
    assert send(service, seeing, change).json()["results"][0]["headers"]["ETag"] == seen
    for headers, told in ((blind, False), (seeing, True)):
        answer = service.patch(path, {}, headers={**headers, "If-Match": "*"})
        assert answer.status_code == 200
        assert ("ETag" in answer.headers) is told


def test_a_cross_origin_page_may_not_send_one_where_nobody_is_asked_for_a_token(
    tmp_path_factory: pytest.TempPathFactory, server_url: str
) -> None:
    with running(tmp_path_factory.mktemp("origin"), server_url, workers=1) as service:
        service.generate(payload(entry("teams")))
        assert send(service, {"Origin": "https://evil.test"}, TEAM).status_code == 403
        assert send(service, {"Host": "evil.test"}, TEAM).status_code == 403
        assert send(service, {}, TEAM).status_code == 200

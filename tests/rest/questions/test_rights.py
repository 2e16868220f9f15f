"""What is filtered, sorted or embedded must be readable by whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from data_resource_api.rest.questions.asking import BARE
from tests.provider import Provider
from tests.service import Service, entry, payload, running

_DONE = {"responses": {"200": {"description": "Done."}}}


def document() -> dict[str, Any]:
    """people: listed with "read"; grade: with "grades"; secret: by nobody; note: only queried.

    Everybody who has a token may query all of them for equality.
    """

    def to(table: str) -> dict[str, Any]:
        return {"fields": f"{table}_id", "reference": {"resource": table, "fields": "id"}}

    text = {"name": "name", "type": "string"}
    grade, secret, note = (entry(name, text) for name in ("grade", "secret", "note"))
    people = entry(
        "people",
        text,
        {"name": "ssn", "type": "string", "protected": True, "searchable": True},
        {"name": "income", "type": "number", "protected": True},
        {"name": "grade_id", "type": "integer"},
        {"name": "secret_id", "type": "integer"},
        foreignKeys=[to("grade"), to("secret")],
    )
    made = payload(grade, secret, people, note)
    schema = made["data_resource_schema"]
    schema["data"]["encryptionSchema"] = {"*": {"type": "AES_256_GCM", "key": "PEOPLE_KEY"}}
    api = schema["api"]["apiSpec"]
    api["components"] = {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}}
    paths = api["paths"]
    for table, scope in (("people", "read"), ("grade", "grades")):
        paths[f"/{table}"]["get"] = _DONE | {"security": [{"bearer": [scope]}]}
    for table in ("secret", "note"):
        del paths[f"/{table}"]["get"]
        paths[f"/{table}/{{id}}/people"] = {
            "parameters": paths["/people/{id}"]["parameters"],
            "get": _DONE | {"security": [{"bearer": ["children"]}]},
        }
    del paths["/note/{id}/people"]
    return made


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, server_url: str, provider: Provider
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("rights")
    settings = provider.settings()
    with running(folder, server_url, PEOPLE_KEY="k" * 40, **settings) as made:
        headers = dict(provider.bearer("drg:admin"))
        assert made.post("/generator", document(), headers=dict(headers)).status_code == 204
        rows: list[tuple[str, dict[str, Any]]] = [
            ("/grade", {"name": "A"}),
            ("/secret", {"name": "hidden"}),
            ("/note", {"name": "n"}),
            ("/people", {
                "name": "Ann", "ssn": "S-1", "income": 10, "grade_id": 1, "secret_id": 1
            }),
        ]  # fmt: skip
        for path, row in rows:
            assert made.post(path, row, headers=dict(headers)).status_code == 201
        yield made


def ask(service: Service, provider: Provider, path: str, scopes: str) -> requests.Response:
    return service.get(path, headers=dict(provider.bearer(scopes)))


def test_who_may_list_both_tables_may_embed_one_in_the_other(
    service: Service, provider: Provider
) -> None:
    response = ask(service, provider, "/people?select=name,grade(name)", "read grades")
    assert response.json()["people"] == [{"name": "Ann", "grade": {"name": "A"}}]
    response = ask(service, provider, "/people/1?select=name,grade(name)", "grades")
    assert response.json() == {"name": "Ann", "grade": {"name": "A"}}


@pytest.mark.parametrize(
    "path",
    [
        "/people?select=name,grade(name)",
        "/people?select=name,grade!inner()&grade.name=eq.A",
        "/people?order=grade(name)",
        "/people?select=name&order=grade(name)",
        "/people/1?select=name,grade(name)",
        "/secret/1/people?select=name,grade(name)",
        "/secret/1/people?select=name,g:grade!inner()&g.name=eq.A",
        "/secret/1/people?order=grade(name)",
    ],
)
def test_a_table_whose_scope_is_missing_is_not_read_through_another(
    service: Service, provider: Provider, path: str
) -> None:
    """403 as the table's own GET, with the scope that is needed."""
    own = ask(service, provider, "/grade", "read children")
    for form in ("application/json", "text/csv", "application/x-ndjson", BARE):
        headers = {**provider.bearer("read children"), "Accept": form}
        response = service.get(path, headers=headers)
        assert (response.status_code, response.json()) == (403, own.json())
        assert response.headers["WWW-Authenticate"] == own.headers["WWW-Authenticate"]
    operation = {"method": "GET", "path": path}
    batch = {"operations": [{"method": "GET", "path": "/people"}, operation]}
    refused = service.post("/-/batch", batch, headers=dict(provider.bearer("read children")))
    assert (refused.status_code, "Ann" in refused.text) == (403, False)
    assert own.json()["error"] in refused.json()["error"]


def test_the_rows_of_one_row_are_read_by_the_scope_of_their_path(
    service: Service, provider: Provider
) -> None:
    """And not by those of their table, or of the row."""
    assert ask(service, provider, "/secret/1/people", "read").status_code == 403
    found = ask(service, provider, "/secret/1/people?select=name,ssn", "children")
    assert found.json()["people"] == [{"name": "Ann", "ssn": "S-1"}]
    both = ask(service, provider, "/secret/1/people?select=name,grade(name)", "children grades")
    assert both.json()["people"] == [{"name": "Ann", "grade": {"name": "A"}}]
    for query in ("select=name,secret(name)", "order=secret(name)"):
        hidden = ask(service, provider, f"/secret/1/people?{query}", "children read grades")
        absent = query.replace("secret", "zzzzzz")
        answer = ask(service, provider, f"/secret/1/people?{absent}", "children read grades")
        assert hidden.status_code == answer.status_code == 400
        assert hidden.text.replace("secret", "zzzzzz") == answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/people?select=name,{}(name)",
        "/people?select=name,{}!inner()&{}.name=eq.A",
        "/people?order={}(name)",
        "/people/1?select=name,{}(name)",
        "/grade?select=*,people(*,{}(*))",
    ],
)
def test_a_table_that_nobody_can_list_is_as_if_it_were_not_there(
    service: Service, provider: Provider, path: str
) -> None:
    """The answer is the one for a table that does not exist."""
    scopes = "read grades"
    hidden = ask(service, provider, path.replace("{}", "secret"), scopes)
    absent = ask(service, provider, path.replace("{}", "zzzzzz"), scopes)
    assert hidden.status_code == absent.status_code == 400, hidden.text
    assert hidden.text.replace("secret", "zzzzzz") == absent.text


def test_a_near_name_is_no_hidden_tables(service: Service, provider: Provider) -> None:
    response = ask(service, provider, "/people?select=secre(name)", "read")
    assert response.status_code == 400
    assert '"secret"' not in response.text


@pytest.mark.parametrize(
    ("scopes", "status"), [("", 403), ("read", 200)], ids=["without the scope", "with it"]
)
def test_a_query_compares_what_the_caller_may_list(
    service: Service, provider: Provider, scopes: str, status: int
) -> None:
    """Equality stays what everybody who may query has."""

    def query(path: str, body: Any) -> requests.Response:
        return service.post(path, body, headers=dict(provider.bearer(scopes)))

    for body in ({"and": "(name.gte.A)"}, {"name": "Ann", "order": "name"}):
        assert query("/people/query", body).status_code == status
    assert query("/people/query?name=gte.A", {}).status_code == status
    assert query("/people/query", {"name": "Ann"}).status_code == 200
    assert query("/note/query", {"name": "n"}).status_code == 200
    refused = query("/note/query", {"and": "(name.gte.A)"})
    assert refused.status_code == 400
    assert refused.json()["errors"] == [
        "note: its rows cannot be listed, and so they are found by equality alone."
    ]


def test_a_protected_field_is_compared_only_for_equality_where_it_is_searchable(
    service: Service, provider: Provider
) -> None:
    def rows(query: str) -> Any:
        return ask(service, provider, f"/people?select=name,ssn&{query}", "read").json()["people"]

    found = [{"name": "Ann", "ssn": "S-1"}]
    assert rows("ssn=eq.S-1") == rows("ssn=in.(S-0,S-1)") == found
    assert rows("ssn=eq.S-0") == []
    for query in (
        "ssn=gte.A", "ssn=like.*", "ssn=eq(any).{S-1}", "ssn=is.true", "order=ssn",
        "income=eq.10", "income=neq.10", "income=gt.1",
        "income=in.(10)", "order=income", "or=(income.gt.1)",
    ):  # fmt: skip
        response = ask(service, provider, f"/people?{query}", "read")
        assert response.status_code == 400, query
        assert "is protected" in response.text

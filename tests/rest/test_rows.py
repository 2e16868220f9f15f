"""Rows of a generated table over HTTP, against two workers: section 4 of the contract."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.service import Service, entry, payload, running

PEOPLE = entry(
    "people",
    {"name": "name", "type": "string", "constraints": {"required": True, "maxLength": 20}},
    {"name": "email", "type": "string", "constraints": {"unique": True}},
    {"name": "age", "type": "integer", "constraints": {"minimum": 0, "maximum": 150}},
    {"name": "tags", "type": "array"},
)
PETS = entry(
    "pets",
    {"name": "name", "type": "string"},
    {"name": "owner", "type": "integer"},
    foreignKeys=[{"fields": "owner", "reference": {"resource": "people", "fields": "id"}}],
)
CODES = entry(
    "codes",
    {"name": "code", "type": "string", "constraints": {"minLength": 1}},
    {"name": "label", "type": "string"},
    key="code",
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("rows")
    with running(folder, server_url, DRG_MAX_PAGE_SIZE="50") as service:
        service.generate(payload(PEOPLE, PETS, CODES))
        yield service


@pytest.fixture(autouse=True)
def _empty_tables(service: Service) -> None:
    assert service.database is not None
    service.database.execute("TRUNCATE people, pets, codes RESTART IDENTITY")


def add_people(service: Service, count: int) -> None:
    assert service.database is not None
    service.database.execute(
        "INSERT INTO people (name) SELECT 'person ' || n FROM generate_series(1, %s) n", (count,)
    )


def links(response: requests.Response) -> dict[str, str]:
    return {link["rel"]: link["href"] for link in response.json()["links"]}


# ── list ─────────────────────────────────────────────────────────────────────────────────────────


def test_an_empty_table_is_an_empty_list_without_links(service: Service) -> None:
    response = service.get("/people")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == {"people": [], "links": []}


def test_a_page_has_20_rows_in_key_order_and_its_links_in_order(service: Service) -> None:
    add_people(service, 45)
    assert service.database is not None
    service.database.execute("UPDATE people SET age = 1 WHERE id = 3")  # moves the row in the heap
    response = service.get("/people")
    assert [row["id"] for row in response.json()["people"]] == list(range(1, 21))
    assert response.json()["links"] == [
        {"rel": "self", "href": "/people?offset=0&limit=20"},
        {"rel": "first", "href": "/people?offset=0&limit=20"},
        {"rel": "next", "href": "/people?offset=20&limit=20&after=20"},
        {"rel": "last", "href": "/people?offset=40&limit=20"},
    ]


def test_a_page_in_the_middle_links_both_ways(service: Service) -> None:
    add_people(service, 45)
    response = service.get("/people?offset=20&limit=10")
    assert [row["id"] for row in response.json()["people"]] == list(range(21, 31))
    assert [link["rel"] for link in response.json()["links"]] == [
        "self",
        "first",
        "prev",
        "next",
        "last",
    ]
    assert links(response)["prev"] == "/people?offset=10&limit=10&before=21"
    assert links(response)["next"] == "/people?offset=30&limit=10&after=30"


def test_prev_never_goes_below_zero(service: Service) -> None:
    add_people(service, 45)
    assert links(service.get("/people?offset=5&limit=20"))["prev"] == "/people?offset=0&limit=20"


def test_last_is_the_greatest_multiple_of_limit_below_the_count(service: Service) -> None:
    add_people(service, 40)
    response = service.get("/people?offset=20&limit=20")
    assert links(response)["last"] == "/people?offset=20&limit=20"
    assert "next" not in links(response)


def test_a_page_behind_the_last_row_is_empty_and_still_linked(service: Service) -> None:
    add_people(service, 3)
    response = service.get("/people?offset=100&limit=2")
    assert response.json()["people"] == []
    assert links(response) == {
        "self": "/people?offset=100&limit=2",
        "first": "/people?offset=0&limit=2",
        "prev": "/people?offset=98&limit=2",
        "last": "/people?offset=2&limit=2",
    }


def test_a_limit_above_the_largest_page_is_served_as_that(service: Service) -> None:
    add_people(service, 60)
    response = service.get("/people?limit=9223372036854775807")
    assert len(response.json()["people"]) == 50
    assert links(response)["self"] == "/people?offset=0&limit=50"


@pytest.mark.parametrize(
    "query",
    [
        "offset=-1",
        "offset=x",
        "offset=1.5",
        "offset=",
        "limit=0",
        "limit=-5",
        "limit=all",
        "limit=٣",
        "offset=9223372036854775808",
        "limit=99999999999999999999",
        "ofset=1",
        "page=2",
        "limit=1&limit=2",
        "offset=%00",
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused_by_name(service: Service, query: str) -> None:
    response = service.get(f"/people?{query}")
    assert response.status_code == 400
    assert response.json()["errors"][0].startswith(query.split("=")[0])


def test_a_misspelt_parameter_gets_the_right_name(service: Service) -> None:
    assert "offset" in service.get("/people?ofset=1").json()["errors"][0]


# ── read ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_row_is_read_by_its_key(service: Service) -> None:
    service.post("/people", {"name": "Ada", "tags": ["x"]})
    assert service.get("/people/1").json() == {
        "id": 1,
        "name": "Ada",
        "email": None,
        "age": None,
        "tags": ["x"],
    }


@pytest.mark.parametrize(
    "key",
    ["7", "0", "-1", "x", "1.5", "99999999999999999999999", "%00", "1%2F2", "null", "é", "%ff"],
)
def test_a_key_that_no_row_has_is_404(service: Service, key: str) -> None:
    service.post("/people", {"name": "Ada"})
    response = service.get(f"/people/{key}")
    assert response.status_code == 404
    assert "error" in response.json()


def test_a_string_key_is_read_and_located_percent_encoded(service: Service) -> None:
    created = service.post("/codes", {"code": "a b%é", "label": "x"})
    assert created.json()["id"] == "a b%é"
    location = created.headers["Location"]
    assert location == "/codes/a%20b%25%C3%A9"
    assert service.get(location).json() == {"code": "a b%é", "label": "x"}


# ── create ───────────────────────────────────────────────────────────────────────────────────────


def test_a_created_row_is_located(service: Service) -> None:
    response = service.post("/people", {"name": "Ada"})
    assert response.status_code == 201
    assert response.json() == {"message": "Successfully added new resource.", "id": 1}
    assert response.headers["Location"] == "/people/1"


def test_every_faulty_field_is_named_at_once(service: Service) -> None:
    response = service.post("/people", {"age": 200, "tags": 5, "email": 7, "nmae": "Ada"})
    assert response.status_code == 400
    assert [line.split(":")[0] for line in response.json()["errors"]] == [
        "email",
        "age",
        "tags",
        "nmae",
        "name",
    ]
    assert 'did you mean "name"' in response.json()["errors"][3]
    assert service.get("/people").json()["people"] == []


def test_a_required_field_may_not_be_null(service: Service) -> None:
    assert service.post("/people", {"name": None}).json()["errors"] == ["name: must not be null."]


def test_a_unique_value_that_exists_is_409_and_named(service: Service) -> None:
    service.post("/people", {"name": "Ada", "email": "a@example.org"})
    response = service.post("/people", {"name": "Bob", "email": "a@example.org"})
    assert response.status_code == 409
    assert response.json()["errors"] == ["email: a@example.org exists already."]


def test_a_reference_to_nothing_is_409_and_named(service: Service) -> None:
    response = service.post("/pets", {"name": "Rex", "owner": 9})
    assert response.status_code == 409
    assert response.json()["errors"] == ["owner: there is no row 9 to refer to."]


def test_a_key_that_is_taken_is_409(service: Service) -> None:
    service.post("/people", {"id": 5, "name": "Ada"})
    assert service.post("/people", {"id": 5, "name": "Bob"}).status_code == 409


def test_ids_that_clients_chose_never_make_a_later_post_fail(service: Service) -> None:
    for chosen in (1, 2, 3, 5, 2147483647):
        assert service.put(f"/people/{chosen}", {"name": "chosen"}).status_code == 201
    ids = [service.post("/people", {"name": "drawn"}).json()["id"] for _ in range(3)]
    assert ids == [4, 6, 7]


def test_a_generated_key_may_be_required_null_or_left_out(service: Service) -> None:
    assert service.post("/people", {"id": None, "name": "Ada"}).json()["id"] == 1


def test_many_clients_at_once_get_different_ids(service: Service) -> None:
    for chosen in range(10, 60, 3):
        service.put(f"/people/{chosen}", {"name": "chosen"})
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda n: service.post("/people", {"name": f"p{n}"}), range(80)))
    assert {reply.status_code for reply in replies} == {201}
    assert len({reply.json()["id"] for reply in replies}) == 80


# ── replace, modify, delete ──────────────────────────────────────────────────────────────────────


def test_put_changes_the_given_fields_and_keeps_the_others(service: Service) -> None:
    service.post("/people", {"name": "Ada", "age": 36})
    response = service.put("/people/1", {"name": "Ada Lovelace"})
    assert response.status_code == 200
    assert response.json() == {"message": "Successfully updated resource.", "id": 1}
    assert service.get("/people/1").json()["age"] == 36
    assert service.get("/people/1").json()["name"] == "Ada Lovelace"


def test_put_creates_the_row_at_the_uri(service: Service) -> None:
    response = service.put("/people/42", {"name": "Ada"})
    assert response.status_code == 201
    assert response.json() == {"message": "Successfully added new resource.", "id": 42}
    assert response.headers["Location"] == "/people/42"
    assert service.get("/people/42").json()["name"] == "Ada"


def test_put_that_would_create_needs_what_post_needs(service: Service) -> None:
    response = service.put("/people/42", {"age": 1})
    assert response.status_code == 400
    assert response.json()["errors"] == ["name: is required."]
    assert service.get("/people/42").status_code == 404


@pytest.mark.parametrize("method", ["put", "patch"])
@pytest.mark.parametrize("stated", [2, "x", None, 1.5, []])
def test_an_id_in_the_body_that_is_not_the_uris_is_refused(
    service: Service, method: str, stated: object
) -> None:
    service.post("/people", {"name": "Ada"})
    response = service.request(method, "/people/1", {"id": stated, "name": "Bob"})
    assert response.status_code == 400
    assert response.json()["errors"][0].startswith("id:")
    assert service.get("/people/1").json()["name"] == "Ada"


def test_a_row_can_be_sent_back_as_it_came(service: Service) -> None:
    service.post("/people", {"name": "Ada", "tags": [1.10, {"a": None}], "age": 3})
    row = service.get("/people/1")
    assert service.put("/people/1", row.content).status_code == 200
    assert service.get("/people/1").content == row.content


def test_nothing_to_change_is_not_an_error(service: Service) -> None:
    service.post("/people", {"name": "Ada"})
    assert service.put("/people/1", {}).status_code == 200
    assert service.patch("/people/1", {}).status_code == 200


def test_patch_changes_a_row_and_never_creates_one(service: Service) -> None:
    service.post("/people", {"name": "Ada"})
    assert service.patch("/people/1", {"age": 37}).json()["id"] == 1
    assert service.get("/people/1").json()["age"] == 37
    assert service.patch("/people/2", {"age": 37}).status_code == 404
    assert service.patch("/people/x", {"age": 37}).status_code == 404


def test_put_and_patch_name_faults_and_clashes(service: Service) -> None:
    service.post("/people", {"name": "Ada", "email": "a@example.org"})
    service.post("/people", {"name": "Bob"})
    for change in (service.put, service.patch):
        assert change("/people/2", {"age": -1}).json()["errors"] == ["age: must be at least 0."]
        assert change("/people/2", {"email": "a@example.org"}).status_code == 409
    assert service.get("/people/2").json()["email"] is None


def test_delete_never_deletes(service: Service) -> None:
    service.post("/people", {"name": "Ada"})
    response = service.request("DELETE", "/people/1")
    assert response.status_code == 405
    assert response.json() == {"message": "Unimplemented unsecure delete"}
    assert response.headers["Allow"] == "GET, HEAD, PATCH, PUT"
    assert service.get("/people/1").status_code == 200


# ── query ────────────────────────────────────────────────────────────────────────────────────────


def test_query_finds_rows_equal_in_all_fields_in_key_order(service: Service) -> None:
    for name, age in (("Ada", 1), ("Bob", 2), ("Ada", 2), ("Ada", 1)):
        service.post("/people", {"name": name, "age": age})
    response = service.post("/people/query", {"name": "Ada", "age": 1})
    assert response.status_code == 200
    assert [row["id"] for row in response.json()["results"]] == [1, 4]
    assert list(response.json()) == ["results"]


def test_query_for_null_finds_nulls(service: Service) -> None:
    service.post("/people", {"name": "Ada", "age": 1})
    service.post("/people", {"name": "Ada"})
    response = service.post("/people/query", {"name": "Ada", "age": None})
    assert [row["id"] for row in response.json()["results"]] == [2]


def test_query_compares_json_by_value(service: Service) -> None:
    service.post("/people", {"name": "Ada", "tags": [1, {"a": 1, "b": 2}]})
    found = service.post("/people/query", {"tags": [1.0, {"b": 2, "a": 1}]})
    assert found.json()["results"][0]["id"] == 1


def test_query_pages_as_the_list_does(service: Service) -> None:
    add_people(service, 10)
    service.database.execute("UPDATE people SET age = 7")  # type: ignore[union-attr]
    response = service.post("/people/query?offset=4&limit=3", {"age": 7})
    assert [row["id"] for row in response.json()["results"]] == [5, 6, 7]


def test_query_that_matches_nothing_is_404(service: Service) -> None:
    response = service.post("/people/query", {"name": "nobody"})
    assert response.status_code == 404
    assert response.json() == {"message": "No matches found"}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "at least one field"),
        ({"nme": "x"}, "nme"),
        ({"age": "old"}, "age"),
        ({"age": 99999999999}, "age"),
        ([], "object"),
        ("x", "object"),
    ],
)
def test_query_refuses_what_it_cannot_ask(service: Service, body: object, named: str) -> None:
    import json

    response = service.post("/people/query", json.dumps(body))
    assert response.status_code == 400
    assert named in response.text


def test_query_never_cuts_silently(service: Service) -> None:
    add_people(service, 51)
    service.database.execute("UPDATE people SET age = 7")  # type: ignore[union-attr]
    refused = service.post("/people/query", {"age": 7})
    assert refused.status_code == 400
    assert "limit" in refused.json()["error"]
    assert len(service.post("/people/query?limit=50", {"age": 7}).json()["results"]) == 50
    assert len(service.post("/people/query?limit=5000", {"age": 7}).json()["results"]) == 50


def test_get_of_a_path_that_only_has_query_is_a_row_that_does_not_exist(service: Service) -> None:
    assert service.get("/people/query").status_code == 404


# ── the whitelist and the errors of HTTP ─────────────────────────────────────────────────────────


def test_a_path_that_is_not_in_the_document_is_404_in_json(service: Service) -> None:
    for path in ("/nothing", "/people/1/pets", "/people/1/2/3", "/people//1"):
        response = service.get(path)
        assert response.status_code == 404, path
        assert response.headers["Content-Type"] == "application/json"


def test_a_verb_that_is_not_in_the_document_is_405_with_allow(service: Service) -> None:
    response = service.request("DELETE", "/people")
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD, POST"
    assert "error" in response.json()
    assert service.request("OPTIONS", "/people").status_code == 405


def test_head_is_get_without_a_body(service: Service) -> None:
    response = service.request("HEAD", "/people")
    assert response.status_code == 200
    assert response.content == b""


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b'{"name": "Ada"}', "text/plain", 415),
        (b'{"name": "Ada"}', "application/x-www-form-urlencoded", 415),
        (b'{"name": "Ada"}', "", 415),
        (b'{"name": "Ada"}', "application/vnd.api+json", 201),
        (b'{"name": "Ada"}', "Application/JSON; charset=utf-8", 201),
        (b'{"name": "Ada"', "application/json", 400),
        (b"", "application/json", 400),
        (b'{"name": NaN}', "application/json", 400),
        (b'{"name": "\xff"}', "application/json", 400),
        (b'{"name": "a\\u0000b"}', "application/json", 400),
        (b'{"name": "\\ud800"}', "application/json", 400),
        (b'{"name": "A", "tags": ["\\ud83d\\ude00"]}', "application/json", 201),
        (b"[" * 100_000, "application/json", 400),
        (b'{"name": "A", "tags": ' + b"[" * 150 + b"]" * 150 + b"}", "application/json", 201),
        (b'{"name": "A", "age": ' + b"9" * 100_000 + b"}", "application/json", 400),
        (b'{"name": "A", "age": 1e99999999999999999999}', "application/json", 400),
        (b"[]", "application/json", 400),
        (b"null", "application/json", 400),
    ],
)
def test_a_body_that_is_not_a_json_object_is_refused(
    service: Service, body: bytes, media_type: str, status: int
) -> None:
    response = service.post("/people", body, headers={"Content-Type": media_type})
    assert response.status_code == status, response.text


def test_a_body_that_is_too_large_is_413(service: Service) -> None:
    response = service.post("/people", b'{"name": "' + b"x" * (17 * 2**20) + b'"}')
    assert response.status_code == 413
    assert "DRG_MAX_BODY_BYTES" in response.json()["error"]


def test_a_value_that_an_index_cannot_hold_is_the_clients_fault(service: Service) -> None:
    import base64
    import os

    value = base64.b64encode(os.urandom(9000)).decode()
    response = service.post("/people", {"name": "Ada", "email": value})
    assert response.status_code == 400


def test_a_problem_document_is_sent_to_those_who_prefer_it(service: Service) -> None:
    headers = {"Accept": "application/problem+json"}
    response = service.get("/people/9", headers=headers)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["status"] == 404
    assert response.json()["title"] == "Not Found"
    refused = service.post("/people", {}, headers=headers)
    assert refused.json()["errors"] == ["name: is required."]

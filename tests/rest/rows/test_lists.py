"""Lists, one row and queries of a generated table over HTTP, against two workers."""

from __future__ import annotations

import pytest

from tests.rest.rows.tables import add_people, links
from tests.service import Service


def test_an_empty_table_is_an_empty_list_without_links(service: Service) -> None:
    response = service.get("/people")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == {"people": [], "links": []}


def test_a_page_has_20_rows_in_key_order_and_its_links_in_order(service: Service) -> None:
    add_people(service, 45)
    service.execute("UPDATE people SET age = 1 WHERE id = 3")  # moves the row in the heap
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
    service.execute("UPDATE people SET age = 7")
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
    service.execute("UPDATE people SET age = 7")
    refused = service.post("/people/query", {"age": 7})
    assert refused.status_code == 400
    assert "limit" in refused.json()["error"]
    assert len(service.post("/people/query?limit=50", {"age": 7}).json()["results"]) == 50
    assert len(service.post("/people/query?limit=5000", {"age": 7}).json()["results"]) == 50


def test_get_of_a_path_that_only_has_query_is_a_row_that_does_not_exist(service: Service) -> None:
    assert service.get("/people/query").status_code == 404

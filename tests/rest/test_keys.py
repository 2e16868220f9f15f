"""Primary keys of every shape, over HTTP: any name, any type, several fields, none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.service import Service, entry, payload, running

NAME = {"name": "name", "type": "string"}


def key(name: str, type_: str) -> dict[str, Any]:
    return {"name": name, "type": type_}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("keys"), server_url) as service:
        entries = [
            entry("books", key("isbn", "string"), NAME, key="isbn"),
            entry("days", key("day", "date"), NAME, key="day"),
            entry("prices", key("amount", "number"), NAME, key="amount"),
            entry("moments", key("at", "datetime"), NAME, key="at"),
            entry(
                "copies",
                key("isbn", "string"),
                key("number", "integer"),
                NAME,
                key=["isbn", "number"],
            ),
            entry("places", key("y", "integer"), key("x", "string"), key=["x", "y"]),
            entry("logs", NAME, key=None),
            entry("people", NAME),
        ]
        pairs = [("people", "people"), ("copies", "people"), ("places", "copies")]
        service.generate(payload(*entries, pairs=pairs))
        yield service


@pytest.mark.parametrize(
    ("table", "field", "value", "path"),
    [
        ("books", "isbn", "a/b,c~d%2F é", "a~2Fb~2Cc~7Ed%252F%20%C3%A9"),
        ("books", "isbn", "~2F", "~7E2F"),
        ("days", "day", "2024-02-29", "2024-02-29"),
        ("prices", "amount", 1.50, "1.5"),
        ("moments", "at", "2024-02-29T10:00:00Z", "2024-02-29T10%3A00%3A00Z"),
    ],
)
def test_a_key_of_any_type_names_its_row(
    service: Service, table: str, field: str, value: object, path: str
) -> None:
    created = service.post(f"/{table}", {field: value, "name": "one"})
    assert (created.status_code, created.json()["id"]) == (201, value)
    assert created.headers["Location"] == f"/{table}/{path}"
    found = service.get(created.headers["Location"])
    assert (found.status_code, found.json()) == (200, {field: value, "name": "one"})
    changed = service.patch(created.headers["Location"], {"name": "two"})
    assert (changed.status_code, changed.json()["id"]) == (200, value)


def test_a_composite_key_is_a_list_in_json_and_joined_by_commas_in_a_path(service: Service) -> None:
    created = service.post("/copies", {"isbn": "1,2/3", "number": 7, "name": "one"})
    assert (created.status_code, created.json()["id"]) == (201, ["1,2/3", 7])
    assert created.headers["Location"] == "/copies/1~2C2~2F3,7"
    assert service.get("/copies/1~2C2~2F3,7").json()["name"] == "one"
    changed = service.put("/copies/1~2C2~2F3,7", {"isbn": "1,2/3", "number": 7, "name": "two"})
    assert (changed.status_code, changed.json()["id"]) == (200, ["1,2/3", 7])
    assert service.get("/copies/1~2C2~2F3,7").json()["name"] == "two"


def test_the_order_of_a_composite_key_is_that_of_primary_key(service: Service) -> None:
    assert service.put("/places/b,1", {}).json()["id"] == ["b", 1]
    assert service.get("/places/b,1").json() == {"y": 1, "x": "b"}
    assert service.get("/places/1,b").status_code == 404


def test_a_composite_key_that_cannot_be_one_is_404(service: Service) -> None:
    for path in ("/copies/x", "/copies/x,y", "/copies/x,1,2", "/copies/none,1"):
        assert service.get(path).status_code == 404
        assert service.patch(path, {"name": "x"}).status_code == 404
    assert service.get("/copies/none,1").json() == {
        "error": 'There is no copies with isbn, number "none,1".'
    }


def test_a_body_that_says_another_key_than_the_path_is_told_each_field(service: Service) -> None:
    refused = service.put("/copies/q,1", {"isbn": "r", "number": 2})
    assert refused.status_code == 400
    assert refused.json()["errors"] == [
        'isbn: is "r" and the path says "q,1".',
        'number: is 2 and the path says "q,1".',
    ]


def test_pages_of_a_composite_key_are_followed(service: Service) -> None:
    wanted = [["page", number] for number in range(5)]
    for isbn, number in wanted:
        assert service.put(f"/copies/{isbn},{number}", {}).status_code == 201
    found, path = [], "/copies?limit=2"
    while path:
        page = service.get(path).json()
        found += [[row["isbn"], row["number"]] for row in page["copies"]]
        path = next((link["href"] for link in page["links"] if link["rel"] == "next"), "")
    assert [key for key in found if key[0] == "page"] == wanted
    assert found == sorted(found)


def test_a_table_without_a_key_is_listed_queried_and_inserted_into(service: Service) -> None:
    created = service.post("/logs", {"name": "x"})
    assert created.json() == {"message": "Successfully added new resource."}
    assert "Location" not in created.headers
    assert service.get("/logs").json()["logs"] == [{"name": "x"}]
    assert service.post("/logs/query", {"name": "x"}).json() == {"results": [{"name": "x"}]}


def test_a_table_without_a_key_has_no_item_routes_and_it_is_said_why(service: Service) -> None:
    document = payload(entry("logs", NAME, key=None))
    done = {"responses": {"200": {"description": "Done."}}}
    parameter = {"name": "id", "in": "path", "required": True, "schema": {}}
    paths = document["data_resource_schema"]["api"]["apiSpec"]["paths"]
    paths["/logs/{id}"] = {"parameters": [parameter], "get": done}
    from data_resource_api import compile_data_resource

    (unmatched,) = compile_data_resource(document).unmatched
    assert unmatched.reason == '"logs" has no primary key; a row\'s path needs one'


def test_a_pair_of_a_table_to_itself_is_kept_as_parent_and_child(service: Service) -> None:
    for number in (1, 2, 3):
        service.put(f"/people/{number}", {})
    assert service.put("/people/1/people", [2, 3]).json() == [2, 3]
    assert service.get("/people/2/people").json() == []
    assert service.execute('SELECT parent_id, child_id FROM "people/people"') == [
        (1, 2),
        (1, 3),
    ]


def test_composite_keys_are_related_by_lists(service: Service) -> None:
    service.put("/copies/m,1", {})
    service.put("/copies/m,2", {})
    service.put("/people/1", {})
    service.put("/places/p,9", {})
    assert service.put("/people/1/copies", [["m", 2], ["m", 1]]).json() == [["m", 1], ["m", 2]]
    assert service.put("/people/1/copies", [["m", 2]]).json() == [["m", 2]]
    assert service.get("/copies/m,2/people").json() == [1]
    assert service.patch("/copies/m,1/places", [["p", 9]]).json() == [["p", 9]]
    assert service.get("/places/p,9/copies").json() == [["m", 1]]
    assert service.put("/places/p,9/copies", []).json() == []
    refused = service.put("/people/1/copies", [["m", 1], ["none", 5], ["m"], "m,1"])
    assert refused.json()["errors"] == [
        "[2]: must be a list of 2 values: isbn, number.",
        "[3]: must be a list of 2 values: isbn, number.",
    ]
    refused = service.put("/people/1/copies", [["m", 1], ["none", 5]])
    assert refused.json()["errors"] == ["There is no copies with isbn, number none, 5."]
    assert service.get("/people/1/copies").json() == [["m", 2]]


def test_it_is_all_there_after_a_restart(service: Service) -> None:
    service.put("/copies/kept,1", {"name": "k"})
    service.stop()
    service.start()
    assert service.get("/copies/kept,1").json()["name"] == "k"
    assert service.get("/generator").status_code == 200

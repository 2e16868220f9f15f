"""One-to-many relationships of every shape, over HTTP: cycles, of a table to itself, several, composite."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.service import Service, entry, payload, running

NAME = {"name": "name", "type": "string"}


def whole(name: str) -> dict[str, Any]:
    return {"name": name, "type": "integer"}


def refers(stated: dict[str, Any], *keys: tuple[object, str, object]) -> dict[str, Any]:
    """An entry with these foreign keys: fields, table, fields."""
    found = copy.deepcopy(stated)
    found["tableSchema"]["foreignKeys"] = [
        {"fields": fields, "reference": {"resource": resource, "fields": targets}}
        for fields, resource, targets in keys
    ]
    return found


def document() -> dict[str, Any]:
    isbn = {"name": "isbn", "type": "string"}
    entries = [
        refers(entry("persons", NAME, whole("mentor")), ("mentor", "", "id")),
        refers(entry("teams", NAME, whole("lead")), ("lead", "members", "id")),
        refers(entry("members", NAME, whole("team")), ("team", "teams", "id")),
        entry("copies", isbn, whole("number"), NAME, key=["isbn", "number"]),
        refers(
            entry("loans", isbn, whole("number"), whole("borrower"), whole("clerk")),
            (["isbn", "number"], "copies", ["isbn", "number"]),
            ("borrower", "persons", "id"),
            ("clerk", "persons", "id"),
        ),
    ]
    return payload(*entries, pairs=[("persons", "persons")])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("relationships"), server_url) as service:
        service.generate(document())
        yield service


def test_a_row_refers_to_a_row_of_its_own_table(service: Service) -> None:
    first = service.post("/persons", {"name": "Ada"}).json()["id"]
    second = service.post("/persons", {"name": "Bo", "mentor": first})
    assert second.status_code == 201
    assert service.post("/persons", {"name": "Cy", "mentor": 999}).status_code == 409


def test_tables_that_refer_to_each_other_are_created(service: Service) -> None:
    team = service.post("/teams", {"name": "Loans"}).json()["id"]
    member = service.post("/members", {"name": "Di", "team": team}).json()["id"]
    assert service.patch(f"/teams/{team}", {"lead": member}).status_code == 200
    assert service.patch(f"/teams/{team}", {"lead": 999}).status_code == 409
    assert service.post("/members", {"name": "Ed", "team": 999}).status_code == 409


def test_a_key_of_several_fields_is_referred_to_beside_two_references_to_one_table(
    service: Service,
) -> None:
    assert service.post("/copies", {"isbn": "91-0", "number": 2, "name": "c"}).status_code == 201
    person = service.post("/persons", {"name": "Fe"}).json()["id"]
    loan = {"isbn": "91-0", "number": 2, "borrower": person, "clerk": person}
    assert service.post("/loans", loan).status_code == 201
    for wrong in ({"number": 3}, {"borrower": 999}, {"clerk": 999}):
        assert service.post("/loans", {**loan, **wrong}).status_code == 409, wrong


def test_a_pair_of_one_table_is_read_and_changed_from_the_childs_side_with_reverse(
    service: Service,
) -> None:
    a, b, c = (service.post("/persons", {"name": name}).json()["id"] for name in "abc")
    assert service.put(f"/persons/{a}/persons", [b]).json() == [b]
    assert service.get(f"/persons/{b}/persons?reverse=true").json() == [a]
    assert service.patch(f"/persons/{b}/persons?reverse=true", [c]).json() == [a, c]
    assert service.get(f"/persons/{c}/persons").json() == [b]
    assert service.put(f"/persons/{b}/persons?reverse=true", []).json() == []
    assert service.get(f"/persons/{a}/persons").json() == []
    assert service.get(f"/persons/{a}/persons?reverse=yes").status_code == 400


def test_the_database_is_found_equal_when_the_document_is_adopted(service: Service) -> None:
    changed = document()
    changed["data_resource_schema"]["description"] = "the same tables"
    answer = service.post("/generator", {**changed, "touch_database": False})
    assert answer.status_code == 204, answer.text


def test_a_lost_foreign_key_of_a_cycle_is_a_difference(service: Service) -> None:
    changed = document()
    for item in changed["data_resource_schema"]["data"]["dataDictionary"]:
        if item["name"] == "teams":
            item["tableSchema"]["foreignKeys"].append(
                {"fields": "id", "reference": {"resource": "persons", "fields": "id"}}
            )
    answer = service.post("/generator", {**changed, "touch_database": False})
    assert (answer.status_code, "persons" in answer.text) == (409, True)


def test_it_is_all_there_after_a_restart(service: Service) -> None:
    before = service.get("/loans").json()
    service.stop()
    service.start()
    assert service.get("/loans").json() == before


def test_drafts_of_such_tables_become_the_api_that_they_describe(service: Service) -> None:
    """Every drafted path is served: children, composite keys in a path, and a pair of one table."""
    made = document()
    schema = made["data_resource_schema"]
    pairs = schema["data"]["relationships"].pop("manyToMany")
    for number, item in enumerate(schema["data"]["dataDictionary"]):
        if item["name"] == "persons":
            item["relationships"] = {"manyToMany": pairs}
        assert service.put(f"/tableschema/{number}", item).status_code == 200
    schema["api"]["apiSpec"] = service.get("/swagger").json()["swagger"]
    service.reset()
    service.generate(made)
    assert service.get("/generator").json()["unmatched"] == []
    assert service.get("/generator").json()["disabled"] == []
    ada, bo = (service.post("/persons", {"name": name}).json()["id"] for name in ("Ada", "Bo"))
    assert service.put("/copies/91-0,2", {"name": "c"}).status_code == 201
    loan = {"isbn": "91-0", "number": 2, "borrower": ada, "clerk": bo}
    assert service.post("/loans", loan).status_code == 201
    assert service.get("/copies/91-0,2/loans?borrower=gt.0").json()["loans"][0]["clerk"] == bo
    assert service.get(f"/persons/{bo}/loans?via=clerk").json()["loans"][0]["borrower"] == ada
    assert service.put(f"/persons/{ada}/persons", [bo]).json() == [bo]
    assert service.get(f"/persons/{bo}/persons?reverse=true").json() == [ada]

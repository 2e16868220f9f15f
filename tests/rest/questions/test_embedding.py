"""Rows inside rows: the shapes of relations, and values that look as they do in a list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.service import Service, entry, payload, running


def _refers(field: str, table: str) -> dict[str, Any]:
    return {"fields": field, "reference": {"resource": table, "fields": "id"}}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    """Staff refer to each other, and twice to offices; every office has values of every difficult type."""
    office = entry(
        "office",
        {"name": "secret", "type": "string", "protected": True, "searchable": True},
        {"name": "opened", "type": "datetime"},
        {"name": "hours", "type": "time"},
        {"name": "rent", "type": "number"},
        {"name": 'odd "name" %s', "type": "string"},
        {"name": "data", "type": "object"},
    )
    staff = entry(
        "staff",
        {"name": "name", "type": "string"},
        {"name": "boss_id", "type": "integer"},
        {"name": "home_id", "type": "integer"},
        {"name": "work_id", "type": "integer"},
        foreignKeys=[
            _refers("boss_id", "staff"),
            _refers("home_id", "office"),
            _refers("work_id", "office"),
        ],
    )
    document = payload(office, staff)
    document["data_resource_schema"]["data"]["encryptionSchema"] = {
        "*": {"type": "AES_GCM_Engine", "key": "EMBED_KEY"}
    }
    folder = tmp_path_factory.mktemp("embedding")
    with running(folder, server_url, EMBED_KEY="a key of this test") as service:
        service.generate(document)
        row = {
            "secret": "hush",
            "opened": "2001-02-03T04:05:06.5Z",
            "hours": "08:30:00Z",
            "rent": 0.0000001,
            'odd "name" %s': "x",
            "data": {"n": 1.10},
        }
        assert service.post("/office", row).status_code == 201
        assert service.post("/office", {"rent": 12.50}).status_code == 201
        assert service.database is not None
        service.database.execute(
            "INSERT INTO staff VALUES (1, 'Ann', NULL, 1, 2), (2, 'Bob', 1, 2, 1), (3, 'Cy', 1, NULL, 1)"
        )
        yield service


def rows(service: Service, query: str) -> Any:
    response = requests.get(f"{service.url}/staff", query, timeout=60)
    assert response.status_code == 200, response.text
    return response.json()["staff"]


def test_an_embedded_row_is_what_a_list_shows(service: Service) -> None:
    """Protected values are decrypted, digits and moments as ever."""
    shown = requests.get(f"{service.url}/office/1", timeout=60).text
    answer = requests.get(f"{service.url}/staff?select=home_id(*)&id=eq.1", timeout=60).text
    plain = requests.get(
        f"{service.url}/staff?select=home_id(rent,opened,hours,data)&id=eq.1", timeout=60
    ).text
    assert requests.get(f"{service.url}/office/1", timeout=60).json()["secret"] == "hush"
    assert shown.replace(" ", "") in answer.replace(" ", "")
    assert '"rent":0.0000001' in plain
    assert '"opened":"2001-02-03T04:05:06.5Z","hours":"08:30:00Z"' in plain


def test_a_table_that_refers_to_itself_is_embedded_both_ways(service: Service) -> None:
    assert rows(service, "select=name,staff(name),boss_id(name)&id=lt.3") == [
        {"name": "Ann", "staff": [{"name": "Bob"}, {"name": "Cy"}], "boss_id": None},
        {"name": "Bob", "staff": [], "boss_id": {"name": "Ann"}},
    ]


def test_protected_values_are_decrypted_at_every_depth(service: Service) -> None:
    found = rows(service, "select=staff(id,office!home_id(id,secret))&id=eq.1")
    assert found == [
        {"staff": [{"id": 2, "office": {"id": 2, "secret": None}}, {"id": 3, "office": None}]}
    ]
    found = rows(service, "select=staff(office!work_id(secret))&id=eq.1")
    assert found == [{"staff": [{"office": {"secret": "hush"}}, {"office": {"secret": "hush"}}]}]


def test_a_relation_that_could_be_several_needs_a_hint(service: Service) -> None:
    """The refusal lists them."""
    response = requests.get(f"{service.url}/staff?select=office(id)", timeout=60)
    assert response.status_code == 400
    assert "office!home_id or office!work_id" in response.json()["errors"][0]
    assert rows(service, "select=office!work_id(id)&id=eq.1") == [{"office": {"id": 2}}]


def test_embedded_rows_are_filtered_ordered_and_cut(service: Service) -> None:
    query = "select=id,staff!inner(id)&staff.order=id.desc&staff.limit=1&staff.name=neq.Dee"
    assert rows(service, query) == [{"id": 1, "staff": [{"id": 3}]}]
    by_secret = "select=id,office!work_id!inner(id)&office.secret=eq.hush"
    assert [row["id"] for row in rows(service, by_secret)] == [2, 3]


def test_rows_are_ordered_by_the_row_that_they_refer_to(service: Service) -> None:
    found = rows(service, "select=id&order=home_id(rent).desc.nullslast")
    assert [row["id"] for row in found] == [2, 1, 3]


def test_a_field_without_parentheses_is_itself(service: Service) -> None:
    assert rows(service, "select=boss_id&id=eq.2") == [{"boss_id": 1}]


@pytest.mark.parametrize(
    "select", ["boss_id,boss_id(name)", "boss_id(name),boss_id", "a:id,a:name", "id:name,id"]
)
def test_a_name_stands_for_one_thing_in_an_answer(service: Service, select: str) -> None:
    response = requests.get(f"{service.url}/staff?select={select}", timeout=60)
    assert response.status_code == 400
    assert "would stand for two things" in response.json()["errors"][0]


def test_what_is_named_wins_over_the_star(service: Service) -> None:
    for select in ("*,name:id", "name:id,*"):
        assert rows(service, f"select={select}&id=eq.2")[0]["name"] == 2
    assert rows(service, "select=boss_id(id),*,id&id=eq.2")[0]["boss_id"] == {"id": 1}


def test_a_name_that_postgresql_would_cut_is_refused(service: Service) -> None:
    response = requests.get(f"{service.url}/staff?select=staff({'n' * 64}:name)", timeout=60)
    assert response.status_code == 400
    assert "63 bytes" in response.json()["errors"][0]

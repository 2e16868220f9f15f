"""Rows inside rows where keys are unusual: composite, of a table to itself, several, none at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from data_resource_api.rest.questions.bounds import DEEPEST_EMBED
from tests.rest.questions.campus import campus
from tests.service import Service, running

#: Ann is the boss of Bob and Cy. Ann and Bob have a room, Cy and Dee half of one, which is none.
ROWS = """
INSERT INTO room VALUES ('A', 1, 'Hall', 9), ('A', 2, NULL, 4), ('B', 1, 'Attic', NULL);
INSERT INTO people (id, name, age, boss_id, building, room_number) VALUES
  (1, 'Ann', 50, NULL, 'A', 1), (2, 'Bob', 40, 1, 'A', 2), (3, 'Cy', 30, 1, 'A', NULL),
  (4, 'Dee', NULL, 2, NULL, 1);
INSERT INTO note (text, stars, author_id, reader_id, building, number) VALUES
  ('b', 2, 1, 2, 'A', 1), ('a', 3, 1, 3, 'A', 1), ('a', 3, 1, 3, 'A', 1), ('c', NULL, 2, NULL, 'A', NULL),
  ('d', 5, NULL, 1, 'B', 1);
INSERT INTO club VALUES (1, 'Chess'), (2, 'Rowing');
INSERT INTO "club/room" (club_id, room_number, room_building) VALUES (1, 1, 'A'), (1, 1, 'B'), (2, 1, 'A');
INSERT INTO "people/people" (parent_id, child_id) VALUES (1, 3), (1, 2), (2, 3), (4, 4)
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("embedding_keys"), server_url) as service:
        service.generate(campus())
        assert service.database is not None
        service.database.execute(ROWS)
        yield service


def ask(service: Service, path: str) -> requests.Response:
    return requests.get(f"{service.url}/{path}", timeout=60)


def names(rows: list[dict[str, Any]]) -> list[Any]:
    return [row["name"] for row in rows]


#: What is asked of a table → its rows.
EMBEDDED: dict[str, list[dict[str, Any]]] = {
    # a composite foreign key, of which a part that is null refers to nothing
    "people?select=name,room(building,number,name)": [
        {"name": "Ann", "room": {"building": "A", "number": 1, "name": "Hall"}},
        {"name": "Bob", "room": {"building": "A", "number": 2, "name": None}},
        {"name": "Cy", "room": None},
        {"name": "Dee", "room": None},
    ],
    "room?select=building,number,people(name)": [
        {"building": "A", "number": 1, "people": [{"name": "Ann"}]},
        {"building": "B", "number": 1, "people": []},
        {"building": "A", "number": 2, "people": [{"name": "Bob"}]},
    ],
    "people?select=name,room!inner(seats)&room.seats=gt.4": [{"name": "Ann", "room": {"seats": 9}}],
    "people?select=name,room()&room=is.null": [{"name": "Cy"}, {"name": "Dee"}],
    "people?select=name,room()&room=not.is.null": [{"name": "Ann"}, {"name": "Bob"}],
    "people?select=name&order=room(seats).desc.nullslast,name.desc": [
        {"name": "Ann"}, {"name": "Bob"}, {"name": "Dee"}, {"name": "Cy"},
    ],
    # many-to-many with a composite key
    "club?select=name,room(number,building)": [
        {"name": "Chess", "room": [{"number": 1, "building": "A"}, {"number": 1, "building": "B"}]},
        {"name": "Rowing", "room": [{"number": 1, "building": "A"}]},
    ],
    "room?select=name,club!inner(name)&club.order=name.desc&club.limit=1": [
        {"name": "Hall", "club": [{"name": "Rowing"}]},
        {"name": "Attic", "club": [{"name": "Chess"}]},
    ],
    # a table to itself, one to many: by its field upwards, by the table's name downwards
    "people?select=name,boss_id(name),people!boss_id(name)&id=lt.4": [
        {"name": "Ann", "boss_id": None, "people": [{"name": "Bob"}, {"name": "Cy"}]},
        {"name": "Bob", "boss_id": {"name": "Ann"}, "people": [{"name": "Dee"}]},
        {"name": "Cy", "boss_id": {"name": "Ann"}, "people": []},
    ],
    "people?select=name,boss_id!inner(name)&boss_id.age=eq.40": [
        {"name": "Dee", "boss_id": {"name": "Bob"}}
    ],
    "people?select=name,staff:people!boss_id!inner(name)&staff.age=is.null": [
        {"name": "Bob", "staff": [{"name": "Dee"}]}
    ],
    # a table to itself, many to many: children and parents
    "people?select=name,likes:people!child_id(name),liked:people!parent_id(name)": [
        {"name": "Ann", "likes": [{"name": "Bob"}, {"name": "Cy"}], "liked": []},
        {"name": "Bob", "likes": [{"name": "Cy"}], "liked": [{"name": "Ann"}]},
        {"name": "Cy", "likes": [], "liked": [{"name": "Ann"}, {"name": "Bob"}]},
        {"name": "Dee", "likes": [{"name": "Dee"}], "liked": [{"name": "Dee"}]},
    ],
    "people?select=name,likes:people!child_id!inner(name)&likes.age=lt.40&likes.order=name.desc": [
        {"name": "Ann", "likes": [{"name": "Cy"}]}, {"name": "Bob", "likes": [{"name": "Cy"}]},
    ],
    # rows without a key: as often as they are there, in the order that is asked for
    "room?select=name,note(text,stars)&note.order=text,stars&name=eq.Hall": [
        {"name": "Hall", "note": [
            {"text": "a", "stars": 3}, {"text": "a", "stars": 3}, {"text": "b", "stars": 2},
        ]}
    ],
    "room?select=name,note!inner(text)&note.stars=gte.3&note.limit=1": [
        {"name": "Hall", "note": [{"text": "a"}]}, {"name": "Attic", "note": [{"text": "d"}]},
    ],
    "note?select=text,room(name),author_id(name)&order=stars.desc.nullslast,text&stars=neq.3": [
        {"text": "d", "room": {"name": "Attic"}, "author_id": None},
        {"text": "b", "room": {"name": "Hall"}, "author_id": {"name": "Ann"}},
    ],
    # two foreign keys to one table, from both ends
    "people?select=name,wrote:note!author_id(text),read:note!reader_id(text)&wrote.order=text&id=eq.1": [
        {"name": "Ann", "wrote": [{"text": "a"}, {"text": "a"}, {"text": "b"}], "read": [{"text": "d"}]}
    ],
    "note?select=text,people!reader_id(name)&text=eq.b": [{"text": "b", "people": {"name": "Bob"}}],
    "note?select=text&order=author_id(name).nullsfirst,text&limit=2": [{"text": "d"}, {"text": "a"}],
    # and inside each other
    "club?select=name,room(name,people(name,boss_id(name),note!reader_id(text)))&id=eq.2": [
        {"name": "Rowing", "room": [
            {"name": "Hall", "people": [{"name": "Ann", "boss_id": None, "note": [{"text": "d"}]}]}
        ]}
    ],
}  # fmt: skip


@pytest.mark.parametrize("path", EMBEDDED)
def test_related_rows_are_embedded(service: Service, path: str) -> None:
    response = ask(service, path)
    assert response.status_code == 200, response.text
    assert response.json()[path.partition("?")[0]] == EMBEDDED[path]


def test_one_row_of_a_composite_key_embeds_too(service: Service) -> None:
    found = ask(service, "room/1,A?select=name,people(name),club(name)").json()
    assert found == {
        "name": "Hall",
        "people": [{"name": "Ann"}],
        "club": [{"name": "Chess"}, {"name": "Rowing"}],
    }


#: A relation that could be several → the ways to say which, in the answer's words.
AMBIGUOUS = {
    "people?select=people(id)": (
        "people!boss_id",
        "people!child_id",
        "people!parent_id",
    ),
    "people?select=note(text)": ("note!author_id", "note!reader_id"),
    "note?select=people(id)": ("people!author_id", "people!reader_id"),
}


@pytest.mark.parametrize("path", AMBIGUOUS)
def test_a_relation_that_could_be_several_is_told_with_its_hints(
    service: Service, path: str
) -> None:
    """And each of the hints that are told is understood."""
    response = ask(service, path)
    assert response.status_code == 400
    (fault,) = response.json()["errors"]
    told = fault.partition("say which: ")[2].removesuffix(".").split(" or ")
    assert sorted(told) == sorted(AMBIGUOUS[path])
    for hinted in told:
        table, _, _ = path.partition("?")
        assert ask(service, f"{table}?select={hinted}()").status_code == 200, hinted


def test_an_unknown_hint_is_told_the_nearest(service: Service) -> None:
    response = ask(service, "people?select=note!auther_id(text)")
    assert response.status_code == 400
    assert 'did you mean "author_id"?' in response.json()["errors"][0]


def test_an_unknown_relation_is_told_the_nearest(service: Service) -> None:
    response = ask(service, "people?select=rom(name)")
    assert 'did you mean "room"?' in response.json()["errors"][0]


@pytest.mark.parametrize("query", ["order=people(name)", "order=club(name)", "order=note(text)"])
def test_rows_are_not_ordered_by_any_number_of_others(service: Service, query: str) -> None:
    response = ask(service, f"people?{query}")
    assert response.status_code == 400
    assert "is not a relation to one row of people" in response.json()["errors"][0]


def nested(depth: int) -> str:
    """Somebody's boss, and his or her boss …"""
    return "boss_id(" * depth + "id" + ")" * depth


def test_tables_stand_in_each_other_to_a_limit(service: Service) -> None:
    assert ask(service, f"people?select={nested(DEEPEST_EMBED)}&id=eq.4").json()["people"] == [
        {"boss_id": {"boss_id": {"boss_id": None}}}
    ]
    response = ask(service, f"people?select={nested(DEEPEST_EMBED + 1)}")
    assert response.status_code == 400
    assert str(DEEPEST_EMBED) in response.text

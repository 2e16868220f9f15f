"""Many-to-many routes over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.service import Service, entry, payload, running

NAME = {"name": "name", "type": "string"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("related"), server_url) as service:
        # Neither pair is in alphabetical order; one key is not an integer, nor called id.
        teams = entry("teams", NAME)
        people = entry("people", NAME)
        skills = entry("skills", {"name": "code", "type": "string"}, key="code")
        pairs = [("teams", "people"), ("skills", "people")]
        service.generate(payload(teams, people, skills, pairs=pairs))
        yield service


@pytest.fixture(autouse=True)
def _three_of_each(service: Service) -> None:
    service.execute('TRUNCATE people, teams, skills, "people/teams", "people/skills"')
    for key in (1, 2, 3):
        service.put(f"/people/{key}", {"name": f"p{key}"})
        service.put(f"/teams/{key}", {"name": f"t{key}"})
        service.put(f"/skills/s{key}", {})


def test_the_association_table_is_named_by_both_in_alphabetical_order(service: Service) -> None:
    assert service.database is not None
    assert "people/teams" in service.database.tables()
    service.put("/teams/1/people", [2])
    assert service.execute('SELECT people_id, teams_id FROM "people/teams"') == [(2, 1)]


def test_a_row_without_relations_has_an_empty_list(service: Service) -> None:
    response = service.get("/teams/1/people")
    assert (response.status_code, response.json()) == (200, [])


def test_a_parent_that_does_not_exist_is_404(service: Service) -> None:
    for path in ("/teams/9/people", "/teams/x/people", "/skills/none/people"):
        assert service.get(path).status_code == 404
        assert service.put(path, [1]).status_code == 404
        assert service.patch(path, [1]).status_code == 404


def test_put_makes_the_association_exactly_the_list(service: Service) -> None:
    assert service.put("/teams/1/people", [3, 1]).json() == [1, 3]
    assert service.put("/teams/1/people", [2, 3]).json() == [2, 3]
    assert service.get("/teams/1/people").json() == [2, 3]


def test_put_of_an_empty_list_empties_it(service: Service) -> None:
    service.put("/teams/1/people", [1, 2])
    response = service.put("/teams/1/people", [])
    assert (response.status_code, response.json()) == (200, [])
    assert service.get("/teams/1/people").json() == []


def test_patch_adds_and_answers_with_all(service: Service) -> None:
    service.put("/teams/1/people", [2])
    assert service.patch("/teams/1/people", [3, 1]).json() == [1, 2, 3]


def test_an_id_already_there_or_given_twice_is_not_an_error(service: Service) -> None:
    service.put("/teams/1/people", [2])
    assert service.patch("/teams/1/people", [2, 2, 1]).json() == [1, 2]
    assert service.put("/teams/1/people", [3, 3]).json() == [3]


def test_a_bare_id_counts_as_a_list_of_one(service: Service) -> None:
    assert service.put("/teams/1/people", "2").json() == [2]
    assert service.patch("/teams/1/people", "3").json() == [2, 3]


def test_both_directions_work(service: Service) -> None:
    service.put("/people/2/teams", [1, 3])
    assert service.get("/teams/3/people").json() == [2]
    service.patch("/teams/3/people", [1])
    assert service.get("/people/1/teams").json() == [3]


def test_every_missing_child_is_named_and_nothing_changes(service: Service) -> None:
    service.put("/teams/1/people", [1])
    for change in (service.put, service.patch):
        response = change("/teams/1/people", [2, 8, 9])
        assert response.status_code == 400
        assert response.json()["errors"] == [
            "There is no people with id 8.",
            "There is no people with id 9.",
        ]
    assert service.get("/teams/1/people").json() == [1]


@pytest.mark.parametrize("body", [["x"], [None], [1.5], [[]], [{"id": 1}], [99999999999], {"a": 1}])
def test_what_cannot_be_an_id_is_refused_by_its_place(service: Service, body: object) -> None:
    import json

    response = service.put("/teams/1/people", json.dumps(body))
    assert response.status_code == 400
    assert response.json()["errors"][0].startswith("[0]:")


def test_keys_of_other_names_and_types_relate_too(service: Service) -> None:
    assert service.put("/skills/s2/people", [3]).json() == [3]
    assert service.get("/people/3/skills").json() == ["s2"]
    assert service.patch("/people/3/skills", ["s1"]).json() == ["s1", "s2"]
    assert service.put("/people/3/skills", ["nope"]).status_code == 400


def test_many_writers_at_once_leave_one_whole_association(service: Service) -> None:
    lists = [[1], [1, 2], [3], [2, 3], [1, 2, 3]]
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda n: service.put("/teams/1/people", lists[n % 5]), range(100)))
    assert {reply.status_code for reply in replies} == {200}
    assert service.get("/teams/1/people").json() in lists


def test_a_query_parameter_is_refused(service: Service) -> None:
    assert service.get("/teams/1/people?offset=1").status_code == 400

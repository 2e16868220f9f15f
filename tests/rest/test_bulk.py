"""Many rows in one request, and rows that may be there already: all of them, or none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.rest.tables import PETS
from tests.service import Service, entry, payload, running

PEOPLE = entry(
    "people",
    {"name": "name", "type": "string", "constraints": {"required": True, "maxLength": 20}},
    {"name": "email", "type": "string", "constraints": {"unique": True}},
    {"name": "age", "type": "integer", "constraints": {"minimum": 0, "maximum": 120}},
    {"name": "tags", "type": "array"},
    {"name": "boss", "type": "integer"},
    foreignKeys=[{"fields": "boss", "reference": {"resource": "people", "fields": "id"}}],
)
CODES = entry(
    "codes",
    {"name": "code", "type": "string", "constraints": {"minLength": 1}},
    {"name": "label", "type": "string", "constraints": {"required": True}},
    {"name": "note", "type": "string"},
    key="code",
)
LOGS = entry("logs", {"name": "line", "type": "string"}, key=None)
SECRETS = {
    **entry(
        "secrets",
        {
            "name": "ssn",
            "type": "string",
            "protected": True,
            "searchable": True,
            "constraints": {"unique": True},
        },
        {"name": "pin", "type": "integer", "protected": True},
    ),
    "encryptionSchema": {"*": {"type": "AES_256_GCM", "key": "PEOPLE_KEY"}},
}
MERGE = {"Prefer": "resolution=merge-duplicates"}
IGNORE = {"Prefer": "resolution=ignore-duplicates"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("bulk")
    key = "c2l4dGVlbiBieXRlcyBzaXh0ZWVuIGJ5dGVzIDMyISE="
    with running(folder, server_url, PEOPLE_KEY=key) as service:
        service.generate(payload(PEOPLE, PETS, CODES, LOGS, SECRETS))
        yield service


@pytest.fixture(autouse=True)
def _empty_tables(service: Service) -> None:
    rows(service, "TRUNCATE people, pets, codes, logs, secrets RESTART IDENTITY")


def rows(service: Service, sql: str) -> list[tuple[Any, ...]]:
    return service.execute(sql)


def test_a_list_is_added_and_its_ids_are_in_its_order(service: Service) -> None:
    response = service.post("/people", [{"name": "Ann"}, {"name": "Bob", "age": 7}, {"name": "Cy"}])
    assert response.status_code == 201, response.text
    assert response.json() == {"message": "Successfully added new resources.", "ids": [1, 2, 3]}
    assert rows(service, "SELECT id, name, age FROM people ORDER BY id") == [
        (1, "Ann", None),
        (2, "Bob", 7),
        (3, "Cy", None),
    ]


def test_an_empty_list_is_refused(service: Service) -> None:
    response = service.post("/people", [])
    assert response.status_code == 400
    assert response.json() == {"error": "The list is empty; it must hold at least one row."}


def test_every_fault_is_told_with_its_row_and_nothing_is_added(service: Service) -> None:
    response = service.post(
        "/people",
        [{"name": "Ann"}, {"nmae": "Bob", "age": "x"}, 7, {"name": "Cy", "age": 121}, None],
    )
    assert response.status_code == 400
    assert response.json()["errors"] == [
        'row 2: age: must be a whole number, not "x".',
        'row 2: nmae: is not a field of people; did you mean "name"?',
        "row 2: name: is required.",
        "row 3: must be a JSON object, not a number.",
        "row 4: age: must be at most 120.",
        "row 5: must be a JSON object, not null.",
    ]
    assert rows(service, "SELECT count(*) FROM people") == [(0,)]


def test_of_very_many_faults_the_first_are_shown_and_the_others_counted(service: Service) -> None:
    errors = service.post("/people", [{"name": 1}] * 150).json()["errors"]
    assert len(errors) == 101
    assert errors[99] == "row 100: name: must be a string, not a number."
    assert errors[100] == "and 50 more."


def test_keys_of_the_clients_and_generated_ones_go_together(service: Service) -> None:
    people = [
        {"name": "Ann"},
        {"id": 1, "name": "Bob"},
        {"id": None, "name": "Cy"},
        {"id": 3, "name": "Di"},
    ]
    response = service.post("/people", people)
    assert response.status_code == 201, response.text
    ids = response.json()["ids"]
    assert (ids[1], ids[3]) == (1, 3)
    assert len({*ids}) == 4
    assert dict(rows(service, "SELECT id, name FROM people")) == dict(
        zip(ids, ["Ann", "Bob", "Cy", "Di"], strict=True)
    )


def test_generated_keys_pass_over_a_range_that_clients_have_taken(service: Service) -> None:
    rows(service, "INSERT INTO people (id, name) SELECT n, 'x' FROM generate_series(1, 5000) n")
    response = service.post("/people", [{"name": f"p{n}"} for n in range(40)])
    assert response.status_code == 201, response.text
    assert min(response.json()["ids"]) > 5000


def test_a_table_without_a_key_answers_without_ids(service: Service) -> None:
    response = service.post("/logs", [{"line": "a\tb\\\n"}, {}, {"line": "é"}])
    assert response.status_code == 201, response.text
    assert response.json() == {"message": "Successfully added new resources."}
    assert [*rows(service, "SELECT line FROM logs")] == [("a\tb\\\n",), (None,), ("é",)]


def test_what_the_database_refuses_names_the_rows_too(service: Service) -> None:
    service.post("/people", {"name": "Ann", "email": "a@x"})
    people = [
        {"name": "B", "email": "b@x"},
        {"name": "C", "email": "a@x"},
        {"id": 1, "name": "D", "email": "b@x"},
        {"name": "E", "boss": 77},
        {"id": 9, "name": "F", "boss": 9},
    ]
    response = service.post("/people", people)
    assert response.status_code == 409
    assert response.json()["errors"] == [
        "row 2: email: a@x exists already.",
        "row 3: email: is in row 1 already.",
        "row 3: id: 1 exists already.",
        "row 4: boss: there is no row 77 to refer to.",
    ]
    assert rows(service, "SELECT count(*) FROM people") == [(1,)]
    pets = service.post("/pets", [{"owner": 1}, {"owner": 2}])
    assert pets.json()["errors"] == ["row 2: owner: there is no row 2 to refer to."]


def test_protected_fields_are_encrypted_indexed_and_unique(service: Service) -> None:
    response = service.post("/secrets", [{"ssn": "1-2", "pin": 7}, {"ssn": "3-4"}, {"pin": 7}])
    assert response.status_code == 201, response.text
    assert service.get("/secrets/1").json() == {"id": 1, "ssn": "1-2", "pin": 7}
    assert service.post("/secrets/query", {"ssn": "3-4"}).json()["results"][0]["id"] == 2
    stored = [
        bytes(row[0]) for row in rows(service, "SELECT pin FROM secrets WHERE pin IS NOT NULL")
    ]
    assert b"7" not in stored
    assert len({*stored}) == 2
    clash = service.post("/secrets", [{"ssn": "5"}, {"ssn": "3-4"}, {"ssn": "5"}])
    assert clash.status_code == 409
    assert clash.json()["errors"] == [
        "row 2: ssn: this value exists already.",
        "row 3: ssn: is in row 1 already.",
    ]
    merged = service.post("/secrets?on_conflict=ssn", [{"ssn": "1-2", "pin": 8}], headers=MERGE)
    assert merged.json()["ids"] == [1], merged.text
    assert service.get("/secrets/1").json()["pin"] == 8


def test_two_lists_at_once_share_no_keys(service: Service) -> None:
    def add(_: int) -> list[int]:
        response = service.post("/people", [{"name": "x"}] * 30)
        assert response.status_code == 201, response.text
        ids: list[int] = response.json()["ids"]
        return ids

    with ThreadPoolExecutor(8) as threads:
        ids = [id_ for part in threads.map(add, range(16)) for id_ in part]
    assert len({*ids}) == 480


# ── upserts ──────────────────────────────────────────────────────────────────────────────────────


def upsert(
    service: Service, path: str, body: Any, prefer: dict[str, str] = MERGE
) -> requests.Response:
    return service.post(path, body, headers={**prefer, "Content-Type": "application/json"})


def test_merging_changes_the_given_fields_and_adds_what_is_new(service: Service) -> None:
    upsert(service, "/codes", [{"code": "a", "label": "A", "note": "kept"}])
    response = upsert(
        service, "/codes", [{"code": "b", "label": "B"}, {"code": "a", "label": "A2"}]
    )
    assert response.status_code == 201, response.text
    assert response.headers["Preference-Applied"] == "resolution=merge-duplicates"
    assert response.json() == {
        "message": "Successfully added new resources.",
        "added": 1,
        "updated": 1,
        "ids": ["b", "a"],
    }
    assert rows(service, "SELECT * FROM codes ORDER BY code") == [
        ("a", "A2", "kept"),
        ("b", "B", None),
    ]


def test_a_row_that_is_there_needs_no_required_fields_and_a_new_one_does(service: Service) -> None:
    upsert(service, "/codes", {"code": "a", "label": "A"})
    assert upsert(service, "/codes", [{"code": "a", "note": "n"}]).status_code == 201
    response = upsert(service, "/codes", [{"code": "a", "note": "m"}, {"code": "c", "note": "n"}])
    assert response.status_code == 400
    assert response.json()["errors"] == ["row 2: label: is required."]
    assert rows(service, "SELECT * FROM codes") == [("a", "A", "n")]


def test_ignoring_leaves_what_is_there(service: Service) -> None:
    upsert(service, "/codes", {"code": "a", "label": "A"})
    response = upsert(
        service, "/codes", [{"code": "a", "label": "X"}, {"code": "b", "label": "B"}], IGNORE
    )
    assert response.status_code == 201
    assert response.headers["Preference-Applied"] == "resolution=ignore-duplicates"
    assert response.json()["added"] == 1
    assert response.json()["ids"] == ["a", "b"]
    assert rows(service, "SELECT code, label FROM codes ORDER BY 1") == [("a", "A"), ("b", "B")]


def test_one_object_is_answered_as_one(service: Service) -> None:
    new = upsert(service, "/codes", {"code": "a", "label": "A"})
    assert (new.status_code, new.headers["Location"]) == (201, "/codes/a")
    assert new.json() == {"message": "Successfully added new resource.", "id": "a"}
    same = upsert(service, "/codes", {"code": "a", "label": "B"})
    assert (same.status_code, same.json()["message"]) == (200, "Successfully updated resource.")
    ignored = upsert(service, "/codes", {"code": "a", "label": "C"}, IGNORE)
    assert (ignored.status_code, ignored.json()["id"]) == (200, "a")
    assert rows(service, "SELECT label FROM codes") == [("B",)]


def test_a_unique_field_can_tell_rows_apart(service: Service) -> None:
    service.post("/people", [{"name": "Ann", "email": "a@x", "age": 5}])
    response = upsert(
        service,
        "/people?on_conflict=email",
        [{"name": "Bob", "email": "b@x"}, {"name": "Anna", "email": "a@x"}, {"name": "No"}],
    )
    assert response.status_code == 201, response.text
    ids = response.json()["ids"]
    assert ids[1] == 1
    assert rows(service, "SELECT name, age FROM people WHERE id = 1") == [("Anna", 5)]
    assert rows(service, "SELECT count(*) FROM people") == [(3,)]


def test_ignoring_by_a_unique_field_draws_keys_for_new_rows_only(service: Service) -> None:
    service.post("/people", [{"name": "Ann", "email": "a@x"}])
    response = upsert(
        service,
        "/people?on_conflict=email",
        [{"name": "X", "email": "a@x"}, {"name": "Bob", "email": "b@x"}],
        IGNORE,
    )
    assert response.status_code == 201, response.text
    assert response.json()["ids"] == [1, 2]
    assert rows(service, "SELECT name FROM people ORDER BY id") == [("Ann",), ("Bob",)]


def test_what_does_not_tell_rows_apart_is_refused(service: Service) -> None:
    response = upsert(service, "/people?on_conflict=name", [{"name": "x"}])
    assert response.status_code == 400
    assert response.json()["errors"] == [
        'on_conflict: "name" does not tell rows apart; it can be id or email.'
    ]
    near = upsert(service, "/people?on_conflict=emial", [{"name": "x"}])
    assert 'did you mean "email"?' in near.json()["errors"][0]
    assert upsert(service, "/logs", [{"line": "x"}]).status_code == 400
    assert service.post("/people?on_conflict=email", [{"name": "x"}]).status_code == 400
    wrong = upsert(service, "/codes", {"code": "a"}, {"Prefer": "resolution=merge"})
    assert wrong.status_code == 400


def test_a_merge_that_says_a_row_twice_is_refused(service: Service) -> None:
    response = upsert(service, "/codes", [{"code": "a", "label": "1"}, {"code": "a", "label": "2"}])
    assert response.status_code == 400
    assert response.json()["errors"] == ["row 2: code: is in row 1 already."]
    ignored = upsert(
        service, "/codes", [{"code": "a", "label": "1"}, {"code": "a", "label": "2"}], IGNORE
    )
    assert ignored.json()["added"] == 1


def test_a_dry_run_checks_everything_and_changes_nothing(service: Service) -> None:
    rollback = {"Prefer": "tx=rollback"}
    response = upsert(service, "/people", [{"name": "Ann"}], rollback)
    assert response.status_code == 200, response.text
    assert response.headers["Preference-Applied"] == "tx=rollback"
    assert rows(service, "SELECT count(*) FROM people") == [(0,)]
    assert upsert(service, "/people", {"name": "Ann", "boss": 5}, rollback).status_code == 409


def test_merging_needs_put_or_patch_and_adding_does_not(tmp_path: Path, server_url: str) -> None:
    done = {"responses": {"200": {"description": "Done."}}}
    with running(tmp_path, server_url, workers=1) as service:
        service.generate(payload(CODES, paths={"/codes": {"post": done, "get": done}}))
        refused = upsert(service, "/codes", {"code": "a", "label": "A"})
        assert refused.status_code == 403
        assert "neither PUT nor PATCH" in refused.json()["error"]
        assert upsert(service, "/codes", {"code": "a", "label": "A"}, IGNORE).status_code == 201


def test_a_merge_cannot_say_what_it_knows_where_changes_must(
    tmp_path: Path, server_url: str
) -> None:
    with running(tmp_path, server_url, workers=1, DRG_REQUIRE_IF_MATCH="1") as service:
        service.generate(payload(CODES))
        body = {"code": "a", "label": "A"}
        assert upsert(service, "/codes", body).status_code == 428
        assert upsert(service, "/codes", body, IGNORE).status_code == 201


def test_merging_many_at_once_loses_nothing(service: Service) -> None:
    body = [{"code": f"c{n}", "label": "x"} for n in range(20)]
    with ThreadPoolExecutor(8) as threads:
        statuses = {*threads.map(lambda _: upsert(service, "/codes", body).status_code, range(24))}
    assert statuses <= {201, 503}  # PostgreSQL may break a deadlock
    assert rows(service, "SELECT count(*) FROM codes") == [(20,)]


def test_the_audit_log_tells_how_many_rows(tmp_path: Path, server_url: str) -> None:
    log = tmp_path / "audit.log"
    with running(tmp_path, server_url, workers=1, DRG_AUDIT_LOG=str(log)) as service:
        service.generate(payload(CODES))
        service.post("/codes", [{"code": "hidden", "label": "x"}, {"code": "b", "label": "x"}])
    line = log.read_text().splitlines()[-1]
    assert json.loads(line)["rows"] == 2
    assert "hidden" not in line

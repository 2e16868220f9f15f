"""Rows that are created, replaced, modified, and never deleted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.service import Service


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

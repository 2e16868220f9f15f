"""What a start makes of the stored copy and of the row."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.generation.live import AGE, NAME, answers, copy_of, restart, stored
from tests.service import Service, entry, payload, workforce


def test_a_restart_serves_the_same_api_and_rows(service: Service) -> None:
    service.generate(workforce())
    created = service.put("/credential/1", _example(service, "/credential"))
    assert created.status_code == 201, created.text
    row = service.get("/credential/1").content
    service.stop()
    service.start()
    assert service.get("/credential/1").content == row


def _example(service: Service, path: str) -> Any:
    document = service.get("/static/swagger.json").json()
    return document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]


def test_a_missing_copy_is_written_again(service: Service) -> None:
    service.generate(payload(entry("people", NAME)))
    before = stored(service)
    copy_of(service).unlink()
    restart(service)
    assert answers(service, "/people", 20) == {200}
    assert stored(service) == before


def test_an_older_copy_is_replaced_by_what_is_live(service: Service) -> None:
    service.generate(payload(entry("people", NAME)))
    older = stored(service)
    service.execute("ALTER TABLE people ADD age integer")
    service.generate({**payload(entry("people", NAME, AGE)), "touch_database": False})
    newer = stored(service)
    copy_of(service).write_bytes(older)
    restart(service)
    assert service.get("/generator").json()["tables"][0]["fields"] == ["id", "name", "age"]
    assert stored(service) == newer


def test_an_edited_copy_that_fits_the_database_is_adopted(service: Service) -> None:
    service.generate(payload(entry("people", NAME)))
    service.execute("ALTER TABLE people ADD age integer")
    service.stop()
    copy_of(service).write_text(json.dumps(payload(entry("people", NAME, AGE))))
    service.start()
    assert service.post("/people", {"name": "Ada", "age": 36}).status_code == 201
    restart(service)
    assert service.get("/people/1").json()["age"] == 36


def test_an_edited_copy_that_does_not_fit_is_refused_with_the_differences(service: Service) -> None:
    service.generate(payload(entry("people", NAME)))
    good = stored(service)
    copy_of(service).write_text(json.dumps(payload(entry("people", NAME, AGE))))
    restart(service)
    for path in ("/people", "/-/ready", "/generator"):
        response = service.get(path)
        assert response.status_code == 503
        assert response.json()["errors"] == ["people.age: the column is missing."]
        assert "Retry-After" in response.headers
    assert service.get("/-/health").status_code == 200
    assert service.get("/tableschema").status_code == 200
    assert service.execute("SELECT count(*) FROM admin.generation") == [(1,)]
    # The database is migrated by hand: no restart is needed.
    service.execute("ALTER TABLE people ADD age integer")
    import time

    time.sleep(1.1)
    assert answers(service, "/people", 20) == {200}
    assert stored(service) != good


@pytest.mark.parametrize("damaged", [b"", b'{"data_resource_schema": {"da', b"{}", b"\xff\xfe"])
def test_an_unreadable_copy_is_an_error_until_a_payload_is_posted(
    service: Service, damaged: bytes
) -> None:
    document = payload(entry("people", NAME))
    service.generate(document)
    service.post("/people", {"name": "Ada"})
    copy_of(service).write_bytes(damaged)
    restart(service)
    response = service.get("/people")
    assert response.status_code == 503
    assert "data_resource_generation_payload.json" in response.json()["error"]
    service.generate(document)
    assert answers(service, "/people/1", 50) == {200}
    restart(service)
    assert service.get("/people/1").status_code == 200


def test_a_copy_alone_is_adopted_on_the_database_that_it_describes(service: Service) -> None:
    """The documented restart of the original: a file, and tables that fit it."""
    service.execute("CREATE TABLE people (id serial PRIMARY KEY, name text)")
    service.stop()
    service.static.mkdir(exist_ok=True)
    copy_of(service).write_text(json.dumps(payload(entry("people", NAME))))
    service.start()
    assert answers(service, "/people", 20) == {200}


def test_loading_at_start_never_runs_ddl(service: Service) -> None:
    service.stop()
    service.static.mkdir(exist_ok=True)
    copy_of(service).write_text(json.dumps(payload(entry("people", NAME))))
    service.start()
    assert service.get("/people").json()["errors"] == ["people: the table is missing."]
    assert service.database is not None
    assert service.database.tables() == []


def test_a_database_that_a_newer_version_has_used_is_told(service: Service) -> None:
    service.generate(payload(entry("people", NAME)))
    service.stop()
    service.execute("UPDATE admin.drg_version SET version_num = '9999'")
    service.start()
    response = service.get("/people")
    assert response.status_code == 503
    assert "newer version" in response.json()["error"]

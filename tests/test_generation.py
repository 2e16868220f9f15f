"""POST /generator and what is live afterwards, against two workers: section 3 of the contract."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.service import Service, entry, payload, running, workforce

NAME = {"name": "name", "type": "string"}
AGE = {"name": "age", "type": "integer"}


@pytest.fixture
def service(tmp_path: Path, server_url: str) -> Iterator[Service]:
    """A service of two workers with nothing generated, of this test's own."""
    with running(tmp_path, server_url) as service:
        yield service


def answers(service: Service, path: str, times: int = 200, method: str = "GET") -> set[int]:
    """The statuses of many requests in a row, each over a fresh connection."""
    return {service.request(method, path).status_code for _ in range(times)}


def stored(service: Service) -> bytes:
    return (service.static / "data_resource_generation_payload.json").read_bytes()


def test_nothing_generated_yet_is_ready_and_says_what_to_do(service: Service) -> None:
    assert service.get("/-/ready").status_code == 200
    assert service.get("/-/health").status_code == 200
    response = service.get("/generator")
    assert response.status_code == 404
    assert "POST" in response.json()["error"]
    assert service.get("/static/swagger.json").status_code == 404
    assert service.get("/people").status_code == 404


def test_after_the_204_every_worker_answers_by_the_new_api(service: Service) -> None:
    people = entry("people", NAME)
    response = service.post("/generator", payload(people))
    assert (response.status_code, response.content) == (204, b"")
    assert answers(service, "/people") == {200}, "a route added"

    # A field renamed and a verb removed, after a migration by hand.
    assert service.database is not None
    service.database.execute("ALTER TABLE people RENAME COLUMN name TO full_name")
    renamed = payload(entry("people", {"name": "full_name", "type": "string"}))
    del renamed["data_resource_schema"]["api"]["apiSpec"]["paths"]["/people"]["post"]
    service.put("/people/1", {})
    service.generate({**renamed, "touch_database": False})
    for _ in range(200):
        assert list(service.get("/people").json()["people"][0]) == ["id", "full_name"]
    assert answers(service, "/people", method="POST") == {405}, "a verb removed"

    del renamed["data_resource_schema"]["api"]["apiSpec"]["paths"]["/people"]
    service.generate({**renamed, "touch_database": False})
    assert answers(service, "/people") == {404}, "a path removed"
    assert answers(service, "/people/1") == {200}


def test_a_second_host_follows_within_two_seconds(service: Service, tmp_path: Path) -> None:
    other = Service(tmp_path / "other", service.database, workers=1)
    try:
        other.start()
        service.generate(payload(entry("people", NAME)))
        import time

        time.sleep(2)
        assert answers(other, "/people", 20) == {200}
    finally:
        other.stop()


def test_get_generator_tells_what_is_live(service: Service) -> None:
    document = workforce()
    document["data_resource_schema"]["api"]["apiSpec"]["paths"]["/nobody"] = {
        "get": {"responses": {"200": {"description": "?"}}}
    }
    service.generate(document)
    live = service.get("/generator").json()
    assert live["name"] == document["data_resource_schema"]["name"]
    assert len(live["version"]) == 64
    assert live["tables"][0]["name"] == "provider"
    assert "GET /provider" in live["operations"]
    assert live["public"] == []
    assert {"operation": "GET /nobody", "reason": 'no table is called "nobody"'} in live[
        "unmatched"
    ]
    assert any(item["operation"] == "PUT /participant/{id}" for item in live["disabled"])
    assert live["apiOnly"] == []


def test_rules_that_only_the_api_holds_are_told(service: Service) -> None:
    word = {"name": "word", "type": "string", "constraints": {"pattern": r"\bword\b"}}
    service.generate(payload(entry("t", word)))
    assert service.get("/generator").json()["apiOnly"] == [
        {
            "table": "t",
            "field": "word",
            "constraint": "pattern",
            "reason": "PostgreSQL has no pattern of the same meaning for string",
        }
    ]
    assert service.post("/t", {"word": "words"}).status_code == 400
    assert service.post("/t", {"word": "word"}).status_code == 201


def test_the_live_document_is_served_and_nothing_else_under_static(service: Service) -> None:
    service.generate(workforce())
    document = service.get("/static/swagger.json")
    paths = workforce()["data_resource_schema"]["api"]["apiSpec"]["paths"]
    assert document.json()["paths"].keys() == {*paths, "/-/batch"}
    assert document.json()["servers"] == [{"url": "/"}]
    for path in (
        "/static/data_resource_generation_payload.json",
        "/static/",
        "/static/../wsgi.py",
        "/static/%2e%2e/wsgi.py",
        "/static/.live",
        "/static/README.md",
    ):
        assert service.get(path).status_code == 404, path


def test_the_payload_that_is_live_can_be_posted_again(service: Service) -> None:
    service.generate(workforce())
    before = stored(service)
    reordered = json.dumps(workforce(), sort_keys=True, indent=7)
    assert service.post("/generator", reordered).status_code == 204
    assert service.post("/generator", {**workforce(), "ignore_validation": None}).status_code == 204
    assert stored(service) == before


def test_a_different_payload_over_existing_tables_is_409_and_names_them(service: Service) -> None:
    service.generate(payload(entry("people", NAME)))
    before = stored(service)
    for other in (entry("people", NAME, AGE), entry("unrelated", NAME)):
        response = service.post("/generator", payload(other))
        assert response.status_code == 409
        assert response.json()["errors"] == ["people: the table exists."]
        assert "touch_database" in response.json()["error"]
    assert service.database is not None
    assert service.database.tables() == ["people"]
    assert stored(service) == before
    assert answers(service, "/people", 20) == {200}


def test_tables_that_nobody_names_are_none_of_its_business(service: Service) -> None:
    assert service.database is not None
    service.database.execute("CREATE TABLE somebody_elses (x int)")
    service.generate(payload(entry("people", NAME)))
    assert service.database.tables() == ["people", "somebody_elses"]


def test_touch_database_false_lists_every_difference(service: Service) -> None:
    assert service.database is not None
    service.database.execute(
        "CREATE TABLE people (id integer, name integer NOT NULL, x int NOT NULL)"
    )
    people = entry(
        "people",
        NAME,
        {"name": "age", "type": "integer"},
        {"name": "mail", "type": "string", "constraints": {"unique": True}},
        {"name": "home", "type": "integer"},
        foreignKeys=[{"fields": "home", "reference": {"resource": "homes", "fields": "id"}}],
    )
    service.database.execute("ALTER TABLE people ADD mail text, ADD home integer")
    document = payload(people, entry("homes"), pairs=[("people", "homes")])
    response = service.post("/generator", {**document, "touch_database": False})
    assert response.status_code == 409
    assert response.json()["errors"] == [
        "people.id: is nullable and should be NOT NULL.",
        "people.name: is integer and should be text.",
        "people.name: is NOT NULL and should be nullable.",
        "people.age: the column is missing.",
        "people.x: is NOT NULL without a default, and the document does not know it.",
        "people: the primary key is missing and should be id.",
        "people: there is no foreign key from home to homes (id).",
        "people: there is no unique constraint on mail.",
        "homes: the table is missing.",
        "homes/people: the table is missing.",
    ]
    assert service.get("/generator").status_code == 404
    assert not (service.static / "data_resource_generation_payload.json").exists()


def test_a_database_of_the_original_is_served_unchanged(service: Service) -> None:
    """Native enums, unnamed checks, serial keys, and an association in the original's order."""
    assert service.database is not None
    service.stop()
    service.database.execute(
        "DROP SCHEMA admin CASCADE; CREATE SCHEMA admin; "
        "CREATE TABLE admin.table_schema (id integer PRIMARY KEY, tableschema jsonb, swagger jsonb)"
    )
    service.database.execute(
        """
        CREATE TYPE people_kind_enum AS ENUM ('a', 'b');
        CREATE TABLE people (id serial PRIMARY KEY, name text NOT NULL CHECK (length(name) >= 2),
                             kind people_kind_enum, mail text UNIQUE, born date);
        CREATE TABLE "Teams_" (x int);
        CREATE TABLE teams (id serial PRIMARY KEY, name text,
                            boss integer REFERENCES people (id));
        CREATE TABLE "Teams/people" ("Teams_id" integer REFERENCES teams (id),
                                     people_id integer REFERENCES people (id),
                                     PRIMARY KEY ("Teams_id", people_id));
        INSERT INTO people (name, kind, mail) VALUES ('Ada', 'a', 'a@example.org');
        INSERT INTO admin.table_schema VALUES
            (7, '{"name": "old", "tableSchema": {"fields": [{"name": "x"}]}}', '{}');
        """
    )
    service.start()
    people = entry(
        "people",
        {"name": "name", "type": "string", "constraints": {"required": True, "minLength": 2}},
        {"name": "kind", "type": "string", "constraints": {"enum": ["a", "b"]}},
        {"name": "mail", "type": "string", "constraints": {"unique": True}},
        {"name": "born", "type": "date"},
    )
    teams = entry(
        "Teams",
        NAME,
        {"name": "boss", "type": "integer"},
        foreignKeys=[{"fields": "boss", "reference": {"resource": "People", "fields": "id"}}],
    )
    document = payload(people, teams, pairs=[("people", "Teams")])
    dump = service.database.execute(
        "SELECT table_name::text, column_name::text, data_type FROM information_schema.columns "
        "WHERE table_schema = 'public' ORDER BY 1, 2"
    )
    service.generate({**document, "touch_database": False})
    assert dump == service.database.execute(
        "SELECT table_name::text, column_name::text, data_type FROM information_schema.columns "
        "WHERE table_schema = 'public' ORDER BY 1, 2"
    )
    assert service.get("/people/1").json()["kind"] == "a"
    assert service.post("/people", {"name": "Bob", "kind": "b"}).json()["id"] == 2
    assert service.post("/people", {"name": "Bob", "kind": "c"}).status_code == 400
    assert service.post("/people/query", {"kind": "a"}).json()["results"][0]["id"] == 1
    assert service.post("/people/query", {"kind": "zzz"}).status_code == 404
    clash = service.post("/people", {"name": "Eve", "mail": "a@example.org"})
    assert clash.json()["errors"] == ["mail: a@example.org exists already."]
    service.post("/teams", {"name": "x", "boss": 1})
    assert service.post("/teams", {"name": "x", "boss": 9}).status_code == 409
    assert service.put("/teams/1/people", [1, 2]).json() == [1, 2]
    assert service.get("/people/2/teams").json() == [1]
    assert service.get("/tableschema/7").json()["tableschema"]["name"] == "old"
    service.stop()
    service.start()
    assert service.get("/people/2/teams").json() == [1]


def test_a_refused_payload_changes_nothing(service: Service) -> None:
    document = payload(entry("people", NAME), entry("bad", {"name": "x", "type": "strin"}))
    response = service.post("/generator", document)
    assert response.status_code == 400
    place = "data.dataDictionary[1].tableSchema.fields[1].type"
    assert response.json()["errors"] == [
        f'{place}: "strin" is not a Table Schema type; did you mean "string"?'
    ]
    assert service.database is not None
    assert service.database.tables() == []
    assert service.get("/people").status_code == 404
    assert not (service.static / "data_resource_generation_payload.json").exists()


def test_a_table_that_the_database_refuses_leaves_none_of_the_others(service: Service) -> None:
    assert service.database is not None
    service.database.execute("CREATE VIEW pk_second AS SELECT 1")  # has the name of the key's index
    response = service.post("/generator", payload(entry("first", NAME), entry("second", NAME)))
    assert response.status_code == 409
    assert "pk_second" in response.json()["errors"][0]
    assert service.database.tables() == []
    assert service.get("/generator").status_code == 404


def test_a_static_folder_that_cannot_be_written_changes_nothing(service: Service) -> None:
    service.generate(payload(entry("people", NAME)))
    blocked = service.static / "swagger.json"
    blocked.unlink()
    service.static.rename(service.folder / "aside")
    service.static.write_text("a file where the folder should be")
    changed = payload(entry("people", NAME, AGE))
    response = service.post("/generator", {**changed, "touch_database": False})
    assert response.status_code in (409, 503)
    service.static.unlink()
    (service.folder / "aside").rename(service.static)
    assert answers(service, "/people", 10) == {200}


def test_two_generations_at_once_wait_for_each_other(service: Service) -> None:
    documents = [payload(entry("people", NAME)), payload(entry("people", NAME, AGE))]
    statuses: list[int] = []

    def post(document: Any) -> None:
        statuses.append(service.post("/generator", document).status_code)

    threads = [threading.Thread(target=post, args=(document,)) for document in documents * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {204, 409}
    assert statuses.count(204) == 4
    fields = service.get("/generator").json()["tables"][0]["fields"]
    assert (
        json.loads(stored(service))["data_resource_schema"]["data"]["dataDictionary"][0][
            "tableSchema"
        ]["fields"][-1]["name"]
        == fields[-1]
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "must be a JSON object"),
        (b"{}", "data_resource_schema"),
        (b'{"data_resource_schema": 5}', "must be an object"),
        (b'{"data": {}, "api": {}}', "bare Data Resource Schema"),
        (b'{"data_resource_schema": {}}', "fault"),
    ],
)
def test_what_is_no_payload_is_refused(tmp_path: Path, body: bytes, said: str) -> None:
    from data_resource_api import compile_data_resource
    from data_resource_api.errors import BadRequest
    from data_resource_api.json_text import read_json

    with pytest.raises(BadRequest, match=said):
        compile_data_resource(read_json(body))


def test_the_old_name_of_the_schema_is_accepted(service: Service) -> None:
    document = payload(entry("people", NAME))
    service.generate({"data_catalog": document["data_resource_schema"]})
    assert service.get("/people").status_code == 200


def test_ignore_validation_skips_the_rules_and_not_the_reading(service: Service) -> None:
    document = payload(entry("people", NAME))
    schema = document["data_resource_schema"]
    schema["api"]["apiSpec"] = {"paths": {"/people": {"get": {}}}}  # no OpenAPI document
    assert service.post("/generator", document).status_code == 400
    broken = copy.deepcopy(document)
    broken["data_resource_schema"]["api"]["apiSpec"]["paths"] = 5
    broken["ignore_validation"] = False
    assert service.post("/generator", broken).status_code == 400
    service.generate({**document, "ignore_validation": False})
    assert service.get("/people").status_code == 200


def test_metadata_is_kept_verbatim(service: Service) -> None:
    document = payload(entry("people", NAME))
    schema = document["data_resource_schema"]
    schema |= {"@context": ["x"], "@id": "y", "ownerOrg": [{"z": 1.10}], "published": True}
    text = json.dumps(document).replace("1.1", "1.10")
    assert service.post("/generator", text).status_code == 204
    kept = json.loads(stored(service))
    assert {**kept} == document
    assert b"1.10" in stored(service)


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


# ── the stored copy at start ─────────────────────────────────────────────────────────────────────


def copy_of(service: Service) -> Path:
    return service.static / "data_resource_generation_payload.json"


def restart(service: Service) -> None:
    service.stop()
    service.start()


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
    assert service.database is not None
    service.database.execute("ALTER TABLE people ADD age integer")
    service.generate({**payload(entry("people", NAME, AGE)), "touch_database": False})
    newer = stored(service)
    copy_of(service).write_bytes(older)
    restart(service)
    assert service.get("/generator").json()["tables"][0]["fields"] == ["id", "name", "age"]
    assert stored(service) == newer


def test_an_edited_copy_that_fits_the_database_is_adopted(service: Service) -> None:
    service.generate(payload(entry("people", NAME)))
    assert service.database is not None
    service.database.execute("ALTER TABLE people ADD age integer")
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
    assert service.database is not None
    assert service.database.execute("SELECT count(*) FROM admin.generation") == [(1,)]
    # The database is migrated by hand: no restart is needed.
    service.database.execute("ALTER TABLE people ADD age integer")
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
    assert service.database is not None
    service.database.execute("CREATE TABLE people (id serial PRIMARY KEY, name text)")
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
    assert service.database is not None
    service.database.execute("UPDATE admin.drg_version SET version_num = '9999'")
    service.start()
    response = service.get("/people")
    assert response.status_code == 503
    assert "newer version" in response.json()["error"]


# ── drafts ───────────────────────────────────────────────────────────────────────────────────────

PROVIDER = {
    "name": "Provider",
    "tableSchema": {
        "fields": [
            {"name": "id", "type": "integer", "constraints": {"required": True}},
            {
                "name": "name",
                "type": "string",
                "constraints": {"required": True, "maxLength": 9, "pattern": "[a-z]+"},
            },
            {"name": "kind", "type": "string", "constraints": {"enum": ["a", "b"]}},
        ],
        "primaryKey": "id",
    },
}
PROGRAM = {
    "name": "program",
    "tableSchema": {"fields": [{"name": "id", "type": "integer"}], "primaryKey": "id"},
    "relationships": {"manyToMany": ["provider"]},
}


def test_drafts_are_kept_listed_and_deleted(service: Service) -> None:
    assert service.get("/tableschema").json() == []
    assert service.get("/swagger").json() == {"swagger": ""}
    put = service.put("/tableschema/1", PROVIDER)
    assert put.status_code == 200
    assert put.json()["tableschema"] == PROVIDER
    assert "/provider" in put.json()["swagger"]["paths"]
    listed = service.get("/tableschema").json()
    assert listed == [{"id": 1, **put.json()}]
    assert service.get("/tableschema/1").json() == listed[0]
    restart(service)
    assert service.get("/tableschema/1").json() == listed[0]
    assert service.request("DELETE", "/tableschema/1").status_code == 204
    assert service.get("/tableschema/1").status_code == 404
    assert service.request("DELETE", "/tableschema/1").status_code == 404
    for path in ("/tableschema/x", "/tableschema/-1", "/tableschema/1/2"):
        assert service.get(path).status_code == 404
    assert service.get(f"/tableschema/{2**70}").status_code == 404
    assert service.put(f"/tableschema/{2**31}", PROVIDER).status_code == 400


def test_the_originals_form_of_a_draft_is_accepted(service: Service) -> None:
    draft = {
        "tableschema": {
            "api": {
                "resource": "/orders",
                "methods": [{"get": {"enabled": True}, "post": {"enabled": False}}],
            },
            "datastore": {
                "tablename": "orders",
                "schema": {"fields": [{"name": "id", "type": "integer"}], "primaryKey": "id"},
            },
        }
    }
    put = service.put("/tableschema/3", draft)
    assert put.status_code == 200, put.text
    assert put.json()["tableschema"] == draft["tableschema"]
    assert list(put.json()["swagger"]["paths"]["/orders"]) == ["get"]
    assert service.get("/tableschema/3").json()["tableschema"] == draft["tableschema"]
    drafted = service.get("/swagger")
    assert drafted.status_code == 200, drafted.text
    assert drafted.json()["swagger"]["paths"] == put.json()["swagger"]["paths"]


def test_every_table_schema_error_of_a_draft_is_told(service: Service) -> None:
    draft = {
        "name": "x",
        "tableSchema": {
            "fields": [{"type": "strin", "name": "a"}, {"type": "string"}, {"name": "a"}, 5],
            "primaryKey": "id",
        },
    }
    response = service.put("/tableschema/1", draft)
    assert response.status_code == 400
    assert [line.partition(":")[0] for line in response.json()["errors"]] == [
        "tableSchema.fields[0].type",
        "tableSchema.fields[2].name",
        "tableSchema.primaryKey",
        "tableSchema.fields[1]",
        "tableSchema.fields[3]",
    ]
    for nothing in ([], {}, {"name": "x"}, {"name": "generator", "tableSchema": {}}):
        assert service.put("/tableschema/1", json.dumps(nothing)).status_code == 400


def test_the_drafted_document_can_be_embedded_in_a_payload_unchanged(service: Service) -> None:
    odd = {
        "name": "odd name",
        "tableSchema": {
            "fields": [
                {"name": kind, "type": kind, "title": kind}
                for kind in ("geojson", "array", "number", "year", "datetime", "time", "any")
            ]
        },
    }
    for number, draft in enumerate((PROVIDER, PROGRAM, odd)):
        assert service.put(f"/tableschema/{number}", draft).status_code == 200
    swagger = service.get("/swagger").json()["swagger"]
    assert swagger["openapi"].startswith("3.0")
    assert "/program/{id}/provider" in swagger["paths"]
    assert "/provider/{id}/program" in swagger["paths"]
    document = payload(PROVIDER, PROGRAM, odd, pairs=[("program", "Provider")])
    document["data_resource_schema"]["api"]["apiSpec"] = swagger
    service.generate(document)
    live = service.get("/generator").json()
    assert live["unmatched"] == []
    assert service.put("/provider/1", {"name": "abc"}).status_code == 201
    assert service.put("/program/1", {}).status_code == 201
    assert service.put("/program/1/provider", [1]).json() == [1]
    assert service.post("/odd%20name", {"any": 1}).json() == {
        "message": "Successfully added new resource."
    }


def test_a_request_that_is_not_json_is_415_on_the_administration_routes_too(
    service: Service,
) -> None:
    for method, path in (("POST", "/generator"), ("PUT", "/tableschema/1")):
        response = requests.request(method, service.url + path, data="{}", timeout=10)
        assert response.status_code == 415


def test_two_drafts_of_one_table_are_merged_into_one_path(service: Service) -> None:
    service.put("/tableschema/1", PROVIDER)
    service.put("/tableschema/2", {**PROVIDER, "name": "provider"})
    assert list(service.get("/swagger").json()["swagger"]["paths"]) == [
        "/provider",
        "/provider/query",
        "/provider/{id}",
    ]

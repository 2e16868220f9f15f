"""Tables that somebody else has made, adopted with ``"touch_database": false``."""

from __future__ import annotations

from tests.generation.live import NAME
from tests.service import Service, entry, payload


def test_touch_database_false_lists_every_difference(service: Service) -> None:
    service.execute("CREATE TABLE people (id integer, name integer NOT NULL, x int NOT NULL)")
    people = entry(
        "people",
        NAME,
        {"name": "age", "type": "integer"},
        {"name": "mail", "type": "string", "constraints": {"unique": True}},
        {"name": "home", "type": "integer"},
        foreignKeys=[{"fields": "home", "reference": {"resource": "homes", "fields": "id"}}],
    )
    service.execute("ALTER TABLE people ADD mail text, ADD home integer")
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
    service.stop()
    service.execute(
        "DROP SCHEMA admin CASCADE; CREATE SCHEMA admin; "
        "CREATE TABLE admin.table_schema (id integer PRIMARY KEY, tableschema jsonb, swagger jsonb)"
    )
    service.execute(
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
    dump = service.execute(
        "SELECT table_name::text, column_name::text, data_type FROM information_schema.columns "
        "WHERE table_schema = 'public' ORDER BY 1, 2"
    )
    service.generate({**document, "touch_database": False})
    assert dump == service.execute(
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

"""Drafts of tables and the OpenAPI documents that are drafted of them."""

from __future__ import annotations

import json

from tests.generation.live import restart
from tests.service import Service, payload

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


def test_two_drafts_of_one_table_are_merged_into_one_path(service: Service) -> None:
    service.put("/tableschema/1", PROVIDER)
    service.put("/tableschema/2", {**PROVIDER, "name": "provider"})
    assert list(service.get("/swagger").json()["swagger"]["paths"]) == [
        "/provider",
        "/provider/query",
        "/provider/{id}",
    ]

"""Faults in documents: all at once, each with its place and the remedy."""

from __future__ import annotations

import json
from typing import Any

import pytest

from data_resource_api import compile_data_resource
from data_resource_api.errors import InvalidDocument
from tests.service import entry, payload, workforce


def faults(document: Any) -> list[str]:
    with pytest.raises(InvalidDocument) as refused:
        compile_data_resource(document)
    return list(refused.value.errors) or [refused.value.detail]


def test_the_example_compiles_and_is_not_changed() -> None:
    document = workforce()
    resource = compile_data_resource(document)
    assert document == workforce()
    assert list(resource.tables) == [
        "provider",
        "program",
        "credential",
        "participant",
        "enrollment",
    ]
    assert resource.unmatched == ()


def test_every_fault_is_told_at_once() -> None:
    document = payload(
        entry("a", {"name": "x", "type": "strin"}, {"name": "x"}, {"type": "string"}),
        entry(
            "b",
            {"name": "y", "type": "integer", "constraints": {"pattern": "x", "minimum": "low"}},
            foreignKeys=[{"fields": "y", "reference": {"resource": "aa", "fields": "id"}}],
        ),
        {"name": "c", "tableSchema": {"fields": []}},
        {"tableSchema": {"fields": [{"name": "x"}]}},
        5,
        pairs=[("a", "d"), ("a", "a")],
        paths={},
    )
    schema = document["data_resource_schema"]
    schema["api"]["apiSpec"] = {"openapi": "3.0.3", "info": {}, "paths": {"x": {}}}
    assert faults(document) == [
        "data.dataDictionary[3].name: must be a string, not null.",
        "data.dataDictionary[4]: must be an object, not a number.",
        'data.relationships.manyToMany[0]: no table is called "d".',
        (
            'data.dataDictionary[0].tableSchema.fields[2].name: "x" is the name of '
            "data.dataDictionary[0].tableSchema.fields[1] already."
        ),
        "data.dataDictionary[0].tableSchema.fields[3].name: must be a string, not null.",
        (
            'data.dataDictionary[0].tableSchema.fields[1].type: "strin" is not a Table Schema type; '
            'did you mean "string"?'
        ),
        (
            "data.dataDictionary[1].tableSchema.fields[1].constraints.minimum: "
            'must be a whole number, not "low".'
        ),
        (
            "data.dataDictionary[1].tableSchema.fields[1].constraints.pattern: "
            "does not apply to integer; it is for string."
        ),
        "data.dataDictionary[2].tableSchema.fields: must be a list of at least one field.",
        (
            "data.dataDictionary[1].tableSchema.foreignKeys[0].reference.resource: "
            'no table is called "aa"; did you mean "a"?'
        ),
        'api.apiSpec.info: needs "title", "version".',
        r'api.apiSpec.paths: "x" is not known here; names here match ^\/ or ^x-.',
    ]


FIELD_FAULTS = [
    ({"name": "x", "type": 5}, "type", "is not a Table Schema type"),
    ({"name": "x", "type": "Integer"}, "type", 'did you mean "integer"?'),
    ({"name": "x", "constraints": []}, "constraints", "must be an object"),
    ({"name": "x", "constraints": {"required": "yes"}}, "constraints.required", "true or false"),
    ({"name": "x", "constraints": {"minLength": -1}}, "constraints.minLength", "whole number"),
    ({"name": "x", "constraints": {"minimum": 1}}, "constraints.minimum", "has no order"),
    (
        {"name": "x", "type": "integer", "constraints": {"minLength": 1}},
        "constraints.minLength",
        "does not apply to integer",
    ),
    ({"name": "x", "constraints": {"enum": []}}, "constraints.enum", "at least one value"),
    (
        {"name": "x", "type": "date", "constraints": {"enum": ["soon"]}},
        "constraints.enum",
        "must be a date",
    ),
    ({"name": "x", "constraints": {"pattern": "("}}, "constraints.pattern", "RE2"),
    ({"name": "x", "constraints": {"pattern": 5}}, "constraints.pattern", "must be a string"),
    ({"name": "x", "format": 5}, "format", "must be a string"),
    ({"name": "x", "format": "emial"}, "format", 'did you mean "email"?'),
    ({"name": "x", "type": "date", "format": "dd/mm"}, "format", "not known"),
    ({"name": "x", "type": "date", "format": "%Y-%d-%m"}, "format", "looks like RFC 3339"),
    ({"name": "x", "type": "date", "format": "%Q"}, "format", "cannot be read"),
    ({"name": "x", "type": "integer", "format": "hex"}, "format", ""),
    ({"name": "x", "protected": "yes"}, "protected", "true or false"),
    ({"name": "ctid"}, "name", "PostgreSQL's own"),
    (5, "", "must be an object"),
]


@pytest.mark.parametrize(("field", "inside", "said"), FIELD_FAULTS)
def test_a_fault_of_a_field_names_its_place_and_the_remedy(
    field: Any, inside: str, said: str
) -> None:
    document = payload({"name": "t", "tableSchema": {"fields": [field, {"name": "ok"}]}})
    place = "data.dataDictionary[0].tableSchema.fields[0]" + (f".{inside}" if inside else "")
    found = [line for line in faults(document) if line.startswith(f"{place}: ")]
    assert len(found) == 1, faults(document)
    assert said in found[0]


KEY_FAULTS = [
    ({"primaryKey": "idd"}, "primaryKey", 'did you mean "id"?'),
    ({"primaryKey": []}, "primaryKey", "list of such names"),
    ({"primaryKey": 5}, "primaryKey", "name or a list"),
    ({"primaryKey": ["id", "id"]}, "primaryKey", "twice"),
    ({"primaryKey": "json"}, "fields[2].type", "cannot be in the primary key"),
    ({"foreignKeys": {}}, "foreignKeys", "must be a list"),
    ({"foreignKeys": [5]}, "foreignKeys[0]", '"fields" and a "reference"'),
    (
        {"foreignKeys": [{"fields": "n", "reference": {"resource": "", "fields": "n"}}]},
        "foreignKeys[0]",
        "neither its primary key nor unique",
    ),
    (
        {"foreignKeys": [{"fields": "text", "reference": {"resource": "", "fields": "id"}}]},
        "foreignKeys[0]",
        '"text" is string and refers to "id", which is integer',
    ),
    (
        {"foreignKeys": [{"fields": ["n", "id"], "reference": {"resource": "", "fields": "id"}}]},
        "foreignKeys[0]",
        "has 2 fields and refers to 1",
    ),
    (
        {"foreignKeys": [{"fields": "m", "reference": {"resource": "", "fields": "id"}}]},
        "foreignKeys[0]",
        'has no field "m"',
    ),
    (
        {"foreignKeys": [{"fields": "n", "reference": {"resource": "", "fields": "id"}}] * 2},
        "foreignKeys[1]",
        "stated twice",
    ),
]


@pytest.mark.parametrize(("schema", "inside", "said"), KEY_FAULTS)
def test_a_fault_of_a_key_names_its_place_and_the_remedy(
    schema: dict[str, Any], inside: str, said: str
) -> None:
    fields = [
        {"name": "id", "type": "integer"},
        {"name": "n", "type": "integer"},
        {"name": "json", "type": "object"},
        {"name": "text", "type": "string"},
    ]
    table = {"name": "t", "tableSchema": {"fields": fields, "primaryKey": "id", **schema}}
    place = f"data.dataDictionary[0].tableSchema.{inside}: "
    found = [line for line in faults(payload(table)) if line.startswith(place)]
    assert len(found) == 1, faults(payload(table))
    assert said in found[0]


def test_a_protected_field_without_a_definition_is_refused() -> None:
    secret = {"name": "ssn", "type": "string", "protected": True}
    (line,) = faults(payload(entry("people", secret)))
    assert line.startswith("data.dataDictionary[0].tableSchema.fields[1]: is protected")
    assert "encryptionSchema" in line


def test_a_protected_field_whose_engine_or_key_is_unknown_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    secret = {"name": "ssn", "type": "string", "protected": True}
    definition = {"*": {"type": "ROT13", "key": "NO_SUCH_KEY"}}
    for where in ("table", "inside", "data", "schema", "payload"):
        document = payload(entry("people", secret))
        schema = document["data_resource_schema"]
        table = schema["data"]["dataDictionary"][0]
        holder = {
            "table": table,
            "inside": table["tableSchema"],
            "data": schema["data"],
            "schema": schema,
            "payload": document,
        }[where]
        holder["encryptionSchema"] = definition
        found = faults(document)
        assert any('no encryption engine is called "ROT13"' in line for line in found)
        assert any('"NO_SUCH_KEY"' in line and "not set" in line for line in found)


def test_a_protected_field_cannot_be_a_key_and_is_unique_by_its_blind_index_only() -> None:
    secret = {"name": "ssn", "protected": True, "constraints": {"unique": True}}
    found = faults(payload(entry("people", secret, key="ssn")))
    assert any("cannot be in the primary key" in line for line in found)
    assert any('add "searchable": true' in line for line in found)


@pytest.mark.parametrize(
    ("spec", "place", "said"),
    [
        ({"openapi": "3.1.0"}, "openapi", "OpenAPI 3.0"),
        ({"swagger": "2.0"}, "openapi", "OpenAPI 3.0"),
        ({"openapi": "3.0.3", "info": {"title": "x"}}, "info", '"version"'),
        (
            {"components": {"schemas": {"a": {"$ref": "#/x"}}}},
            'components.schemas.a["$ref"]',
            "nothing",
        ),
        (
            {"components": {"schemas": {"a": {"$ref": "https://example.org"}}}},
            'components.schemas.a["$ref"]',
            "outside",
        ),
    ],
)
def test_a_fault_of_the_openapi_document_names_its_place(
    spec: dict[str, Any], place: str, said: str
) -> None:
    document = payload(entry("t"))
    api = document["data_resource_schema"]["api"]
    if "swagger" in spec:
        del api["apiSpec"]["openapi"]
    api["apiSpec"] |= spec
    found = [line for line in faults(document) if line.startswith(f"api.apiSpec.{place}: ")]
    assert found, faults(document)
    assert said in found[0]


def test_deep_documents_are_read_and_circular_references_refused() -> None:
    document = payload(entry("t"))
    spec = document["data_resource_schema"]["api"]["apiSpec"]
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(90):  # two levels each; a request may have 200
        deep = {"type": "object", "properties": {"x": deep}}
    spec["components"] = {"schemas": {"a": deep}}
    assert compile_data_resource(document).openapi["components"]["schemas"]["a"] == deep
    spec["components"] = {"schemas": {"a": {"$ref": "#/components/schemas/a"}}}
    (line,) = faults(document)
    assert line.startswith("api.apiSpec: is nested too deeply")


def test_the_same_operation_twice_is_refused() -> None:
    done = {"get": {"responses": {"200": {"description": "Done."}}}}
    document = payload(entry("t"), paths={"/t": done, "/T": done})
    (line,) = faults(document)
    assert line == 'api.apiSpec.paths["/T"].get: is the same operation as GET /t.'


def test_paths_that_nothing_answers_are_told_with_the_reason() -> None:
    done = {"get": {"responses": {"200": {"description": "Done."}}}}
    keyless = entry("k", {"name": "x"}, key=None)
    paths = {"/tt": done, "/t/{id}/k": done, "/t/query": done, "/a/b/c/d": done, "/k/{x}": done}
    for path in ("/t/{id}/k", "/k/{x}"):
        name = path.split("{")[1].split("}")[0]
        parameter = {"name": name, "in": "path", "required": True, "schema": {}}
        paths[path] = {"parameters": [parameter], **done}
    resource = compile_data_resource(payload(entry("t"), keyless, paths=paths))
    assert {item.path: item.reason for item in resource.unmatched} == {
        "/tt": 'no table is called "tt"; did you mean "t"?',
        "/t/{id}/k": (
            '"t" has no many-to-many relationship to "k", and no foreign key refers to it from there'
        ),
        "/t/query": "/{table}/query has no GET; it has POST",
        "/a/b/c/d": 'no table is called "a"',
        "/k/{x}": '"k" has no primary key; a row\'s path needs one',
    }


def test_the_digest_tells_data_resources_apart_and_not_how_they_are_written() -> None:
    document = payload(entry("t"))
    digest = compile_data_resource(document).digest
    assert compile_data_resource({**document, "touch_database": False}).digest == digest
    assert compile_data_resource(json.loads(json.dumps(document, sort_keys=True))).digest == digest
    document["data_resource_schema"]["name"] = "Another"
    assert compile_data_resource(document).digest != digest


def test_a_path_item_may_be_a_reference() -> None:
    document = payload(entry("t"), paths={"/t": {"$ref": "#/x-shared"}})
    spec = document["data_resource_schema"]["api"]["apiSpec"]
    spec["x-shared"] = {"get": {"responses": {"200": {"description": "Done."}}}}
    resource = compile_data_resource(document)
    assert [operation.place for operation in resource.operations] == ["GET /t"]


def test_touch_database_must_be_true_or_false() -> None:
    document = {**payload(entry("t")), "touch_database": "no"}
    assert faults(document) == ["touch_database: must be true or false, not a string."]

"""The OpenAPI document that is served, and drafts: everything is told, nothing stated is changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from data_resource_api import compile_data_resource
from data_resource_api.compiler.description import filters
from data_resource_api.compiler.fields import FIELD_TYPES
from data_resource_api.compiler.openapi import BATCH_PATH, KINDS, Kind
from data_resource_api.json_text import write_json
from data_resource_api.rest.questions.operators import OPERATORS
from tests.compiler.documents import (
    NAME,
    drafted,
    operations,
    resolved,
    served,
    whole_document,
    within,
)
from tests.service import all_paths, entry, payload, workforce


def test_nothing_that_a_payload_states_is_dropped_or_changed() -> None:
    """The example's own document is complete; all of it is served, ``x-`` keys included."""
    document = workforce()
    api = document["data_resource_schema"]["api"]["apiSpec"]
    api["x-root"] = {"a": [1, {"b": 2}]}
    api["paths"]["x-paths"] = {"kept": True}
    api["paths"]["/provider"]["x-item"] = [1]
    api["paths"]["/provider"]["get"]["x-operation"] = {"b": None}
    api["paths"]["/provider"]["get"]["responses"]["x-answers"] = 5
    api["components"]["x-components"] = True
    api["components"]["schemas"]["Provider"]["x-schema"] = "yes"
    for locked in (False, True):
        whole = served(document, locked=locked)
        assert list(within(api, whole)) == []
        assert whole["paths"].keys() == api["paths"].keys()
        for path, item in api["paths"].items():
            assert whole["paths"][path].keys() == item.keys()


def test_a_parameter_that_is_stated_is_not_described_again() -> None:
    document = workforce()
    api = document["data_resource_schema"]["api"]["apiSpec"]
    whole = served(document)
    for place, operation in operations(whole):
        verb, path = place.split()
        stated = [*api["paths"][path].get("parameters", []), *operation.get("parameters", [])]
        names = [(item["name"], item["in"]) for item in (resolved(p, whole) for p in stated)]
        assert len(names) == len(set(names)), place
        assert ("DRG-Position", "header") in names or verb not in ("get",)


def test_everything_is_told_of_operations_that_a_payload_only_names() -> None:
    """``{"get": {"responses": {"200": …}}}`` becomes an operation that a client can be made of."""
    tables = (entry("people", NAME), entry("team", key=None), entry("badge"))
    tables[1]["tableSchema"]["fields"] = [{"name": "x"}]
    whole = served(payload(*tables, pairs=[("people", "badge")]))
    kinds = set()
    for place, operation in operations(whole):
        kinds.add(re.sub("_(people|team|badge).*", "", operation["operationId"]))
        assert operation["summary"], place
        assert "default" in operation["responses"], place
        assert operation["tags"], place
        verb, _ = place.split()
        takes_body = verb in ("post", "put", "patch")
        assert ("requestBody" in operation) is takes_body, place
    assert kinds == {kind.value for kind in KINDS.values()}
    page = whole["paths"]["/people"]["get"]["responses"]["200"]["content"]
    assert list(page)[:3] == ["application/json", "text/csv", "application/x-ndjson"]
    bodies = whole["paths"]["/people"]["post"]["requestBody"]["content"]
    assert bodies.keys() == {"application/json", "text/csv", "application/x-ndjson"}
    new = whole["components"]["schemas"]["people.new"]
    assert new["required"] == ["name"]
    assert whole["components"]["schemas"]["people"]["properties"]["name"]["maxLength"] == 9


def test_fields_are_described_with_the_operators_that_compare_them() -> None:
    """Every operator is told, and none that there is not."""
    assert {name for names in filters.OPERATORS.values() for name in names} == OPERATORS.keys()
    fields = [{"name": name, "type": name} for name in FIELD_TYPES]
    hidden = {"name": "from", "type": "string"}
    document = drafted(entry("t", *fields, hidden, {"name": "a.b"}))
    shown = document["components"]["schemas"]["t.filter"]["properties"]
    assert shown.keys() == {"id", *FIELD_TYPES, '"a.b"'}
    assert "`gte`" in resolved(shown["date"], document)["description"]
    assert "`like`" not in resolved(shown["date"], document)["description"]


def test_a_list_of_children_is_described_as_the_tables_own_list_is() -> None:
    """With ``via``, which a field of that name cannot be compared by there."""
    key = {"fields": "boss", "reference": {"resource": "team", "fields": "id"}}
    fields = ({"name": "boss", "type": "integer"}, {"name": "via"})
    tables = (entry("team"), entry("people", NAME, *fields, foreignKeys=[key]))
    document = payload(*tables)
    paths = document["data_resource_schema"]["api"]["apiSpec"]["paths"]
    keyed = {"parameters": paths["/team/{id}"]["parameters"]}
    paths["/team/{id}/people"] = keyed | {"get": paths["/people"]["get"]}
    whole = served(document)
    own, children = (whole["paths"][path]["get"] for path in ("/people", "/team/{id}/people"))
    assert children["responses"].keys() - own["responses"].keys() == {"404"}
    assert children["responses"]["200"] == own["responses"]["200"]
    told = [[resolved(item, whole) for item in each["parameters"]] for each in (own, children)]
    names = [[item["name"] for item in each] for each in told]
    assert names[1] == ["via", *names[0]]
    compared = [resolved(each[-1]["schema"], whole)["properties"].keys() for each in told]
    assert compared[0] - compared[1] == {"via"}


def test_operation_ids_are_unique() -> None:
    """``a`` with ``b_c`` and ``a_b`` with ``c`` would have the same."""
    pairs = [("a", "b_c"), ("a_b", "c")]
    tables = [entry(name) for pair in pairs for name in pair]
    ids = [item.get("operationId") for _, item in operations(served(payload(*tables, pairs=pairs)))]
    named = [name for name in ids if name]
    assert len(named) == len(set(named)) > len(ids) - 4
    related = {"relationships": {"manyToMany": [list(pair) for pair in pairs]}}
    drafts = [{**table, **related} for table in tables]
    named = [item.get("operationId") for _, item in operations(drafted(*drafts))]
    named = [name for name in named if name]
    assert len(named) == len(set(named))


def test_paths_that_are_not_listed_do_not_appear() -> None:
    done = {"get": {"responses": {"200": {"description": "Done."}}}}
    whole = served(payload(entry("people", NAME), paths={"/people": done, "/nobody": done}))
    assert whole["paths"].keys() == {"/people", "/nobody"}
    assert whole["paths"]["/people"].keys() == {"get"}
    assert whole["paths"]["/nobody"] == done


def test_the_services_own_batch_is_told() -> None:
    """For whoever has a token that some operation takes; where one is public, for everybody."""
    names = ("people", "badge", "note")
    document = payload(*map(entry, names), paths=all_paths([entry(name) for name in names]))
    api = document["data_resource_schema"]["api"]["apiSpec"]
    assert "security" not in whole_document(document)["paths"][BATCH_PATH]["post"]
    api["components"] = {"securitySchemes": {"http": {"type": "http", "scheme": "bearer"}}}
    scopes = {"clientCredentials": {"tokenUrl": "https://a.example/t", "scopes": {"s": "S"}}}
    api["components"]["securitySchemes"]["flow"] = {"type": "oauth2", "flows": scopes}
    api["security"] = [{"http": []}]
    api["paths"]["/people"]["get"] = api["paths"]["/people"]["get"] | {
        "security": [{"flow": ["s"]}, {"flow": []}]
    }
    told = whole_document(document)["paths"][BATCH_PATH]
    assert told.keys() == {"post"}
    assert told["post"]["security"] == [{"flow": []}, {"http": []}]
    api["paths"]["/note"]["get"] = api["paths"]["/note"]["get"] | {"security": []}
    assert {} in whole_document(document)["paths"][BATCH_PATH]["post"]["security"]


def test_a_batch_that_a_payload_states_stays_as_it_is() -> None:
    done = {"post": {"responses": {"200": {"description": "Done."}}}}
    document = payload(entry("people"), paths={**all_paths([entry("people")]), BATCH_PATH: done})
    resource = compile_data_resource(document)
    assert resource.openapi["paths"][BATCH_PATH] == done
    (unmatched,) = resource.unmatched
    assert "the service's own" in unmatched.reason


def test_what_the_payload_says_of_refusals_holds_for_all_of_them() -> None:
    for stated in ("default", "4XX"):
        paths = {"/people": {"post": {"responses": {stated: {"description": "No."}}}}}
        answers = served(payload(entry("people"), paths=paths))["paths"]["/people"]["post"][
            "responses"
        ]
        assert answers.keys() == {stated, "200", "201"}
        assert answers[stated] == {"description": "No."}


def test_components_of_the_payload_keep_their_names() -> None:
    """One that says something else is not taken for ours, and one that says the same is used."""
    document = payload(entry("people", NAME))
    api = document["data_resource_schema"]["api"]["apiSpec"]
    api["components"] = {"schemas": {"people": {"type": "string"}}}
    whole = served(document)
    schemas = whole["components"]["schemas"]
    assert schemas["people"] == {"type": "string"}
    assert "name" in schemas["people.2"]["properties"]
    content = whole["paths"]["/people/{id}"]["get"]["responses"]["200"]["content"]
    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/people.2"}


def test_a_draft_that_is_embedded_is_served_as_it_is() -> None:
    """It says everything already: serving it adds no component and no parameter."""
    people = {**entry("people", NAME), "relationships": {"manyToMany": [["people", "badge"]]}}
    badge = entry("badge", NAME)
    document = drafted(people, badge)
    resource = payload(people, badge, pairs=[("people", "badge")])
    resource["data_resource_schema"]["api"]["apiSpec"] = document
    whole = served(resource)
    assert whole == {**document, "servers": [{"url": "/"}]}


HOSTILE = [
    "a b",
    'say "hi"',
    "it's",
    "ünïcödé",
    "日本",
    "$ref",
    "x-y",
    "50%",
    "a;b\\c",
    "null",
    "🎈",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_described(name: str) -> None:
    field = {"name": name, "description": "*bold* <script>", "constraints": {"enum": [name]}}
    table = {**entry(name, field), "relationships": {"manyToMany": [[name, "other"]]}}
    other = entry("other")
    document = drafted(table, other)
    resource = payload(table, other, pairs=[(name, "other")])
    resource["data_resource_schema"]["api"]["apiSpec"] = document
    compiled = compile_data_resource(resource)
    assert compiled.unmatched == ()
    assert {item.kind for item in compiled.operations} == {*Kind} - {Kind.CHILDREN}
    schemas = served(resource)["components"]["schemas"]
    shown = any(name in schema.get("properties", {}) for schema in schemas.values())
    assert shown is (name != "$ref")  # which is not told apart from a reference


def test_a_document_that_nobody_validated_is_served_all_the_same() -> None:
    """``ignore_validation``: what cannot be filled in is left alone."""
    document = payload(entry("people"))
    api = document["data_resource_schema"]["api"]["apiSpec"]
    people = api["paths"]["/people"]
    people["get"] = {"parameters": {}, "responses": []}
    people["post"] = {}
    document["ignore_validation"] = True
    shown = compile_data_resource(document).openapi
    assert shown["paths"]["/people"]["get"]["responses"] == []
    assert "201" in shown["paths"]["/people"]["post"]["responses"]
    api["components"] = 5
    assert compile_data_resource(document).openapi["components"] == 5


def test_keys_of_several_fields_are_parameters_of_their_own() -> None:
    """``/copy/{isbn},{number}``; a payload that writes ``/copy/{id}`` has one parameter for all."""
    fields = ({"name": "isbn"}, {"name": "number", "type": "integer"})
    copies = entry("copy", *fields, key=["isbn", "number"])
    document = drafted(copies)
    read = document["paths"]["/copy/{isbn},{number}"]["get"]
    assert [item["name"] for item in read["parameters"][:2]] == ["isbn", "number"]
    assert [item["schema"]["type"] for item in read["parameters"][:2]] == ["string", "integer"]
    key = document["components"]["schemas"]["copy.written"]["properties"]["id"]
    assert (key["type"], key["minItems"], key["maxItems"]) == ("array", 2, 2)
    resource = payload(copies)
    resource["data_resource_schema"]["api"]["apiSpec"] = document
    assert compile_data_resource(resource).unmatched == ()
    paths = {"/copy/{id}": {"get": {"responses": {"200": {"description": "A copy."}}}}}
    single = {**payload(copies, paths=paths), "ignore_validation": True}
    (parameter, *_) = served(single)["paths"]["/copy/{id}"]["get"]["parameters"]
    assert "isbn, number" in parameter["description"]
    hostile = entry("copy", {"name": "a-b"}, {"name": "{c}"}, key=["a-b", "{c}"])
    assert "/copy/{key0},{key1}" in drafted(hostile)["paths"]


def test_drafts_list_the_rows_that_refer_to_a_row() -> None:
    """Whoever may read both tables; a many-to-many pair has the path where there is one too."""
    to_team = {"fields": "team", "reference": {"resource": "Team", "fields": "id"}}
    to_boss = {"fields": "boss", "reference": {"resource": "", "fields": "id"}}
    fields = ({"name": name, "type": "integer"} for name in ("team", "boss"))
    people = entry("people", *fields, foreignKeys=[to_team, to_boss])
    paths = drafted(entry("team"), people)["paths"]
    for path in ("/team/{id}/people", "/people/{id}/people"):
        assert paths[path].keys() == {"get"}
        assert paths[path]["get"]["parameters"][1] == {"$ref": "#/components/parameters/Via"}
    assert "/people/{id}/team" not in paths
    assert "/team/{id}/people" not in drafted(people)["paths"]  # there is no draft of it
    document = drafted(entry("team"), {**people, "relationships": {"manyToMany": ["team"]}})
    assert document["paths"]["/team/{id}/people"].keys() == {"get", "put", "patch"}

    def closed(table: Mapping[str, Any], **get: Any) -> dict[str, Any]:
        datastore = {"tablename": table["name"], "schema": table["tableSchema"]}
        return {"tableschema": {"api": {"methods": [{"get": get}]}, "datastore": datastore}}

    team = closed(entry("team"), enabled=True, grants=["a"])
    listed = drafted(team, closed(people, enabled=True, grants=["b"]))["paths"]
    assert listed["/team/{id}/people"]["get"]["security"] == [{"oauth2": ["a", "b"]}]
    assert "/team/{id}/people" not in drafted(team, closed(people, enabled=False))["paths"]


def test_drafts_have_the_routes_of_a_table_that_is_related_to_itself() -> None:
    for pair in ("Topic", ["topic", "topic"]):
        draft = {**entry("topic"), "relationships": {"manyToMany": [pair]}}
        document = drafted(draft)
        item = document["paths"]["/topic/{id}/topic"]
        assert item.keys() == {"get", "put", "patch"}
        for operation in item.values():
            names = [resolved(told, document)["name"] for told in operation["parameters"]]
            assert "reverse" in names


def test_a_table_without_a_key_has_no_path_of_a_row() -> None:
    document = drafted(entry("log", {"name": "text"}, key=None))
    assert document["paths"].keys() == {"/log", "/log/query"}
    assert "id" not in document["components"]["schemas"]["log.added"]["properties"]


def test_the_document_of_a_hundred_tables_is_not_large() -> None:
    """What tables have in common is said once."""
    fields = [{"name": f"f{number}", "type": "string"} for number in range(10)]
    tables = [entry(f"t{number}", *fields) for number in range(100)]
    document = payload(*tables, paths=all_paths(tables))
    size = len(write_json(compile_data_resource(document, trusted=True).openapi))
    assert size < 1_200_000

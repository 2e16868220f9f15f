"""``api.methods`` of drafts: enabled, secured and grants carry over into the drafted document."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from data_resource_api.compiler.data_resource import compile_data_resource
from data_resource_api.compiler.description.drafted import draft_openapi
from data_resource_api.compiler.drafts import read_draft
from data_resource_api.compiler.security import ANY_TOKEN, PUBLIC
from data_resource_api.errors import InvalidDocument

SCHEMA = {"fields": [{"name": "id", "type": "integer"}], "primaryKey": "id"}


def draft(name: str, methods: Any, **more: Any) -> dict[str, Any]:
    datastore = {"tablename": name, "restricted_fields": [], "schema": SCHEMA}
    api = {"resource": name, "methods": methods}
    return {"tableschema": {"api": api, "datastore": datastore, **more}}


def compiled(*drafts: Mapping[str, Any], **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The drafted document, and by place what the payload that embeds it asks of callers."""
    tables = [read_draft(item) for item in drafts]
    document = draft_openapi(tables, **more)
    before = copy.deepcopy(document)
    names = [table.name for table in tables]
    resource = compile_data_resource(
        {
            "data_resource_schema": {
                "name": "Drafted",
                "data": {
                    "dataDictionary": [{"name": name, "tableSchema": SCHEMA} for name in names],
                    "relationships": {
                        "manyToMany": [[t.name, other] for t in tables for other in t.related]
                    },
                },
                "api": {"apiSpec": document},
            }
        }
    )
    assert document == before
    return document, {item.place: item.security for item in resource.operations}


def test_each_verb_asks_what_its_method_says() -> None:
    """Public, scopes, any token; a verb that is not enabled, or not named, is left out."""
    document, asked = compiled(
        draft(
            "people",
            [
                {
                    "get": {"enabled": True, "secured": True, "grants": ["get:users", "read"]},
                    "post": {"enabled": True, "secured": False, "grants": ["get:users"]},
                    "put": {"enabled": False, "secured": True, "grants": []},
                },
                {"PATCH": {"enabled": True, "secured": True, "grants": []}},
            ],
        )
    )
    scopes = (frozenset({"get:users", "read"}),)
    assert asked == {
        "GET /people": scopes,
        "POST /people": PUBLIC,
        "POST /people/query": scopes,
        "GET /people/{id}": scopes,
        "PATCH /people/{id}": ANY_TOKEN,
    }
    assert document["security"] == [{"bearerAuth": []}]
    assert "security" not in document["paths"]["/people/{id}"]["patch"]
    flow = document["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    assert flow["scopes"].keys() == {"get:users", "read"}
    assert "GET /people/{id}" in flow["scopes"]["read"]


def test_without_methods_every_operation_needs_a_token() -> None:
    for methods in ([], None):
        document, asked = compiled(draft("people", methods))
        assert set(asked.values()) == {ANY_TOKEN}
        assert "DELETE /people/{id}" in asked
        assert document["components"]["securitySchemes"].keys() == {"bearerAuth"}


def test_what_is_enabled_is_secured_unless_it_says_otherwise() -> None:
    _, asked = compiled(draft("people", [{"get": {}}]))
    assert asked == {"GET /people": ANY_TOKEN, "GET /people/{id}": ANY_TOKEN}


@pytest.mark.parametrize(
    ("get", "post", "expected"),
    [
        ({"secured": False}, {"secured": False}, PUBLIC),
        ({"secured": False}, {}, ANY_TOKEN),
        ({}, {"secured": False}, ANY_TOKEN),
        ({"grants": ["read"]}, {"secured": False}, (frozenset({"read"}),)),
        ({"grants": ["read"]}, {"grants": ["write"]}, (frozenset({"read", "write"}),)),
        ({"enabled": False}, {"secured": False}, None),
        ({"secured": False}, {"enabled": False}, None),
    ],
)
def test_a_query_asks_what_reading_and_posting_ask(get: Any, post: Any, expected: Any) -> None:
    """It is a POST that reads: a table that may only be added to is not read by it."""
    _, asked = compiled(draft("people", [{"get": get, "post": post}]))
    assert asked.get("POST /people/query") == expected


def test_related_rows_ask_what_the_tables_own_verbs_ask() -> None:
    relationships = {"manyToMany": [["people", "team"]]}
    _, asked = compiled(
        draft(
            "people",
            [{"get": {"secured": False}, "put": {"grants": ["write"]}}],
            relationships=relationships,
        ),
        draft("team", [{"get": {}}]),
    )
    assert asked["GET /people/{id}/team"] == PUBLIC
    assert asked["PUT /people/{id}/team"] == (frozenset({"write"}),)
    assert asked["GET /team/{id}/people"] == ANY_TOKEN
    assert "PUT /team/{id}/people" not in asked


def test_the_scopes_of_all_drafts_are_declared_once() -> None:
    document, asked = compiled(
        draft("people", [{"get": {"grants": ["read", "read"]}}]),
        draft("team", [{"get": {"grants": ["read"]}, "post": {"grants": ["write"]}}]),
        token_url="https://id.example.org/oauth/token",
    )
    flow = document["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    assert flow["tokenUrl"] == "https://id.example.org/oauth/token"
    assert list(flow["scopes"]) == ["read", "write"]
    assert "GET /people" in flow["scopes"]["read"]
    assert "GET /team" in flow["scopes"]["read"]
    assert asked["GET /people"] == (frozenset({"read"}),)


def test_where_the_provider_is_not_known_the_token_url_leads_nowhere() -> None:
    document, _ = compiled(draft("people", [{"get": {"grants": ["read"]}}]))
    flow = document["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    assert ".invalid/" in flow["tokenUrl"]


@pytest.mark.parametrize(
    ("methods", "place"),
    [
        ({"get": {}}, ""),
        ([5], "[0]"),
        ([{"get": True}], "[0].get"),
        ([{"get": {"enabled": "no"}}], "[0].get.enabled"),
        ([{"get": {"secured": "false"}}], "[0].get.secured"),
        ([{"get": {"secured": None}}], "[0].get.secured"),
        ([{"get": {"grants": "read"}}], "[0].get.grants"),
        ([{"get": {"grants": [5]}}], "[0].get.grants[0]"),
        ([{"get": {"grants": ["a", "two words"]}}], "[0].get.grants[1]"),
        ([{"get": {}}, {"GET": {"secured": False}}], "[1].GET"),
    ],
)
def test_what_cannot_be_meant_is_a_fault_with_its_place(methods: Any, place: str) -> None:
    """Nothing about who may do what is guessed."""
    with pytest.raises(InvalidDocument) as caught:
        read_draft(draft("people", methods))
    assert caught.value.errors[0].startswith(f"tableschema.api.methods{place}: ")


def test_an_api_that_is_no_object_is_a_fault() -> None:
    document = draft("people", [])
    document["tableschema"]["api"] = ["get"]
    with pytest.raises(InvalidDocument) as caught:
        read_draft(document)
    assert caught.value.errors[0].startswith("tableschema.api: ")


def test_the_inside_of_a_draft_is_a_draft() -> None:
    """It is what is stored; its faults have their places in it."""
    methods = [{"get": {"secured": False}}]
    inside = draft("people", methods)["tableschema"]
    assert read_draft(inside).methods == read_draft(draft("people", methods)).methods
    with pytest.raises(InvalidDocument) as caught:
        read_draft({**inside, "api": {"methods": [{"get": {"enabled": 1}}]}})
    assert caught.value.errors[0].startswith("api.methods[0].get.enabled: ")


def test_keys_of_methods_that_are_no_verbs_are_left_alone() -> None:
    """The original's drafts have some, like ``custom``."""
    _, asked = compiled(draft("people", [{"get": {}, "custom": [{"resource": "/x"}]}]))
    assert asked.keys() == {"GET /people", "GET /people/{id}"}

"""Names and values that want to be something else: they work, or are refused with a clear 400."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.service import Service, entry, payload

WITNESS = entry("witness", {"name": "name", "type": "string"})


@pytest.fixture(autouse=True)
def _fresh(service: Service) -> None:
    service.reset()


FIELD_NAMES = [
    "with space",
    'with "quotes"',
    "with 'single'",
    "; drop table witness; --",
    "Capital",
    "UPPER",
    "ünïcödé",
    "日本語",
    "😀",
    "order",
    "user",
    "select",
    "table",
    "metadata",
    "query",
    "items",
    "keys",
    "registry",
    "self",
    "class",
    "None",
    "__init__",
    "__class__",
    "p0",
    "key",
    "offset",
    "limit",
    "count",
    "present",
    "c0",
    "n",
    "message",
    "links",
    "100%",
    "%s",
    "%(name)s",
    "%%",
    ":bind",
    "a.b",
    "a/b",
    "a\\b",
    "a?b#c",
    "{id}",
    "<script>",
    "(a, b)",
    "a)=(b",
    " ",
    "\t",
    "\n",
    "x" * 63,
    "é" * 31,
]

REFUSED_FIELD_NAMES = ["", "x" * 64, "é" * 32, "ctid", "xmin", "tableoid", "a\0b"]


@pytest.mark.parametrize("name", FIELD_NAMES)
def test_a_field_of_any_name_works(service: Service, name: str) -> None:
    field = {
        "name": name,
        "type": "string",
        "constraints": {"unique": True, "maxLength": 5, "pattern": "[a-z%]*", "enum": ["a", "b%"]},
    }
    service.generate(payload(WITNESS, entry("t", field)))
    service.post("/witness", {"name": "here"})
    assert service.post("/t", {name: "b%"}).status_code == 201
    assert service.get("/t/1").json() == {"id": 1, name: "b%"}
    assert service.put("/t/1", {name: "a"}).status_code == 200
    assert service.post("/t/query", {name: "a"}).json() == {"results": [{"id": 1, name: "a"}]}
    assert service.get("/t").json()["t"] == [{"id": 1, name: "a"}]
    clash = service.post("/t", {name: "a"})
    assert clash.status_code == 409
    refused = service.post("/t", {name: "toolong"})
    assert [line.split(": ")[0] for line in refused.json()["errors"]] == [name.split(": ")[0]]
    assert service.get("/witness").json()["witness"] == [{"id": 1, "name": "here"}]


@pytest.mark.parametrize("name", REFUSED_FIELD_NAMES)
def test_a_field_name_that_postgresql_cannot_hold_is_refused(service: Service, name: str) -> None:
    response = service.post("/generator", payload(entry("t", {"name": name, "type": "string"})))
    assert response.status_code == 400
    assert response.json()["error"]
    assert service.database is not None
    assert service.database.tables() == []


TABLE_NAMES = [
    "with space",
    'with "quotes"',
    "with 'single'",
    "; drop table witness; --",
    "ünïcödé",
    "日本語",
    "order",
    "user",
    "metadata",
    "query",
    "pg_class",
    "information_schema",
    "pk_witness",
    "100%",
    "%s",
    "%2f",
    "a.b",
    "a\\b",
    "a<b>c",
    "<int:x>",
    "<script>alert(1)</script>".replace("/", "|"),
    "a|b",
    "a;b",
    "a&b=c",
    "a+b",
    "draw",
    "given",
    "anon_1",
    "page",
    "counted",
    "favicon.ico",
    "x" * 60,
    "~",
    "...",
]


@pytest.mark.parametrize("name", TABLE_NAMES)
def test_a_table_of_any_name_works(service: Service, name: str) -> None:
    text = {"name": "name", "type": "string", "constraints": {"unique": True}}
    paths = {quote(path, safe="/{}"): item for path, item in _paths(name).items()}
    service.generate(
        payload(WITNESS, entry(name, text), pairs=[("witness", name)], paths=paths)
        if len(name) < 40
        else payload(WITNESS, entry(name, text), paths=paths)
    )
    live = service.get("/generator").json()
    path = "/" + quote(name, safe="")
    created = service.post(path, {"name": "x"})
    assert created.status_code == 201, created.text
    assert service.get(created.headers["Location"]).json() == {"id": 1, "name": "x"}
    listed = service.get(path).json()
    assert listed[name] == [{"id": 1, "name": "x"}]
    assert service.get(listed["links"][0]["href"]).status_code == 200
    assert service.put(f"{path}/2", {"name": "y"}).status_code == 201
    assert service.patch(f"{path}/2", {"name": "x"}).status_code == 409
    assert service.post(path, {"name": "z"}).json()["id"] == 3, "2 is taken: the next is drawn"
    assert service.post(f"{path}/query", {"name": "y"}).json()["results"][0]["id"] == 2
    if len(name) < 40:
        assert live["unmatched"] == []
        service.put("/witness/1", {})
        assert service.put(f"{path}/1/witness", [1]).json() == [1]
        assert service.get(f"/witness/1{path}").json() == [1]


def _paths(name: str) -> dict[str, Any]:
    from tests.service import all_paths

    pairs = [("witness", name)] if len(name) < 40 else []
    return all_paths([WITNESS, entry(name)], pairs)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a/b",
        "{id}",
        "a?b",
        "a#b",
        "a\nb",
        "a\x7fb",
        "generator",
        "Generator",
        "tableschema",
        "swagger",
        "ui",
        "static",
        "links",
        "-",
        ".",
        "..",
        "x" * 64,
        "日" * 22,
    ],
)
def test_a_table_name_that_cannot_stand_in_a_path_is_refused(service: Service, name: str) -> None:
    response = service.post("/generator", payload(WITNESS, entry(name)))
    assert response.status_code == 400
    assert response.json()["errors"][0].startswith("data.dataDictionary[1].name:")
    assert service.database is not None
    assert service.database.tables() == []


def test_names_are_compared_in_lower_case(service: Service) -> None:
    twice = service.post("/generator", payload(entry("Order"), entry("ORDER")))
    assert twice.status_code == 400
    assert "data.dataDictionary[0]" in twice.json()["errors"][0]
    service.generate(payload(entry("Order", {"name": "Name", "type": "string"})))
    for path in ("/Order", "/order"):
        assert service.post(path, {"Name": "x"}).status_code == 201
        assert "order" in service.get(path).json()
    assert service.get("/ORDER").status_code == 404


HOSTILE_VALUES = [
    "'; drop table witness; --",
    '"; drop table witness; --',
    "\\'; drop table witness; --",
    "$$; drop table witness; $$",
    "%s %(name)s %% {0}",
    "\\",
    "\x01\x1f\x7f",
    "\u202e\u0000".replace("\u0000", ""),
    "a" * 10_000,
]


@pytest.mark.parametrize("value", HOSTILE_VALUES)
def test_a_value_is_only_a_value(service: Service, value: str) -> None:
    fields: list[dict[str, Any]] = [
        {"name": "text", "type": "string"},
        {"name": "json", "type": "object"},
    ]
    service.generate(payload(WITNESS, entry("t", *fields)))
    row = {"text": value, "json": {value: [value]}}
    assert service.post("/t", row).status_code == 201
    assert service.get("/t/1").json() == {"id": 1, **row}
    assert service.post("/t/query", row).status_code == 200
    assert service.get("/witness").status_code == 200


@pytest.mark.parametrize(
    "constraints",
    [
        {"pattern": "'; drop table witness; --"},
        {"pattern": '"[^"]*"|%s|100%'},
        {"pattern": "\\\\'"},
        {"pattern": "a{1000}"},
        {"pattern": "(((((a{10}){10}){10})))"},
        {"pattern": "(?i)straße"},
        {"pattern": "\\bword\\b"},
        {"pattern": "[[:alpha:]]+"},
        {"pattern": "\\p{Greek}+"},
        {"pattern": "^$|^[a-z]+$"},
        {"pattern": "(a|aa)+b"},
        {"enum": ["'; drop table witness; --", "%s", "\\", ""]},
        {"enum": ["x" * 500]},
    ],
)
def test_a_constraint_is_only_a_constraint(service: Service, constraints: dict[str, Any]) -> None:
    field = {"name": "x", "type": "string", "constraints": constraints}
    service.generate(payload(WITNESS, entry("t", field)))
    response = service.post("/t", {"x": "surely not a match !"})
    assert response.status_code == 400
    assert response.json()["errors"][0].startswith("x: must")
    for value in constraints.get("enum", ()):
        assert service.post("/t", {"x": value}).status_code == 201
    assert service.get("/witness").status_code == 200


@pytest.mark.parametrize(
    "pattern", ["(", "(?=a)", "(a)\\1", "a{2000}", "[z-a]", "((a{1000}){1000}){1000}", "\\"]
)
def test_a_pattern_that_re2_cannot_express_is_refused(service: Service, pattern: str) -> None:
    field = {"name": "x", "type": "string", "constraints": {"pattern": pattern}}
    response = service.post("/generator", payload(entry("t", field)))
    assert response.status_code == 400
    assert "constraints.pattern" in response.json()["errors"][0]


def test_a_pattern_cannot_hang_a_worker(service: Service) -> None:
    field = {"name": "x", "type": "string", "constraints": {"pattern": "(a*)*b"}}
    service.generate(payload(entry("t", field)))
    assert service.post("/t", {"x": "a" * 50_000}).status_code == 400


def test_rows_of_python_attribute_names_have_models_too() -> None:
    from data_resource_api import compile_data_resource

    fields = [{"name": name, "type": "string"} for name in ("metadata", "registry", "query")]
    resource = compile_data_resource(payload(entry("t", *fields)))
    row = resource.models["t"](metadata="x", registry="y")
    assert (row.metadata, row.registry, row.query) == ("x", "y", None)


def test_a_remote_reference_is_never_fetched(service: Service) -> None:
    document = payload(entry("t"))
    spec = document["data_resource_schema"]["api"]["apiSpec"]
    spec["components"] = {"schemas": {"x": {"$ref": service.url + "/never"}}}
    response = service.post("/generator", document)
    assert response.status_code == 400
    assert response.json()["errors"][0].startswith("api.apiSpec.components.schemas.x")
    for reference in ("file:///etc/passwd", "other.json#/x", "//example.org/x"):
        spec["components"] = {"schemas": {"x": {"example": {"$ref": reference}}}}
        assert service.post("/generator", json.dumps(document)).status_code == 400

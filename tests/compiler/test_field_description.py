"""How fields are described in an OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from data_resource_api.compiler.fields import FIELD_TYPES
from tests.compiler.documents import (
    NAME,
    drafted,
)
from tests.service import entry


def constrained(field: Mapping[str, Any]) -> dict[str, Any]:
    """How a field is described."""
    document = drafted(entry("t", {"name": "x", **field}))
    found: dict[str, Any] = document["components"]["schemas"]["t"]["properties"]["x"]
    return found


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ({"format": "email"}, {"type": "string", "format": "email"}),
        ({"format": "binary"}, {"type": "string", "format": "byte"}),
        ({"type": "integer"}, {"type": "integer", "format": "int32"}),
        (
            {"type": "integer", "constraints": {"minimum": 1, "maximum": "9000000000"}},
            {"format": "int64", "minimum": 1, "maximum": 9000000000},
        ),
        ({"type": "number", "constraints": {"minimum": "0.5"}}, {"minimum": 0.5}),
        ({"type": "integer", "constraints": {"enum": ["1", 2]}}, {"enum": [1, 2, None]}),
        ({"type": "date", "constraints": {"minimum": "2020-01-01"}}, {"format": "date"}),
        ({"type": "array", "constraints": {"maxLength": 3}}, {"maxItems": 3}),
        ({"type": "object", "constraints": {"minLength": 1}}, {"minProperties": 1}),
        ({"constraints": {"pattern": "a|b"}}, {"pattern": "^(?:a|b)$"}),
        ({"constraints": {"enum": ["a", "b"]}}, {"enum": ["a", "b", None], "nullable": True}),
        ({"title": "X", "description": "About."}, {"title": "X", "description": "About."}),
    ],
)
def test_a_fields_constraints_are_in_its_schema(
    field: dict[str, Any], expected: dict[str, Any]
) -> None:
    shown = constrained(field)
    assert {name: shown.get(name) for name in expected} == expected


def test_what_openapi_has_no_word_for_is_said_in_words() -> None:
    date = constrained({"type": "date", "constraints": {"maximum": "2020-01-01", "unique": True}})
    assert "2020-01-01" in date["description"]
    assert "No two rows" in date["description"]
    number = constrained({"type": "number", "constraints": {"enum": ["1", 2.5]}})
    assert (
        "enum" not in number
    )  # generators of clients have enumerations of texts and integers only
    assert number["description"] == "One of 1, 2.5."
    # Python's regular expressions, which most tools' validators are made of, have no \z.
    pattern = constrained({"constraints": {"pattern": "\\pN"}})
    assert "pattern" not in pattern
    assert "\\pN" in pattern["description"]


def test_every_type_is_described() -> None:
    for name in FIELD_TYPES:
        assert constrained({"type": name})["nullable"] is True


def test_generated_keys_may_be_left_out_and_are_always_answered() -> None:
    schemas = drafted(entry("t", NAME))["components"]["schemas"]
    assert "nullable" not in schemas["t"]["properties"]["id"]
    assert "id" not in schemas["t.new"]["required"]
    chosen = drafted(entry("t", {"name": "code", "type": "string"}, key="code"))
    assert chosen["components"]["schemas"]["t.new"]["required"] == ["code"]

"""What the OpenAPI document asks of a caller."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from data_resource_api.compiler.data_resource import compile_data_resource
from data_resource_api.compiler.openapi import BATCH_PATH
from data_resource_api.compiler.openapi_rules import broken_openapi_rules
from data_resource_api.compiler.security import ANY_TOKEN, PUBLIC
from data_resource_api.errors import InvalidDocument
from tests.service import entry, payload

SCHEMES = {
    "oauth": {
        "type": "oauth2",
        "flows": {
            "clientCredentials": {
                "tokenUrl": "https://id.example.org/token",
                "scopes": {"read": "Read.", "write": "Write."},
            }
        },
    },
    "bearer": {"type": "http", "scheme": "Bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
    "basic": {"type": "http", "scheme": "basic"},
    "reference": {"$ref": "#/components/securitySchemes/second"},
    "second": {"$ref": "#/components/securitySchemes/bearer"},
    "to_key": {"$ref": "#/components/securitySchemes/key"},
}


def document(root: Any = ..., operation: Any = ...) -> dict[str, Any]:
    stated = payload(entry("people"))
    api = stated["data_resource_schema"]["api"]["apiSpec"]
    api["components"] = {"securitySchemes": SCHEMES}
    listed = {"responses": {"200": {"description": "Done."}}}
    if operation is not ...:
        listed["security"] = operation
    if root is not ...:
        api["security"] = root
    api["paths"] = {"/people": {"get": listed}}
    return stated


@pytest.mark.parametrize(
    ("root", "operation", "expected"),
    [
        (..., ..., ANY_TOKEN),
        ([], ..., PUBLIC),
        ([{"oauth": ["read"]}], ..., (frozenset({"read"}),)),
        ([{"oauth": ["read"]}], [], PUBLIC),
        ([], [{"oauth": []}], ANY_TOKEN),
        (..., [{"oauth": ["read"]}, {}], PUBLIC),
        (..., [{"oauth": ["read"]}, {"bearer": []}], (frozenset({"read"}), frozenset())),
        (..., [{"oauth": ["read"], "bearer": []}], (frozenset({"read"}),)),
        (..., [{"reference": []}], ANY_TOKEN),
    ],
)
def test_security_has_the_semantics_of_openapi(root: Any, operation: Any, expected: Any) -> None:
    (found,) = compile_data_resource(document(root, operation)).operations
    assert found.security == expected
    assert found.public is (expected == PUBLIC)


@pytest.mark.parametrize(
    ("stated", "fault"),
    [
        ([{"key": []}], "cannot be enforced"),
        ([{"basic": []}], "cannot be enforced"),
        ([{"to_key": []}], "cannot be enforced"),
        ([{"oauth": ['a"b']}], "is not a scope that a token can have"),
        ([{"oauth": ["read write"]}], '"read write" is not a scope that a token can have'),
        ([{"oauth": ["lesen\n"]}], "is not a scope that a token can have"),
        ([{"oauth": [""]}], "is not a scope that a token can have"),
        ([{"oath": []}], 'is called "oath"; did you mean "oauth"?'),
        ([{"oauth": ["read"]}, {"key": []}], "cannot be enforced"),
    ],
)
@pytest.mark.parametrize("extra", [{}, {"ignore_validation": None}])
def test_a_scheme_that_cannot_be_enforced_is_refused(
    stated: Any, fault: str, extra: dict[str, Any]
) -> None:
    with pytest.raises(InvalidDocument) as caught:
        compile_data_resource(document(operation=stated) | extra)
    assert any(fault in line for line in caught.value.errors), caught.value.errors


@pytest.mark.parametrize(
    "reference",
    [
        "#/components/securitySchemes/circle",
        "#/components/securitySchemes/nothing",
        "#/components/securitySchemes/bearer/type",
        "https://example.org/schemes.json#/oauth",
        "schemes.json",
        1,
    ],
)
def test_a_reference_that_leads_to_no_scheme_is_refused(reference: Any) -> None:
    """Nothing outside of the document is looked for."""
    stated = document(operation=[{"circle": []}]) | {"ignore_validation": True}
    api = stated["data_resource_schema"]["api"]["apiSpec"]
    schemes = SCHEMES | {"circle": {"$ref": reference}}
    api["components"] = {"securitySchemes": schemes}
    with pytest.raises(InvalidDocument) as caught:
        compile_data_resource(stated)
    assert any("cannot be enforced" in line for line in caught.value.errors)


# ── what clients are told ────────────────────────────────────────────────────────────────────────


def test_a_locked_service_tells_clients_that_a_token_is_needed() -> None:
    """Where the document says nothing; everything of its own stays, and the payload is not changed."""
    stated = document(operation=[])
    api = stated["data_resource_schema"]["api"]["apiSpec"]
    api["components"] = {"schemas": {"a": {"type": "string"}}}
    before = copy.deepcopy(stated)
    resource = compile_data_resource(stated)
    assert "security" not in resource.openapi
    assert "securitySchemes" not in resource.openapi["components"]
    told = resource.locked_openapi
    assert told["security"] == [{"bearerAuth": []}]
    assert told["components"]["securitySchemes"] == {
        "bearerAuth": {"type": "http", "scheme": "bearer"}
    }
    assert told["components"]["schemas"]["a"] == {"type": "string"}
    assert told["paths"].keys() == {*api["paths"], BATCH_PATH}
    assert stated == before
    assert broken_openapi_rules(told) == []


@pytest.mark.parametrize("root", [[], [{"oauth": ["read"]}]])
def test_a_root_security_of_the_documents_own_is_what_clients_are_told(root: Any) -> None:
    resource = compile_data_resource(document(root=root))
    assert resource.locked_openapi == resource.openapi


def test_a_bearer_scheme_of_the_documents_own_is_used() -> None:
    resource = compile_data_resource(document())
    assert resource.locked_openapi["security"] == [{"bearer": []}]
    assert resource.locked_openapi["components"] == resource.openapi["components"]


def test_a_name_that_means_another_scheme_is_not_taken() -> None:
    stated = document()
    schemes = {"bearerAuth": SCHEMES["key"], "bearerAuth2": SCHEMES["basic"]}
    stated["data_resource_schema"]["api"]["apiSpec"]["components"] = {"securitySchemes": schemes}
    told = compile_data_resource(stated).locked_openapi
    assert told["security"] == [{"bearerAuth3": []}]
    assert told["components"]["securitySchemes"].keys() == {*schemes, "bearerAuth3"}


@pytest.mark.parametrize("components", [[], {"securitySchemes": 5}, {"securitySchemes": {"a": 1}}])
def test_a_document_that_nobody_validated_is_served_too(components: Any) -> None:
    stated = document() | {"ignore_validation": True}
    stated["data_resource_schema"]["api"]["apiSpec"]["components"] = components
    assert compile_data_resource(stated).locked_openapi["paths"]

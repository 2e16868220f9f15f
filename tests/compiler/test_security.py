"""What the OpenAPI document asks of a caller."""

from __future__ import annotations

from typing import Any

import pytest

from data_resource_api.compiler.data_resource import compile_data_resource
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

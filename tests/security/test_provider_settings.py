"""What a start says about the provider of tokens, and what stops it."""

from __future__ import annotations

import pytest

from data_resource_api import security
from data_resource_api.errors import ConfigurationError
from data_resource_api.security.providers import address_fault
from data_resource_api.settings import Settings
from tests.provider import AUDIENCE

URL = "https://id.example.org"


def refused(**changes: str | None) -> tuple[str, ...]:
    """What a start says of these variables."""
    stated = {
        "APP_ENV": "PRODUCTION",
        "DATABASE_URL": "postgresql://x",
        "OAUTH2_PROVIDER": "OIDC",
        "OAUTH2_URL": URL,
        "OAUTH2_AUDIENCE": AUDIENCE,
    }
    variables = {name: value for name, value in (stated | changes).items() if value is not None}
    try:
        security.guard_for(Settings.from_environment(variables))
    except ConfigurationError as error:
        return error.errors
    return ()


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({}, []),
        ({"OAUTH2_PROVIDER": "auth0"}, []),
        ({"OAUTH2_PROVIDER": "GOOGLE"}, ["OAUTH2_PROVIDER must be one of AUTH0, OIDC, BRIGHTHIVE"]),
        ({"OAUTH2_PROVIDER": "OI DC"}, ["OAUTH2_PROVIDER must be one word"]),
        ({"APP_ENV": "TEST", "OAUTH2_PROVIDER": "GOOGLE"}, ["OAUTH2_PROVIDER must be one of"]),
        (
            {"OAUTH2_URL": None, "OAUTH2_AUDIENCE": ""},
            ["OAUTH2_PROVIDER=OIDC needs OAUTH2_URL.", "OAUTH2_PROVIDER=OIDC needs OAUTH2_AUDIENCE."],
        ),
        ({"OAUTH2_URL": "http://id.example.org"}, ["OAUTH2_URL must be https; http is for"]),
        ({"OAUTH2_JWKS_URL": "ftp://id.example.org"}, ["OAUTH2_JWKS_URL must be a URL like"]),
        (
            {"OAUTH2_ALGORITHMS": "HS256 none"},
            ["OAUTH2_ALGORITHMS: HS256 is", "OAUTH2_ALGORITHMS: none is"],
        ),
        ({"OAUTH2_ADMIN_SCOPE": 'drg"admin'}, ["OAUTH2_ADMIN_SCOPE: 'drg\"admin' is not a scope"]),
        ({"OAUTH2_ALGORITHMS": ","}, ["OAUTH2_ALGORITHMS names no algorithm."]),
        ({"OAUTH2_ALGORITHMS": "RS256,PS512 ES384 EdDSA"}, []),
        (
            {"OAUTH2_PROVIDER": "INTROSPECTION", "OAUTH2_AUDIENCE": None},
            [
                "OAUTH2_PROVIDER=INTROSPECTION needs OAUTH2_CLIENT_ID.",
                "OAUTH2_PROVIDER=INTROSPECTION needs OAUTH2_CLIENT_SECRET.",
            ],
        ),
        (
            {"OAUTH2_PROVIDER": "BRIGHTHIVE"},
            ["OAUTH2_PROVIDER=BRIGHTHIVE needs OAUTH2_ADMIN_SCOPE: it tells no scopes."],
        ),
        ({"OAUTH2_PROVIDER": "BRIGHTHIVE", "OAUTH2_ADMIN_SCOPE": ""}, []),
    ],
    ids=str,
)  # fmt: skip
def test_a_start_says_everything_that_is_wrong(
    changes: dict[str, str | None], faults: list[str]
) -> None:
    said = refused(**changes)
    assert len(said) == len(faults), said
    for line, fault in zip(said, faults, strict=True):
        assert line.startswith(fault)


@pytest.mark.parametrize(
    "address",
    [
        "https://id.example.org", "https://id.example.org:8443/realms/x/", "http://localhost:9000",
        "http://127.0.0.1:9000/", "http://[::1]:9000", "HTTPS://ID.example.org",
    ],
)  # fmt: skip
def test_an_address_may_be_called(address: str) -> None:
    assert address_fault(address) is None


@pytest.mark.parametrize(
    "address",
    [
        "id.example.org", "https://", "https:///x", "http://id.example.org",
        "http://127.0.0.1.evil.test", "http://localhost@evil.test",
        "https://me:secret@id.example.org", "https://id.example.org?x", "https://id.example.org/#x",
        "https://id.example.org:port", "https://[::1", "file:///etc", "https://id.exa mple.org",
        "http://10.0.0.1", "javascript:alert(1)",
    ],
)  # fmt: skip
def test_an_address_may_not_be_called(address: str) -> None:
    assert address_fault(address) is not None


def test_an_empty_administration_scope_opens_nothing_where_tokens_have_scopes() -> None:
    """What a deployment's file leaves empty counts as not set."""
    from data_resource_api.security.providers import admin_security

    stated = {"OAUTH2_PROVIDER": "OIDC", "OAUTH2_ADMIN_SCOPE": ""}
    assert admin_security(Settings.from_environment(stated)) == (frozenset({"drg:admin"}),)
    assert admin_security(Settings.from_environment({})) == (frozenset({"drg:admin"}),)


def test_test_and_local_say_that_they_check_no_tokens(caplog: pytest.LogCaptureFixture) -> None:
    assert refused(APP_ENV="LOCAL", OAUTH2_URL=None) == ()
    assert caplog.messages == ["OAUTH2_PROVIDER is set, and APP_ENV=LOCAL checks no tokens."]

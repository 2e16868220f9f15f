"""Which scopes open an operation, and who is asked for none."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from data_resource_api.errors import InsufficientScope, Unauthorized
from data_resource_api.security import Grant, bearer
from data_resource_api.security.bearer import BearerGuard
from data_resource_api.security.loopback import Anyone, LoopbackOnly


@dataclasses.dataclass(frozen=True)
class Says:
    """A provider of one's own that says this of every token."""

    grant: Grant

    def verify(self, token: str) -> Grant:
        return self.grant


def authorize(
    security: Sequence[frozenset[str]], scopes: str = "", token: str = "x"
) -> dict[str, Any]:
    grant = Grant("ada", "app", frozenset(scopes.split()))
    environ = {"HTTP_AUTHORIZATION": f"Bearer {token}"}
    BearerGuard(Says(grant)).authorize(environ, tuple(security))
    return environ


def test_scopes_are_alternatives_of_sets() -> None:
    both, one = frozenset({"a", "b"}), frozenset({"c"})
    for scopes in ("a b", "c", "a b c d"):
        authorize([both, one], scopes)
    for scopes in ("", "a", "b", "ab", "d"):
        with pytest.raises(InsufficientScope) as caught:
            authorize([both, one], scopes)
        assert 'scope="a b"' in caught.value.headers["WWW-Authenticate"]
        assert caught.value.detail == "The token needs the scope a b or c."
    authorize([frozenset({"a"}), frozenset()], "")
    authorize([frozenset()], "")


def test_who_it_is_is_noted_for_the_log_also_where_it_is_refused() -> None:
    environ: dict[str, Any] = {"HTTP_AUTHORIZATION": "Bearer x"}
    guard = BearerGuard(Says(Grant("ada", "app")))
    with pytest.raises(InsufficientScope):
        guard.authorize(environ, (frozenset({"admin"}),))
    assert (environ["drg.subject"], environ["drg.client"]) == ("ada", "app")
    unknown = {"HTTP_AUTHORIZATION": "Bearer x"}
    BearerGuard(Says(Grant())).authorize(unknown, (frozenset(),))
    assert unknown.keys() == {"HTTP_AUTHORIZATION"}


def test_what_is_public_asks_for_no_token_and_looks_at_none() -> None:
    BearerGuard(Says(Grant())).authorize({}, ())
    with pytest.raises(Unauthorized):
        BearerGuard(Says(Grant())).authorize({}, (frozenset(),))


def test_without_authorization_nothing_is_asked_for() -> None:
    for guard in (Anyone(), LoopbackOnly()):
        guard.authorize({}, (frozenset({"admin"}),))


def test_a_token_that_is_too_long_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "x" * (bearer.MOST_CHARACTERS + 1)
    with pytest.raises(Unauthorized):
        authorize([frozenset()], token=long)
    monkeypatch.setattr(bearer, "MOST_CHARACTERS", len(long))
    authorize([frozenset()], token=long)

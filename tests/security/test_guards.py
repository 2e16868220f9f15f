"""Each guard is shown to work by what happens without it: the bad token then passes."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from joserfc.jwk import OctKey

from data_resource_api.security import InvalidToken
from data_resource_api.security.jwt_tokens import JwtVerifier, algorithm_registry, claims_registry
from data_resource_api.security.key_set import KeySet, ProviderKeys
from tests.provider import AUDIENCE, Provider
from tests.security.tokens import BAD, HOUR, Make, part

Weaken = Callable[[JwtVerifier], JwtVerifier]


@pytest.fixture
def verifier(provider: Provider) -> JwtVerifier:
    """What PRODUCTION uses, with the keys at hand."""
    return JwtVerifier(
        ProviderKeys(provider.published),
        algorithm_registry(["RS256"]),
        claims_registry(provider.issuer, AUDIENCE),
    )


def without_check_of(claim: str) -> Weaken:
    def weaken(verifier: JwtVerifier) -> JwtVerifier:
        setattr(verifier.claims, f"validate_{claim}", lambda value: None)
        return verifier

    return weaken


def without_need_of(claim: str) -> Weaken:
    def weaken(verifier: JwtVerifier) -> JwtVerifier:
        verifier.claims.options[claim]["essential"] = False
        return verifier

    return weaken


class Unsigned(JwtVerifier):
    """Believes what a token says."""

    def _decode(self, token: str, candidates: Sequence[Any]) -> dict[str, Any] | None:
        text = token.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=="))
        return claims


def without_signature(verifier: JwtVerifier) -> JwtVerifier:
    return Unsigned(*(getattr(verifier, field.name) for field in dataclasses.fields(verifier)))


class AnyKey(KeySet):
    """Tries every key, whatever its id, type and algorithm."""

    def candidates(self, kid: str | None, algorithm: str) -> list[Any]:
        return [*self.named.values(), *self.unnamed]


class SharedSecrets(KeySet):
    """Takes a public key for a shared secret."""

    def candidates(self, kid: str | None, algorithm: str) -> list[Any]:
        secrets = [key.as_pem(private=False) for key in self.named.values()]
        return [OctKey(secret, secret) for secret in secrets]  # import_key would notice


def with_keys(kind: type[KeySet], *algorithms: str) -> Weaken:
    def weaken(verifier: JwtVerifier) -> JwtVerifier:
        keys, _ = verifier.keys.current()
        verifier.keys._keys = kind(keys.named, keys.unnamed)
        if not algorithms:
            return verifier
        return dataclasses.replace(verifier, registry=algorithm_registry(algorithms))

    return weaken


def with_any_type(verifier: JwtVerifier) -> JwtVerifier:
    return dataclasses.replace(verifier, types=verifier.types | {"id+jwt"})


GUARDS: dict[str, tuple[Make, Weaken]] = {
    "expired": (BAD["expired"], without_check_of("exp")),
    "no expiry": (BAD["no expiry"], without_need_of("exp")),
    "not yet valid": (BAD["not yet valid"], without_check_of("nbf")),
    "issued in the future": (
        lambda provider, scope: provider.token(scope, iat=int(time.time()) + HOUR),
        without_check_of("iat"),
    ),
    "wrong audience": (BAD["wrong audience"], without_check_of("aud")),
    "no audience": (BAD["no audience"], without_need_of("aud")),
    "wrong issuer": (BAD["wrong issuer"], without_check_of("iss")),
    "no issuer": (BAD["no issuer"], without_need_of("iss")),
    "wrong key": (BAD["wrong key"], without_signature),
    "tampered payload": (BAD["tampered payload"], without_signature),
    "unknown kid": (BAD["unknown kid"], with_keys(AnyKey)),
    "alg none": (BAD["alg none"], with_keys(AnyKey, "RS256", "none")),
    "HS256 with the public key": (
        BAD["HS256 with the public key"],
        with_keys(SharedSecrets, "RS256", "HS256"),
    ),
    "not an access token": (BAD["not an access token"], with_any_type),
}


def test_every_bad_token_has_its_guard() -> None:
    """Garbage holds nothing that could be believed without one."""
    assert BAD.keys() - {"garbage"} <= GUARDS.keys()


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("case", GUARDS)
def test_a_bad_token_passes_without_its_guard_only(
    provider: Provider, verifier: JwtVerifier, case: str
) -> None:
    make, weaken = GUARDS[case]
    token = make(provider, "read")
    assert token is not None
    with pytest.raises(InvalidToken):
        verifier.verify(token)
    assert weaken(verifier).verify(token).scopes == {"read"}


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("case", ["alg none", "HS256 with the public key"])
@pytest.mark.parametrize("algorithms", [("RS256",), ("RS256", "none", "HS256")])
@pytest.mark.parametrize("kind", [KeySet, AnyKey])
def test_an_algorithm_without_a_public_key_is_kept_out_twice(
    provider: Provider,
    verifier: JwtVerifier,
    case: str,
    algorithms: tuple[str, ...],
    kind: type[KeySet],
) -> None:
    """By the list of algorithms, and by the type of the key: one of them is enough."""
    if kind is AnyKey and len(algorithms) > 1:
        return
    token = BAD[case](provider, "read")
    assert token is not None
    with pytest.raises(InvalidToken):
        with_keys(kind, *algorithms)(verifier).verify(token)


def test_a_good_token_passes_with_all_of_them(provider: Provider, verifier: JwtVerifier) -> None:
    grant = verifier.verify(provider.token("read write", sub="ada", client_id="app"))
    assert (grant.subject, grant.client, grant.scopes) == ("ada", "app", {"read", "write"})
    assert 290 < grant.seconds <= 300


def test_a_decision_is_kept_no_longer_than_the_token(
    provider: Provider, verifier: JwtVerifier
) -> None:
    assert verifier.verify(provider.token(exp=int(time.time()) + 30)).seconds <= 30
    assert verifier.verify(provider.token(exp=int(time.time()) - 30)).seconds < 0
    assert 290 < verifier.verify(provider.token(exp=10**400)).seconds <= 300


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["mine"], "mine": 1},
        {"crit": ["b64"], "b64": False},
        {"jku": "https://evil.test/keys", "kid": "foreign"},
    ],
    ids=str,
)
def test_a_header_cannot_change_the_rules(
    provider: Provider, verifier: JwtVerifier, header: dict[str, Any]
) -> None:
    key = provider.keys[0]
    stated = {"alg": "RS256", "kid": key.kid} | header
    text = f"{part(stated)}.{part(provider.claims())}"
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    signature = key.private_key.sign(text.encode(), PKCS1v15(), SHA256())
    with pytest.raises(InvalidToken):
        verifier.verify(f"{text}.{part(signature)}")


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"null",
        b'["alg"]',
        b'"alg"',
        b"1",
        b"{}",
        b"NaN",
        b"\xff",
        b'{"alg":1}',
        b'{"alg":"RS256","typ":1}',
        b'{"alg":"RS256","kid":["a"]}',
        b'{"alg":"RS256","crit":1}',
        b'{"alg":"RS256","kid":"\\ud800"}',
        b'{"alg":"RS256","alg":"none"}',
        b"[" * 9000,
        b'{"alg":' * 2000,
        b"1" * 9000,
    ],
    ids=lambda header: repr(header[:20]),
)
@pytest.mark.parametrize("body", [b"{}", b"[]", b"[" * 9000, b""])
def test_whatever_a_header_is_it_is_refused(
    verifier: JwtVerifier, header: bytes, body: bytes
) -> None:
    with pytest.raises(InvalidToken):
        verifier.verify(f"{part(header)}.{part(body)}.{part(b'x' * 256)}")


def test_hs256_is_really_signed_with_what_is_published(provider: Provider) -> None:
    """The forged token is one that a verifier of shared secrets would take."""
    token = BAD["HS256 with the public key"](provider, "read")
    assert token is not None
    text, _, signature = token.rpartition(".")
    secret = provider.keys[0].as_pem(private=False)
    assert part(hmac.digest(secret, text.encode(), hashlib.sha256)) == signature

"""Every kind of token that a client may send, good and bad."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

from joserfc.jwk import RSAKey

from tests.provider import Provider

HOUR = 3600


def part(value: Any) -> str:
    """One part of a compact JWS."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@functools.cache
def foreign_key() -> RSAKey:
    """A key that no provider has published."""
    return RSAKey.generate_key(2048, {"kid": "foreign"})


def unsigned(provider: Provider, scope: str) -> str:
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(provider.claims(scope))}."


def signed_with_the_public_key(provider: Provider, scope: str) -> str:
    """HS256 with what everybody can read as the shared secret."""
    secret = provider.keys[0].as_pem(private=False)
    header = {"alg": "HS256", "typ": "JWT", "kid": provider.keys[0].kid}
    text = f"{part(header)}.{part(provider.claims(scope))}"
    return f"{text}.{part(hmac.digest(secret, text.encode(), hashlib.sha256))}"


def tampered(provider: Provider, scope: str) -> str:
    """The signature of a token that says less."""
    header, _, signature = provider.token("").split(".")
    return f"{header}.{part(provider.claims(scope, sub='admin'))}.{signature}"


def wrong_key(provider: Provider, scope: str) -> str:
    return provider.token(scope, key=foreign_key(), header={"kid": provider.keys[0].kid})


Make = Callable[[Provider, str], str | None]

#: What makes the token of each case, given the scope that would be right.
BAD: dict[str, Make] = {
    "garbage": lambda provider, scope: "garbage",
    "expired": lambda provider, scope: provider.token(scope, exp=int(time.time()) - HOUR),
    "no expiry": lambda provider, scope: provider.token(scope, exp=None),
    "not yet valid": lambda provider, scope: provider.token(scope, nbf=int(time.time()) + HOUR),
    "wrong audience": lambda provider, scope: provider.token(scope, aud="https://other.test"),
    "no audience": lambda provider, scope: provider.token(scope, aud=None),
    "wrong issuer": lambda provider, scope: provider.token(scope, iss="https://evil.test"),
    "no issuer": lambda provider, scope: provider.token(scope, iss=None),
    "wrong key": wrong_key,
    "unknown kid": lambda provider, scope: provider.token(scope, header={"kid": "unknown"}),
    "alg none": unsigned,
    "HS256 with the public key": signed_with_the_public_key,
    "tampered payload": tampered,
    "not an access token": lambda provider, scope: provider.token(scope, header={"typ": "id+jwt"}),
}

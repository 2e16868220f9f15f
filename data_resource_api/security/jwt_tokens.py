"""JSON Web Tokens (RFC 7519) as access tokens, checked by the provider's published keys.

Each rule is a value of the verifier, so that a test can take it out and see the bad token pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jws import JWSRegistry, extract_compact

from data_resource_api.security.bearer import MOST_CHARACTERS
from data_resource_api.security.fetch import Endpoint
from data_resource_api.security.grants import Grant, InvalidToken
from data_resource_api.security.key_set import ProviderKeys, PublicKey
from data_resource_api.settings import Settings

#: Seconds that the clocks of provider and service may differ by.
LEEWAY: Final = 60

#: What a token may say that it is. RFC 9068 says ``at+jwt``, Auth0 ``JWT``, some nothing.
TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})

#: The longest subject or client that is noted, in characters.
_MOST_NAME: Final = 256

#: What a token can make joserfc raise: a header that is a JSON list, a bare TypeError; one that is
#: nested deeply, a RecursionError.
_MALFORMED: Final = (JoseError, TypeError, ValueError, RecursionError)


@dataclass(frozen=True, slots=True)
class JwtVerifier:
    """Checks a JWT.

    :ivar registry: the algorithms that are taken, and the sizes.
    :ivar claims: what ``iss``, ``aud``, ``exp``, ``nbf`` and ``iat`` must be.
    :ivar types: what ``typ`` may be, in lower case.
    :ivar now: the time, in seconds since 1970.
    """

    keys: ProviderKeys
    registry: JWSRegistry
    claims: jwt.JWTClaimsRegistry
    types: frozenset[str] = TYPES
    now: Callable[[], float] = time.time

    def verify(self, token: str) -> Grant:
        """What the token grants; see :class:`~data_resource_api.security.TokenVerifier`."""
        header = self._header(token)
        claims, seconds = self._signed_claims(token, header)
        try:
            self.claims.validate(claims)
        except ExpiredTokenError:
            raise InvalidToken("The token has expired.") from None
        except _MALFORMED:
            raise InvalidToken("The token is not valid here.") from None
        return grant_of(claims, _left(claims.get("exp", 0), self.now(), seconds))

    def _header(self, token: str) -> Mapping[str, Any]:
        try:
            header = extract_compact(token.encode(), registry=self.registry).headers()
            self.registry.check_header(header)  # of the right types; nothing critical is unknown
            self.registry.get_alg(header["alg"])
        except _MALFORMED:
            raise InvalidToken("The token is malformed.") from None
        stated = header.get("typ")
        if stated is not None and stated.lower() not in self.types:
            raise InvalidToken("The token is not an access token.")
        return header

    def _signed_claims(self, token: str, header: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
        """What the token says, and for how long its key may be believed."""
        kid, algorithm = header.get("kid"), header["alg"]
        keys, seconds = self.keys.current()
        claims = self._decode(token, keys.candidates(kid, algorithm))
        if claims is None and kid not in keys.named:
            keys, seconds = self.keys.after_unknown(keys)
            claims = self._decode(token, keys.candidates(kid, algorithm))
        if claims is None:
            raise InvalidToken("The token is not signed by the provider.")
        return claims, seconds

    def _decode(self, token: str, candidates: Sequence[PublicKey]) -> dict[str, Any] | None:
        for key in candidates:
            try:
                return jwt.decode(token, key, registry=self.registry).claims
            except _MALFORMED:
                continue
        return None


def grant_of(claims: Mapping[str, Any], seconds: float) -> Grant:
    """Who a valid token stands for and what it allows, by its claims."""
    client = _name(claims.get("client_id")) or _name(claims.get("azp"))
    scope = claims.get("scope")
    return Grant(
        subject=_name(claims.get("sub")) or client,
        client=client,
        scopes=frozenset(scope.split()) if isinstance(scope, str) else frozenset(),
        seconds=seconds,
    )


def _left(expires: float, now: float, most: float) -> float:
    """Seconds until then; compared first, for an integer can be too large to subtract from."""
    return most if expires > now + most else expires - now


def _name(claim: object) -> str:
    return claim[:_MOST_NAME] if isinstance(claim, str) else ""


def claims_registry(
    issuer: str, audience: str, now: Callable[[], float] = time.time
) -> jwt.JWTClaimsRegistry:
    """The rules for the claims: present where they must be, and right."""
    bare = issuer.rstrip("/")
    return jwt.JWTClaimsRegistry(
        now=lambda: int(now()),
        leeway=LEEWAY,
        iss={"essential": True, "values": [bare, f"{bare}/"]},
        aud={"essential": True, "value": audience},
        exp={"essential": True},
    )


def algorithm_registry(algorithms: Sequence[str]) -> JWSRegistry:
    """The algorithms that are taken. Headers that nobody knows are fine, unless they are critical."""
    assert algorithms, "joserfc takes an empty list for every algorithm"
    registry = JWSRegistry(algorithms=list(algorithms), strict_check_header=False)
    registry.max_header_length = MOST_CHARACTERS
    registry.max_payload_length = MOST_CHARACTERS
    return registry


def jwt_verifier(settings: Settings) -> JwtVerifier:
    """The verifier that the settings ask for."""
    assert settings.oauth2_url is not None
    assert settings.oauth2_audience is not None
    base = settings.oauth2_url.rstrip("/")
    endpoint = Endpoint(settings.oauth2_jwks_url or f"{base}/.well-known/jwks.json")
    return JwtVerifier(
        ProviderKeys(lambda: fetch_key_set(endpoint)),
        algorithm_registry(settings.oauth2_algorithms),
        claims_registry(base, settings.oauth2_audience),
    )


def fetch_key_set(endpoint: Endpoint) -> object:
    """The provider's key set document.

    :raises Unavailable: there is none to be had now.
    """
    status, document = endpoint.ask("GET")
    if status != 200:
        raise endpoint.unavailable(f"answers {status}")
    return document

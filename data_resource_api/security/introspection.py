"""Tokens that say nothing by themselves: the provider is asked about each, and the answer kept shortly."""

from __future__ import annotations

import math
import time as clock
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote_plus

from data_resource_api.security.fetch import Endpoint
from data_resource_api.security.grants import Grant, InvalidToken
from data_resource_api.security.jwt_tokens import LEEWAY, grant_of
from data_resource_api.settings import Settings

#: Seconds for which an answer is believed: after them, a token that was revoked stops working.
GRANT_SECONDS: Final = 60.0
REFUSAL_SECONDS: Final = 10.0


#: Whether an answer (RFC 7662, section 2.2) fulfils a rule.
Rule = Callable[["IntrospectionVerifier", Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class IntrospectionVerifier:
    """Asks by RFC 7662.

    :ivar credentials: the client's id and secret.
    :ivar audience: what the token must be issued for, where that is to be checked.
    :ivar now: the time, in seconds since 1970.
    :ivar rules: what the answer must fulfil.
    """

    endpoint: Endpoint
    credentials: tuple[str, str]
    issuer: str
    audience: str | None
    now: Callable[[], float] = clock.time
    rules: Mapping[str, Rule] = field(default_factory=lambda: RULES)

    def verify(self, token: str) -> Grant:
        """What the token grants; see :class:`~data_resource_api.security.TokenVerifier`."""
        # RFC 6749, section 2.3.1: both are form-encoded before they become user and password.
        user, password = (quote_plus(part) for part in self.credentials)
        form = {"token": token, "token_type_hint": "access_token"}
        status, claims = self.endpoint.ask("POST", form=form, auth=(user, password))
        if status != 200 or not isinstance(claims, Mapping):
            client = status in (401, 403)
            remedy = ": see OAUTH2_CLIENT_ID and OAUTH2_CLIENT_SECRET" if client else ""
            raise self.endpoint.unavailable(f"answers {status}{remedy}")
        if not all(holds(self, claims) for holds in self.rules.values()):
            raise InvalidToken("The token is not valid here.", REFUSAL_SECONDS)
        expires = claims.get("exp")
        left = GRANT_SECONDS if expires is None else float(expires) - self.now()
        return grant_of(claims, min(GRANT_SECONDS, left))


def _is_time(stated: object, holds: Callable[[float], bool]) -> bool:
    """Whether it holds for this time, where one is stated; what is not a time never does."""
    if stated is None:
        return True
    if isinstance(stated, bool) or not isinstance(stated, (int, Decimal)):
        return False
    time = float(stated)
    return math.isfinite(time) and holds(time)


def _list(stated: object) -> list[object]:
    return stated if isinstance(stated, list) else [stated]


#: What an answer must fulfil, by the member that tells it. Only ``active`` is always there.
RULES: Final[Mapping[str, Rule]] = {
    "active": lambda _, claims: claims.get("active") is True,  # the text "false" is true, too
    "exp": lambda it, claims: _is_time(claims.get("exp"), lambda time: it.now() < time + LEEWAY),
    "nbf": lambda it, claims: _is_time(claims.get("nbf"), lambda time: time <= it.now() + LEEWAY),
    "iss": lambda it, claims: claims.get("iss", it.issuer) in (it.issuer, f"{it.issuer}/"),
    "aud": lambda it, claims: it.audience is None or it.audience in _list(claims.get("aud")),
    # A refresh token is no access token, and a token bound to a key is no bearer token.
    "token_type": lambda _, claims: (
        str(claims.get("token_type", "Bearer")).lower() in ("bearer", "access_token")
    ),
}


@dataclass(frozen=True, slots=True)
class BrightHiveVerifier:
    """Asks BrightHive's own way: it tells whether a token is valid, and nothing else."""

    endpoint: Endpoint

    def verify(self, token: str) -> Grant:
        """What the token grants; see :class:`~data_resource_api.security.TokenVerifier`."""
        status, answer = self.endpoint.ask("POST", body={"token": token})
        messages = answer.get("messages") if isinstance(answer, Mapping) else None
        valid = messages.get("valid") if isinstance(messages, Mapping) else None
        if status == 200 and valid is True:
            return Grant(seconds=GRANT_SECONDS)
        if valid is not False and status not in (400, 401, 403, 422):
            raise self.endpoint.unavailable(f"answers {status} and not whether a token is valid")
        raise InvalidToken("The token is not valid here.", REFUSAL_SECONDS)


def introspection_verifier(settings: Settings) -> IntrospectionVerifier:
    """The verifier that the settings ask for."""
    assert settings.oauth2_url is not None
    assert settings.oauth2_client_id is not None
    assert settings.oauth2_client_secret is not None
    base = settings.oauth2_url.rstrip("/")
    return IntrospectionVerifier(
        Endpoint(settings.oauth2_introspection_url or f"{base}/oauth/introspect"),
        (settings.oauth2_client_id, settings.oauth2_client_secret),
        base,
        settings.oauth2_audience,
    )


def brighthive_verifier(settings: Settings) -> BrightHiveVerifier:
    """The verifier that the settings ask for."""
    assert settings.oauth2_url is not None
    return BrightHiveVerifier(Endpoint(f"{settings.oauth2_url.rstrip('/')}/oauth/validate"))

"""Bearer tokens (RFC 6750): ``Authorization`` → grant → may it do this?

authlib's resource protector reads the header and drives the check; what a token is worth, a provider's
verifier says. Only a PRODUCTION service imports this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from authlib.oauth2.rfc6749 import (
    MissingAuthorizationError,
    ResourceProtector,
    UnsupportedTokenTypeError,
)
from authlib.oauth2.rfc6750 import BearerTokenValidator

from data_resource_api.compiler.security import Security
from data_resource_api.errors import REALM, InsufficientScope, Unauthorized
from data_resource_api.security.grants import Grant, InvalidToken, TokenVerifier

#: The longest token that is looked at, in characters.
MOST_CHARACTERS: Final = 16 * 1024

#: RFC 6750, section 2.1: ``b64token``.
_TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")


@dataclass(frozen=True, slots=True)
class _Request:
    """A WSGI request as authlib wants to see one."""

    environ: dict[str, Any]

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Authorization": self.environ.get("HTTP_AUTHORIZATION", "")}


class _Validator(BearerTokenValidator):  # type: ignore[misc]
    """Asks the verifier, and compares scopes.

    authlib's own comparison refuses a token without scopes even where an alternative asks for none.
    """

    def __init__(self, verifier: TokenVerifier) -> None:
        super().__init__(realm=REALM)
        self._verifier = verifier

    def authenticate_token(self, token_string: str) -> Grant:
        if len(token_string) > MOST_CHARACTERS or not _TOKEN.fullmatch(token_string):
            raise InvalidToken("The token is malformed.")
        return self._verifier.verify(token_string)

    def validate_token(self, token: Grant, scopes: Security, request: _Request) -> None:
        if token.subject:
            request.environ["drg.subject"] = token.subject
        if token.client:
            request.environ["drg.client"] = token.client
        if not any(needed <= token.scopes for needed in scopes):
            raise InsufficientScope(scopes)


class BearerGuard:
    """Lets pass who has a token that allows it; see :class:`~data_resource_api.security.Guard`."""

    def __init__(self, verifier: TokenVerifier) -> None:
        self._protector = ResourceProtector()
        self._protector.register_token_validator(_Validator(verifier))

    def check(self, environ: Mapping[str, Any]) -> None:
        """Every client is served, with what its token allows."""

    def authorize(self, environ: dict[str, Any], security: Security) -> None:
        """Let pass what is public, and who has a token that allows it."""
        if not security:
            return
        try:
            self._protector.validate_request(security, _Request(environ))
        except (MissingAuthorizationError, UnsupportedTokenTypeError):
            raise Unauthorized from None
        except InvalidToken as refusal:
            raise Unauthorized(refusal.reason) from None

"""The guard that stands before every request, chosen by the settings."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol

from data_resource_api.compiler.security import Security
from data_resource_api.errors import ConfigurationError
from data_resource_api.security.loopback import Anyone, LoopbackOnly
from data_resource_api.security.providers import PROVIDERS, admin_security, provider_faults
from data_resource_api.settings import Settings

logger = logging.getLogger("data_resource_api")


class Guard(Protocol):
    """Decides about a request before anything else sees it."""

    def check(self, environ: Mapping[str, Any]) -> None:
        """Let a client be served at all.

        :raises Forbidden: it is not.
        """

    def authorize(self, environ: dict[str, Any], security: Security) -> None:
        """Let a client do what asks for ``security``, before its body is read.

        Notes in the WSGI environment who it is: ``drg.subject`` and ``drg.client``, where that is known.

        :raises Unauthorized: it has no usable token.
        :raises InsufficientScope: its token does not allow this.
        :raises Unavailable: the provider cannot be asked about it.
        """


def guard_for(settings: Settings) -> Guard:
    """The guard that the settings ask for.

    :raises ConfigurationError: with every fault of the settings for the provider.
    """
    faults = provider_faults(settings)
    if faults:
        raise ConfigurationError(*faults)
    if not settings.production:
        if settings.oauth2_provider is not None:
            logger.warning(
                "OAUTH2_PROVIDER is set, and APP_ENV=%s checks no tokens.", settings.app_env
            )
        return Anyone() if settings.allow_anonymous else LoopbackOnly()
    from data_resource_api.security.bearer import BearerGuard
    from data_resource_api.security.grants import RememberingVerifier

    assert settings.oauth2_provider is not None, "PRODUCTION has one"
    provider = PROVIDERS[settings.oauth2_provider]
    if not provider.tells_scopes and admin_security(settings) != (frozenset(),):
        logger.warning(
            "%s tells no scopes, so nobody has the one in OAUTH2_ADMIN_SCOPE: the administration routes "
            "are closed.",
            settings.oauth2_provider,
        )
    return BearerGuard(RememberingVerifier(provider.verifier(settings)))

"""What each route of the service's own asks of a client.

A route that is not in the table needs the administration scope: a new one is locked until somebody
opens it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from data_resource_api.compiler.security import ANY_TOKEN, PUBLIC, Security
from data_resource_api.security.providers import admin_security
from data_resource_api.settings import Settings


class Access(StrEnum):
    """Who may use a route."""

    ANYBODY = "anybody"
    READERS = "whoever may read the documentation: DRG_PUBLIC_DOCS"
    TOKEN = "any valid token"
    ADMINISTRATION = "the administration scope"


#: The routes that are not for the administration, by Flask's endpoint.
ROUTES: Final[Mapping[str, Access]] = {
    "admin.health": Access.ANYBODY,
    "admin.ready": Access.ANYBODY,
    "admin.live_document": Access.READERS,
    "pages.landing": Access.READERS,
    "pages.swagger_ui": Access.ANYBODY,
    "pages.swagger_ui_without_slash": Access.ANYBODY,
    "pages.asset": Access.ANYBODY,
}


class OwnRoutes:
    """The table, as the settings have it."""

    def __init__(self, settings: Settings) -> None:
        self._asks: Mapping[Access, Security] = {
            Access.ANYBODY: PUBLIC,
            Access.READERS: PUBLIC if settings.docs_are_public else ANY_TOKEN,
            Access.TOKEN: ANY_TOKEN,
            Access.ADMINISTRATION: admin_security(settings),
        }

    def asks(self, endpoint: str | None) -> Security:
        """What a route asks for.

        :param endpoint: ``None`` where there is no such route: only a valid token is told so.
        """
        access = Access.TOKEN if endpoint is None else ROUTES.get(endpoint, Access.ADMINISTRATION)
        return self._asks[access]

"""Every setting, as a frozen value read from environment variables once, at start-up.

``APP_ENV`` selects a configuration (see :mod:`data_resource_api.configurations`). Each field is one
variable, with its documentation; there is a module for each subject. ``docs/configuration.md`` shows
the same table, held by a test.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from data_resource_api.configurations import ConfigurationFactory
from data_resource_api.errors import ConfigurationError
from data_resource_api.settings.access import AccessSettings
from data_resource_api.settings.aws import AwsSettings
from data_resource_api.settings.database import DatabaseSettings
from data_resource_api.settings.deployment import DeploymentSettings
from data_resource_api.settings.limits import LimitSettings
from data_resource_api.settings.logs import LogSettings
from data_resource_api.settings.needs import unmet_needs
from data_resource_api.settings.reading import read_variables
from data_resource_api.settings.storage import StorageSettings

#: What ``drg generate`` sends; the service does not read it.
TOKEN_VARIABLE: Final = "DRG_TOKEN"
CLIENT_VARIABLES: Final = (TOKEN_VARIABLE, f"{TOKEN_VARIABLE}_FILE")


@dataclass(frozen=True, kw_only=True)
class Settings(  # a dataclass takes the fields of its last base first
    LogSettings,
    LimitSettings,
    AccessSettings,
    StorageSettings,
    AwsSettings,
    DatabaseSettings,
    DeploymentSettings,
):
    """What the service runs with. ``repr`` shows no secret."""

    @classmethod
    def from_environment(
        cls,
        environment: Mapping[str, str] | None = None,
        factory: ConfigurationFactory | None = None,
    ) -> Settings:
        """Read every variable.

        :param environment: the process's own by default.
        :param factory: what ``APP_ENV`` selects from; the documentation's three by default.
        :raises ConfigurationError: naming every variable that is wrong, and the remedy.
        """
        settings, _ = cls.with_origins(environment, factory)
        return settings

    @classmethod
    def with_origins(
        cls,
        environment: Mapping[str, str] | None = None,
        factory: ConfigurationFactory | None = None,
    ) -> tuple[Settings, Mapping[str, str]]:
        """Read every variable, and tell where each value came from.

        :returns: the settings; and field name → ``environment``, ``file PATH`` or ``configuration
            NAME``, without the fields that have their default.
        :raises ConfigurationError: naming every variable that is wrong, and the remedy.
        """
        stated = os.environ if environment is None else environment
        values, origins = read_variables(
            cls, stated, factory or ConfigurationFactory(), unread=CLIENT_VARIABLES
        )
        settings = cls(**values)
        settings.check()
        return settings, origins

    @property
    def docs_are_public(self) -> bool:
        """Whether the landing page and the OpenAPI document are for anybody."""
        return not self.production if self.public_docs is None else self.public_docs

    def check(self) -> None:
        """Refuse combinations that cannot be served.

        :raises ConfigurationError: naming every one.
        """
        errors = list(unmet_needs(self))
        if errors:
            raise ConfigurationError(*errors)

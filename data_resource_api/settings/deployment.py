"""Which configuration applies."""

from __future__ import annotations

from dataclasses import dataclass

from data_resource_api import configurations
from data_resource_api.configurations import Configuration
from data_resource_api.variables import variable


@dataclass(frozen=True, kw_only=True)
class DeploymentSettings:
    """What ``APP_ENV`` selects, and from which configurations."""

    app_env: Configuration = variable(
        configurations.SELECTOR,
        "Which configuration applies: TEST, LOCAL or PRODUCTION, in any case, or one of your own.",
        default=configurations.TEST,
    )
    own_configurations: str | None = variable(
        configurations.EXTENSION,
        "Configurations of your own, as module:name; see “Configurations of your own”.",
    )

    def __post_init__(self) -> None:
        """A name means the configuration of the documentation that is called so."""
        if isinstance(self.app_env, str):
            row = configurations.CONFIGURATIONS[self.app_env]
            object.__setattr__(self, "app_env", row)

    @property
    def production(self) -> bool:
        """Whether everything is locked by default."""
        return self.app_env.secured

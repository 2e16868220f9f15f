"""The configuration factory: ``APP_ENV`` selects a configuration, and a deployment can add its own.

A configuration is a row: a name, the rules that apply, and values for variables that the environment
does not set. ``DRG_CONFIGURATIONS=module:name`` names a list of further rows in a deployment's own
module; one with the name of a row here takes its place.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from data_resource_api.errors import ConfigurationError

#: The variable that selects one.
SELECTOR: Final = "APP_ENV"

#: The variable that names a deployment's own, as ``module:name``.
EXTENSION: Final = "DRG_CONFIGURATIONS"


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What one value of ``APP_ENV`` means.

    :ivar name: the value, in capitals.
    :ivar secured: every route needs a token by default, and a database must be named. True unless
        somebody says otherwise, so that a new configuration is never open by mistake.
    :ivar defaults: variable name → text, for variables that the environment does not set.
    """

    name: str
    secured: bool = True
    defaults: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    def __str__(self) -> str:
        return self.name

    def variables(self, environment: Mapping[str, str]) -> Mapping[str, str]:
        """What the environment's variables are completed with; the environment's own win.

        A subclass may look them up anywhere: this is called once, at the start.
        """
        return self.defaults


TEST: Final = Configuration(name="TEST", secured=False)
LOCAL: Final = Configuration(name="LOCAL", secured=False)
PRODUCTION: Final = Configuration(name="PRODUCTION")

#: APP_ENV → the configuration.
CONFIGURATIONS: Final[Mapping[str, Configuration]] = {
    configuration.name: configuration for configuration in (TEST, LOCAL, PRODUCTION)
}


@dataclass(frozen=True)
class ConfigurationFactory:
    """Selects a configuration by ``APP_ENV``.

    :ivar configurations: name → configuration; those of the documentation by default.
    """

    configurations: Mapping[str, Configuration] = field(
        default_factory=lambda: dict(CONFIGURATIONS)
    )

    def extended(self, further: Iterable[Configuration]) -> ConfigurationFactory:
        """A factory that has these too; one with a name that is taken takes its place."""
        added = {configuration.name.upper(): configuration for configuration in further}
        return ConfigurationFactory({**self.configurations, **added})

    def select(self, environment: Mapping[str, str]) -> Configuration:
        """The configuration that an environment asks for, TEST where it does not say.

        :raises ConfigurationError: there is none of this name, or what ``DRG_CONFIGURATIONS`` names
            cannot be used.
        """
        extension = environment.get(EXTENSION, "").strip()
        factory = self.extended(_imported(extension)) if extension else self
        name = environment.get(SELECTOR, "").strip() or TEST.name
        try:
            return factory.configurations[name.upper()]
        except KeyError:
            choices = ", ".join(factory.configurations)
            raise ConfigurationError(
                f"{SELECTOR} must be one of {choices}, not {name!r}."
            ) from None


def _imported(reference: str) -> list[Configuration]:
    """The configurations that ``module:name`` refers to."""
    remedy = "It must be like module:name, of a list of Configuration in a module on PYTHONPATH."
    module, _, name = reference.partition(":")
    try:
        found = list(getattr(importlib.import_module(module), name))
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{EXTENSION}={reference} cannot be used: {error}. {remedy}"
        ) from error
    strangers = [item for item in found if not isinstance(item, Configuration)]
    if strangers:
        kind = type(strangers[0]).__name__
        raise ConfigurationError(f"{EXTENSION}={reference} holds a {kind}. {remedy}")
    return found

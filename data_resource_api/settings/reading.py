"""Variables → the values of fields, and where each came from; every fault is found before one is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from data_resource_api import configurations
from data_resource_api.configurations import ConfigurationFactory
from data_resource_api.errors import ConfigurationError
from data_resource_api.variables import secret_text, warn_of_unknown

if TYPE_CHECKING:
    from data_resource_api.settings import Settings


def read_variables(
    kind: type[Settings],
    stated: Mapping[str, str],
    factory: ConfigurationFactory,
    unread: Iterable[str],
) -> tuple[dict[str, Any], Mapping[str, str]]:
    """The value of each field whose variable is set, by the environment or by the configuration.

    :param stated: the environment.
    :param unread: variables that are known, though no field has them.
    :returns: field name → value; field name → ``environment``, ``file PATH`` or ``configuration NAME``.
    :raises ConfigurationError: naming every variable that is wrong, and the remedy.
    """
    errors: list[str] = []
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    completed: Mapping[str, str] = {}
    fields = dataclasses.fields(kind)
    try:
        configuration = factory.select(stated)
        completed = configuration.variables(stated)
        values["app_env"] = configuration
    except ConfigurationError as error:
        errors += error.errors
    for field in fields:
        if field.name == "app_env":
            if stated.get(configurations.SELECTOR, "").strip():
                origins[field.name] = "environment"
            continue
        try:
            text, origin = _found(field, stated, completed)
            if text is not None:
                values[field.name] = field.metadata["parse"](text)
                origins[field.name] = origin.format(values.get("app_env"))
        except ConfigurationError as error:
            errors += error.errors
        except ValueError as error:
            shown = "" if field.metadata["secret"] else f", not {text!r}"
            errors.append(f"{field.metadata['name']} {error}{shown}.")
    warn_of_unknown(stated, {*_names(fields), *unread})
    if errors:
        raise ConfigurationError(*errors)
    return values, origins


def _found(
    field: dataclasses.Field[Any], stated: Mapping[str, str], completed: Mapping[str, str]
) -> tuple[str | None, str]:
    """A variable's text and where it comes from: the environment first, then the configuration."""
    name = field.metadata["name"]
    for source, origin in ((stated, "environment"), (completed, "configuration {}")):
        if not field.metadata["secret"]:
            text = source.get(name, "").strip() or None
            if text is None and field.metadata["empty"] and name in source:
                text = ""
        else:
            text = secret_text(source, name)
            file = source.get(f"{name}_FILE", "").strip()
            origin = f"file {file}" if file else origin
        if text is not None:
            return text, origin
    return None, ""


def _names(fields: Iterable[dataclasses.Field[Any]]) -> Iterable[str]:
    for field in fields:
        yield field.metadata["name"]
        if field.metadata["secret"]:
            yield f"{field.metadata['name']}_FILE"

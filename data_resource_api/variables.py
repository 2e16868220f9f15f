"""Secrets from environment variables, or from the files that they name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from data_resource_api.errors import ConfigurationError


def secret_text(environment: Mapping[str, str], name: str) -> str | None:
    """The secret ``name``: the variable's text, or what the file that ``name_FILE`` names holds.

    A final line break of the file is not part of the secret.

    :returns: ``None`` where neither is set, or what is there is empty.
    :raises ConfigurationError: both are set, or the file cannot be read.
    """
    text, file = environment.get(name, "").strip(), environment.get(f"{name}_FILE", "").strip()
    if not file:
        return text or None
    if text:
        raise ConfigurationError(f"{name} and {name}_FILE are both set; keep one of them.")
    try:
        return Path(file).read_text("utf-8").rstrip("\r\n") or None
    except OSError as error:
        raise ConfigurationError(
            f"{name}_FILE: {file} cannot be read: {error.strerror}."
        ) from error
    except UnicodeDecodeError:
        raise ConfigurationError(f"{name}_FILE: {file} is not UTF-8 text.") from None

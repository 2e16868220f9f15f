"""The keys in an environment variable: one, or a JSON list of several.

Any text is a key and means itself, as it does in the original, but for a JSON list of strings:
``["new", "old"]`` are two keys. The first encrypts, all decrypt. ``NAME_FILE`` names a file with the
same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from data_resource_api.errors import ConfigurationError
from data_resource_api.variables import secret_text

_KMS_KEY: Final = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]+:key/[A-Za-z0-9-]+")


def read_keys(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    """The keys of the variable ``name``, or of the file that ``name_FILE`` names.

    :returns: nothing where neither is set, or what is there is empty.
    :raises ConfigurationError: both are set, the file cannot be read, or the list is broken.
    """
    if environment.get(f"{name}_FILE", "").strip():
        text = secret_text(environment, name) or ""
    else:
        text = environment.get(name, "")  # spaces at its ends are part of a key of the original's
    if not text.strip():
        return ()
    if not re.match(r'\s*\[\s*"', text):
        return (text,)
    try:
        listed = json.loads(text)
    except ValueError:
        listed = None
    if not isinstance(listed, list) or not all(isinstance(key, str) and key for key in listed):
        raise ConfigurationError(
            f'{name} looks like a list of keys and is none; write ["new key", "old key"]. A single '
            'key that begins with [" is written as a list of one.'
        )
    return tuple(dict.fromkeys(listed))


def kms_key_fault(key: str) -> str | None:
    """Why a text cannot be used as the ARN of a KMS key, or ``None``."""
    if _KMS_KEY.fullmatch(key):
        return None
    if ":alias/" in key or key.startswith("alias/"):
        return (
            "is an alias of a KMS key. An alias can point to another key tomorrow, and nothing can be "
            "decrypted by it; give the key's own ARN (arn:aws:kms:REGION:ACCOUNT:key/ID)."
        )
    return "is not the ARN of a KMS key, like arn:aws:kms:REGION:ACCOUNT:key/ID."

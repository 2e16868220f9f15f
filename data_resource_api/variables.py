"""Environment variables: how the text of one becomes a value, and where secrets may be kept."""

from __future__ import annotations

import dataclasses
import difflib
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from data_resource_api.errors import ConfigurationError

logger = logging.getLogger("data_resource_api")


def variable(
    name: str,
    about: str,
    parse: Callable[[str], Any] = str,
    default: Any = None,
    secret: bool = False,
    empty: bool = False,
) -> Any:
    """A field of a dataclass that is read from the environment variable ``name``.

    :param secret: it is in no ``repr``, no error shows it, and ``name_FILE`` may name a file with it.
    :param empty: a variable that is set to nothing has the value ``""``; others count as not set.
    """
    metadata = {"name": name, "about": about, "parse": parse, "secret": secret, "empty": empty}
    return dataclasses.field(default=default, repr=not secret, metadata=metadata)


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


# ── parsers: text → value, or a ValueError that ends the sentence "NAME …" ───────────────────────


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """A parser of whole numbers in a range, both ends included."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def flag(text: str) -> bool:
    """1 or 0, and the usual words for them."""
    words = {
        "1": True,
        "true": True,
        "yes": True,
        "0": False,
        "false": False,
        "no": False,
        "": False,
    }
    if text.lower() not in words:
        raise ValueError("must be 1 or 0")
    return words[text.lower()]


def choice(*choices: str) -> Callable[[str], str]:
    """A parser of one of these words, in any case."""

    def parse(text: str) -> str:
        if text.upper() not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text.upper()

    return parse


def words(text: str) -> tuple[str, ...]:
    """Words separated by spaces or commas."""
    return tuple(text.replace(",", " ").split())


def one_word(text: str) -> str:
    """A name in a table that a deployment may add to; who owns the table knows which there are."""
    if not re.fullmatch(r"\w+", text):
        raise ValueError("must be one word")
    return text.upper()


def origins(text: str) -> tuple[str, ...]:
    """Origins as browsers write them (RFC 6454): in lower case, without a default port."""
    stated = words(text)
    for origin in stated:
        if origin == "*":
            raise ValueError("must name each origin: * would let every web page in")
        found = re.fullmatch(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", origin)
        if found is None or (origin[:5], found[2]) in (("https", ":443"), ("http:", ":80")):
            raise ValueError("must be origins like https://app.example.org, without a default port")
    return stated


# ── names that nothing reads ─────────────────────────────────────────────────────────────────────

#: Kubernetes describes every service of a namespace to every container; one called drg gives these.
_KUBERNETES: Final = re.compile(
    r"DRG_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_\w+)?)?)"
)


def warn_of_unknown(source: Iterable[str], known: Iterable[str]) -> None:
    """Log each ``DRG_`` name that is not known, with the nearest one that is."""
    known = sorted(known)
    for name in source:
        if not name.startswith("DRG_") or name in known or _KUBERNETES.fullmatch(name):
            continue
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        logger.warning("The environment variable %s is not known%s", name, hint)

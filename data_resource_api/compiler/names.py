"""Which names tables, fields and constraints may have."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from data_resource_api.compiler.faults import quote

#: PostgreSQL silently cuts longer identifiers.
MAX_IDENTIFIER_BYTES: Final = 63

#: First segments of the service's own routes, the envelope's second key, and what URLs normalise away.
RESERVED_NAMES: Final = frozenset(
    {"generator", "tableschema", "swagger", "ui", "static", "links", "-", ".", ".."}
)

_SYSTEM_COLUMNS: Final = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})


def table_name_fault(name: str) -> str | None:
    """Why a name (in lower case) cannot be a table's, or ``None``."""
    if name in RESERVED_NAMES:
        return f"{quote(name)} is reserved for the service's own routes."
    bad = sorted(
        {character for character in name if character in "/{}?#" or _is_control(character)}
    )
    if bad:
        return f"{quote(name)} holds {', '.join(map(repr, bad))}, which cannot stand in a path."
    return identifier_fault(name)


def field_name_fault(name: str) -> str | None:
    """Why a name cannot be a field's, or ``None``."""
    if name in _SYSTEM_COLUMNS:
        return f"{quote(name)} is the name of one of PostgreSQL's own columns."
    return identifier_fault(name)


def identifier_fault(name: str) -> str | None:
    """Why a name cannot be a PostgreSQL identifier, or ``None``."""
    if not name:
        return "must not be empty."
    if "\0" in name:
        return "holds the character U+0000."
    size = len(name.encode())
    if size > MAX_IDENTIFIER_BYTES:
        return (
            f"{quote(name)} has {size} bytes; PostgreSQL's names have at most "
            f"{MAX_IDENTIFIER_BYTES}."
        )
    return None


def _is_control(character: str) -> bool:
    return ord(character) < 32 or 127 <= ord(character) < 160


class ConstraintNames:
    """Gives names like ``uq_provider_ein`` to constraints and indexes, each only once.

    PostgreSQL keeps tables and the indexes of keys in one namespace. A name that is too long, or
    that a table or another constraint has, is told apart by a hash of what it stands for. The same
    document always gets the same names.
    """

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def new(self, kind: str, *parts: str) -> str:
        """``kind_part_part``, or a cut and marked form of it."""
        name = "_".join((kind, *parts))
        if len(name.encode()) > MAX_IDENTIFIER_BYTES or name in self._taken:
            mark = hashlib.sha256("\0".join((kind, *parts)).encode()).hexdigest()[:8]
            name = name.encode()[: MAX_IDENTIFIER_BYTES - 9].decode(errors="ignore") + f"_{mark}"
        self._taken.add(name)
        return name

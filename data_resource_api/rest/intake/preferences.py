"""``Prefer``: what a client would like to be done differently, and what was.

RFC 7240 <https://www.rfc-editor.org/rfc/rfc7240>. The preferences for writes are PostgREST's:
``resolution=merge-duplicates``, ``resolution=ignore-duplicates`` and ``tx=rollback``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from data_resource_api.compiler.faults import nearest, quote
from data_resource_api.errors import BadRequest


class Resolution(StrEnum):
    """What becomes of a row that is there already."""

    MERGE = "merge-duplicates"
    IGNORE = "ignore-duplicates"


@dataclass(frozen=True, slots=True)
class WritePreferences:
    """What a client prefers about a write.

    :ivar resolution: ``None`` where a row that is there already is an error.
    :ivar rollback: everything is checked, and nothing is changed.
    """

    resolution: Resolution | None = None
    rollback: bool = False

    @property
    def applied(self) -> dict[str, str]:
        """The answer's ``Preference-Applied``, where there is one."""
        named = [f"resolution={self.resolution}"] if self.resolution else []
        named += ["tx=rollback"] if self.rollback else []
        return {"Preference-Applied": ", ".join(named)} if named else {}


NO_PREFERENCES: Final = WritePreferences()


def stated_preferences(header: str) -> dict[str, str]:
    """The preferences of a ``Prefer``, by name in lower case; the first of a name counts."""
    stated: dict[str, str] = {}
    for item in header.split(","):
        name, _, value = item.partition(";")[0].partition("=")
        stated.setdefault(name.strip().lower(), value.strip().strip('"'))
    return stated


def write_preferences(header: str) -> WritePreferences:
    """What a ``Prefer`` says about a write; other preferences are not for us.

    :raises BadRequest: a resolution that is not known, where a guess would change the wrong rows.
    """
    if not header:
        return NO_PREFERENCES
    stated = stated_preferences(header)
    resolution = stated.get("resolution")
    if resolution is not None and resolution not in set(Resolution):
        known, near = " or ".join(Resolution), nearest(resolution, list(Resolution)) or "."
        raise BadRequest(
            "The Prefer header is wrong.",
            [f"resolution: must be {known}, not {quote(resolution)}{near}"],
        )
    return WritePreferences(
        Resolution(resolution) if resolution else None, stated.get("tx") == "rollback"
    )

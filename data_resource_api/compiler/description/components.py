"""``components`` of a document, filled with what is referred to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from data_resource_api.compiler.description.shared import SHARED

#: What the specification does not allow in a component's name.
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9._-]")


class Components:
    """The components of one document: those that it has, and those that are added to them.

    A component is made when it is first referred to. One that the document has already under that name
    stays as it is: where it says the same, it is referred to; where not, the new one gets another name.

    :param stated: the document's own ``components``.
    """

    def __init__(self, stated: Mapping[str, Any] | None = None) -> None:
        self._stated = dict(stated or {})
        self._added: dict[str, dict[str, Any]] = {}
        self._references: dict[tuple[str, str], dict[str, str]] = {}

    def refer(self, section: str, name: str, make: Callable[[], object]) -> dict[str, str]:
        """A Reference Object.

        :param section: ``schemas``, ``parameters`` …
        :param make: its value, made when it is needed first; it may refer to others.
        """
        found = self._references.get((section, name))
        if found is None:
            value = make()
            free = self._free_name(section, name, value)
            found = {"$ref": f"#/components/{section}/{free}"}
            self._references[section, name] = found
        return found

    def shared(self, section: str, name: str) -> dict[str, str]:
        """A reference to one of ``shared``."""
        return self.refer(section, name, lambda: self._made(SHARED[section][name]))

    def _made(self, value: Any) -> Any:
        """A shared component, whose own references lead to where those are in this document."""
        if isinstance(value, Mapping):
            reference = value.get("$ref")
            if isinstance(reference, str):
                _, _, section, name = reference.split("/")
                return self.shared(section, name)
            return {key: self._made(item) for key, item in value.items()}
        return [self._made(item) for item in value] if isinstance(value, list) else value

    def _free_name(self, section: str, name: str, value: object) -> str:
        stated = self._stated.get(section)
        taken = stated if isinstance(stated, Mapping) else {}
        added = self._added.setdefault(section, {})
        number = 1
        free = name
        while (free in taken and taken[free] != value) or free in added:
            number += 1
            free = f"{name}.{number}"
        if free not in taken:
            added[free] = value
        return free

    def document(self) -> dict[str, Any]:
        """All of them, the document's own first."""
        result = dict(self._stated)
        for section, added in self._added.items():
            if added:
                result[section] = {**self._stated.get(section, {}), **added}
        return result


def component_name(name: str) -> str:
    """A table's name as a component's, told apart by a hash where that changes it."""
    plain = re.sub(_FOREIGN, "_", name)
    if plain == name and "." not in name:
        return name
    return f"{plain}.{hashlib.sha256(name.encode()).hexdigest()[:8]}"

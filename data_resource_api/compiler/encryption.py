"""Protected fields: which encryption definition is in force for a field.

A definition is looked up by field name in the table's ``encryptionSchema``, then as ``*`` there, then
as ``*`` in the root's. A protected field without a usable one is refused at generation: its values
would otherwise be stored in clear, or under a key that nobody chose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from data_resource_api.compiler.faults import Faults, json_name, nearest, quote

#: Engine name (``type``) → what makes an engine from the key's text.
ENGINES: Final[Mapping[str, Callable[[str], Any]]] = {}


def find_definition(field: str, table: Mapping[str, Any], root: Mapping[str, Any]) -> object:
    """The definition in force for ``field``, or ``None``."""
    return table.get(field) or table.get("*") or root.get("*")


def check_definition(
    place: str,
    field: str,
    table: Mapping[str, Any],
    root: Mapping[str, Any],
    environment: Mapping[str, str],
    faults: Faults,
) -> None:
    """Note what makes the definition of a protected field unusable."""
    definition = find_definition(field, table, root)
    if definition is None:
        faults.add(
            place,
            f'is protected and no encryptionSchema covers it; define "{field}" or "*" in the '
            "table's encryptionSchema, or \"*\" in the root's.",
        )
        return
    if not isinstance(definition, Mapping):
        faults.add(
            place, f"its encryption definition must be an object, not {json_name(definition)}."
        )
        return
    engine, key = definition.get("type"), definition.get("key")
    if not isinstance(engine, str) or engine not in ENGINES:
        known = ", ".join(ENGINES) or "none in this version"
        faults.add(
            place,
            f"no encryption engine is called {quote(engine)}{nearest(engine, ENGINES) or '.'} "
            f"Known: {known}.",
        )
    if not isinstance(key, str) or not environment.get(key):
        faults.add(
            place,
            f"the environment variable {quote(key)} that should hold its key is not set.",
        )

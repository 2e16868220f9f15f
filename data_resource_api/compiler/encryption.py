"""Protected fields: which encryption definition is in force for a field, and what it makes of it.

A definition is looked up by field name in the table's ``encryptionSchema``, then as ``*`` there, then
as ``*`` in the root's. A protected field without a usable one is refused at generation: its values
would otherwise be stored in clear, or under a key that nobody chose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from data_resource_api.compiler.faults import Faults, json_name, nearest, quote
from data_resource_api.compiler.fields import Field
from data_resource_api.compiler.names import MAX_IDENTIFIER_BYTES
from data_resource_api.compiler.protection import Protection
from data_resource_api.encryption.blind_index import BlindIndex
from data_resource_api.encryption.engines import ENGINES, EngineType, Place
from data_resource_api.encryption.keys import read_keys
from data_resource_api.errors import ConfigurationError

_INDEX_SUFFIX: Final = "_blind_index"


def find_definition(field: str, table: Mapping[str, Any], root: Mapping[str, Any]) -> object:
    """The definition in force for ``field``, or ``None``."""
    return table.get(field) or table.get("*") or root.get("*")


def index_column_name(field: str) -> str:
    """The name of a field's blind index column; a long one is cut, and told apart by a hash."""
    name = field + _INDEX_SUFFIX
    if len(name.encode()) <= MAX_IDENTIFIER_BYTES:
        return name
    mark = f"_{hashlib.sha256(field.encode()).hexdigest()[:8]}{_INDEX_SUFFIX}"
    return field.encode()[: MAX_IDENTIFIER_BYTES - len(mark)].decode(errors="ignore") + mark


def protect(
    place: str,
    field: Field,
    table: str,
    definition: object,
    environment: Mapping[str, str],
    faults: Faults,
) -> Protection | None:
    """The protection of a field, or ``None`` and a note of every reason why it cannot be protected.

    :param place: of the field in the document; :param table: the table's name.
    :param definition: as :func:`find_definition` found it.
    """
    found = _engine_and_keys(place, field, definition, environment, faults)
    if found is None:
        return None
    engine, keys = found
    if field.searchable and not engine.local_key:
        faults.add(
            f"{place}.searchable",
            "needs a key that this service holds, and AWS KMS keeps its keys to itself; protect the "
            'field by AES_256_GCM, or leave "searchable" out.',
        )
        return None
    column = Place(table, str(field.name))
    return Protection(
        type_name=field.type.name,
        reader=field.reader,
        engine=engine.make(column, keys),
        index=BlindIndex(column, keys) if field.searchable else None,
        index_column=index_column_name(str(field.name)) if field.searchable else "",
    )


def _engine_and_keys(
    place: str,
    field: Field,
    definition: object,
    environment: Mapping[str, str],
    faults: Faults,
) -> tuple[EngineType, tuple[str, ...]] | None:
    if definition is None:
        faults.add(
            place,
            f'is protected and no encryptionSchema covers it; define "{field.name}" or "*" in the '
            "table's encryptionSchema, or \"*\" in the root's.",
        )
        return None
    if not isinstance(definition, Mapping):
        faults.add(
            place, f"its encryption definition must be an object, not {json_name(definition)}."
        )
        return None
    stated, variable = definition.get("type"), definition.get("key")
    engine = ENGINES.get(stated) if isinstance(stated, str) else None
    if engine is None:
        faults.add(
            place,
            f"no encryption engine is called {quote(stated)}{nearest(stated, ENGINES) or '.'} "
            f"Known: {', '.join(ENGINES)}.",
        )
    keys = _keys(place, variable, environment, faults)
    if engine is None or not keys:
        return None
    problems = {problem for key in keys if (problem := engine.key_fault(key))}
    for problem in sorted(problems):
        faults.add(place, f"the environment variable {quote(variable)} {problem}")
    return None if problems else (engine, keys)


def _keys(
    place: str, variable: object, environment: Mapping[str, str], faults: Faults
) -> tuple[str, ...]:
    try:
        keys = read_keys(environment, variable) if isinstance(variable, str) else ()
    except ConfigurationError as error:
        faults.add(place, f"its key cannot be read: {error}")
        return ()
    if not keys:
        faults.add(
            place,
            f"the environment variable {quote(variable)} that should hold its key is not set.",
        )
    return keys

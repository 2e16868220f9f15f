"""The document that is posted → ``Payload``: found, checked and addressed, not interpreted further."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from data_resource_api.compiler.faults import Faults, broken_rules, join, json_name, nearest, quote
from data_resource_api.compiler.names import table_name_fault
from data_resource_api.errors import InvalidDocument
from data_resource_api.json_text import digest

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

#: The name of the Data Resource Schema in a payload, and the name it used to have.
SCHEMA_KEYS: Final = ("data_resource_schema", "data_catalog")


@dataclass(frozen=True, slots=True)
class TableEntry:
    """One entry of ``data.dataDictionary``.

    :ivar name: in lower case, as every reference to it is compared.
    :ivar place: where the entry stands in the Data Resource Schema.
    :ivar descriptor: its Table Schema descriptor.
    :ivar encryption: the table's ``encryptionSchema``, beside or inside the descriptor.
    """

    name: str
    place: str
    document: Mapping[str, Any]
    descriptor: Mapping[str, Any]
    encryption: Mapping[str, Any]

    @property
    def title(self) -> str:
        """What people call the table."""
        return str(self.document.get("title") or self.descriptor.get("title") or self.name)

    @property
    def description(self) -> str:
        """A sentence or more about the table, or an empty string."""
        return str(self.document.get("description") or self.descriptor.get("description") or "")

    @property
    def is_local(self) -> bool:
        """Whether nothing is stated of how the table is spread over a Citus cluster."""
        return "distribution" not in self.document

    @property
    def distribution(self) -> object:
        """How the table is spread over a Citus cluster, as stated, if it is."""
        return self.document.get("distribution")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two tables in a many-to-many relationship, as the document writes them, in lower case."""

    place: str
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Payload:
    """A Data Resource Generation Payload.

    :ivar document: the whole of it, verbatim.
    :ivar schema: the Data Resource Schema inside.
    :ivar digest: SHA-256 of what determines the data resource, however it is formatted.
    """

    document: Mapping[str, Any]
    schema: Mapping[str, Any]
    entries: tuple[TableEntry, ...]
    pairs: tuple[Pair, ...]
    encryption: Mapping[str, Any]
    api: Mapping[str, Any]
    touch_database: bool
    ignore_validation: bool
    digest: str


def read_payload(document: object, faults: Faults) -> Payload:
    """Read a payload, noting every fault that can be told at this stage.

    :raises InvalidDocument: there is no Data Resource Schema to look into.
    """
    schema = find_schema(document)
    assert isinstance(document, Mapping)
    touch_database = document.get("touch_database", True)
    if not isinstance(touch_database, bool):
        faults.add("touch_database", f"must be true or false, not {json_name(touch_database)}.")
        touch_database = False
    data = _mapping(schema.get("data", {}), "data", faults)
    entries = tuple(_entries(data, faults))
    return Payload(
        document=document,
        schema=schema,
        entries=entries,
        pairs=tuple(_pairs(data, entries, faults)),
        encryption=_root_encryption(document, schema, data),
        api=read_api(schema, faults),
        touch_database=touch_database,
        ignore_validation="ignore_validation" in document,
        digest=payload_digest(document),
    )


def payload_digest(document: object) -> str:
    """SHA-256 of what determines a data resource; formatting and flags do not.

    :raises InvalidDocument: there is no Data Resource Schema in the document.
    """
    schema = find_schema(document)
    assert isinstance(document, Mapping)
    try:
        return digest({"schema": schema, "encryptionSchema": document.get("encryptionSchema")})
    except TypeError as error:
        raise InvalidDocument(f"The payload cannot be written as JSON: {error}.") from None


def find_schema(document: object) -> Mapping[str, Any]:
    """The Data Resource Schema inside a payload.

    :raises InvalidDocument: there is none.
    """
    if not isinstance(document, Mapping):
        raise InvalidDocument(f"The payload must be a JSON object, not {json_name(document)}.")
    for key in SCHEMA_KEYS:
        if key in document:
            schema = document[key]
            if not isinstance(schema, Mapping):
                raise InvalidDocument(f"{key} must be an object, not {json_name(schema)}.")
            return schema
    if "data" in document and "api" in document:
        raise InvalidDocument(
            "The payload is a bare Data Resource Schema; "
            'put it under the key "data_resource_schema".'
        )
    raise InvalidDocument('The payload has no "data_resource_schema".')


def check_payload(payload: Payload, faults: Faults) -> None:
    """Note where the Data Resource Schema breaks its JSON Schema, and nothing better was said."""
    validator = _validator("data-resource-generation-payload")
    faults.add_broken(broken_rules(validator, payload.schema))


def check_descriptor(descriptor: object, faults: Faults, base: str) -> None:
    """The same for a Table Schema descriptor alone, which stands at ``base``."""
    faults.add_broken(broken_rules(_validator("table-schema"), descriptor, base))


def _mapping(value: object, place: str, faults: Faults) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    faults.add(place, f"must be an object, not {json_name(value)}.")
    return {}


def _entries(data: Mapping[str, Any], faults: Faults) -> Iterator[TableEntry]:
    dictionary = data.get("dataDictionary")
    if not isinstance(dictionary, list) or not dictionary:
        faults.add("data.dataDictionary", "must be a list of at least one table.")
        return
    seen: dict[str, str] = {}
    for index, document in enumerate(dictionary):
        place = f"data.dataDictionary[{index}]"
        if not isinstance(document, Mapping):
            faults.add(place, f"must be an object, not {json_name(document)}.")
            continue
        name = document.get("name")
        if not isinstance(name, str):
            faults.add(f"{place}.name", f"must be a string, not {json_name(name)}.")
            continue
        name = name.lower()
        fault = table_name_fault(name)
        if fault is None and name in seen:
            fault = f"{quote(name)} is the name of {seen[name]} already (names are compared in lower case)."
        if fault is not None:
            faults.add(f"{place}.name", fault)
            continue
        seen[name] = place
        descriptor = _mapping(document.get("tableSchema", {}), f"{place}.tableSchema", faults)
        encryption = document.get("encryptionSchema") or descriptor.get("encryptionSchema") or {}
        distribution = document.get("distribution")
        if "distribution" in document and not isinstance(distribution, Mapping):
            faults.add(
                f"{place}.distribution", f"must be an object, not {json_name(distribution)}."
            )
            distribution = None
        yield TableEntry(
            name=name,
            place=place,
            document=document,
            descriptor=descriptor,
            encryption=_mapping(encryption, f"{place}.encryptionSchema", faults),
        )


def _pairs(
    data: Mapping[str, Any], entries: tuple[TableEntry, ...], faults: Faults
) -> Iterator[Pair]:
    """The pairs of ``data.relationships`` and of the entries, each once."""
    names = {entry.name for entry in entries}
    seen: set[frozenset[str]] = set()
    sources: list[tuple[str, object, str | None]] = [
        ("data.relationships", data.get("relationships", {}), None)
    ]
    sources += [
        (f"{entry.place}.relationships", entry.document.get("relationships", {}), entry.name)
        for entry in entries
    ]
    for base, relationships, owner in sources:
        pairs = _mapping(relationships, base, faults).get("manyToMany", [])
        place = f"{base}.manyToMany"
        if not isinstance(pairs, list):
            faults.add(place, f"must be a list, not {json_name(pairs)}.")
            continue
        for index, stated in enumerate(pairs):
            pair = [owner, stated] if owner is not None and isinstance(stated, str) else stated
            fault = _pair_fault(pair, names)
            if fault:
                faults.add(join(place, index), fault)
                continue
            left, right = (name.lower() for name in pair)
            if frozenset({left, right}) not in seen:
                seen.add(frozenset({left, right}))
                yield Pair(join(place, index), left, right)


def _pair_fault(pair: object, names: set[str]) -> str | None:
    if (
        not isinstance(pair, list)
        or len(pair) != 2
        or not all(isinstance(name, str) for name in pair)
    ):
        return 'must be a pair of table names like ["program", "credential"].'
    for name in pair:
        if name.lower() not in names:
            return f"no table is called {quote(name)}{nearest(name, names) or '.'}"
    return None


def _root_encryption(
    document: Mapping[str, Any], schema: Mapping[str, Any], data: Mapping[str, Any]
) -> Mapping[str, Any]:
    for holder in (data, schema, document):
        found = holder.get("encryptionSchema")
        if isinstance(found, Mapping) and found:
            return found
    return {}


def read_api(schema: Mapping[str, Any], faults: Faults) -> Mapping[str, Any]:
    """The OpenAPI document inside a Data Resource Schema; empty, and a fault, where there is none."""
    api = schema.get("api")
    spec = api.get("apiSpec") if isinstance(api, Mapping) else None
    if not isinstance(spec, Mapping):
        faults.add("api.apiSpec", f"must be an OpenAPI 3.0 document, not {json_name(spec)}.")
        return {}
    return spec


@functools.cache
def _validator(name: str) -> Validator:
    """A validator whose every ``$ref`` is in the package: nothing is ever fetched."""
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource

    documents = {
        stem: json.loads(
            resources.files(__package__).joinpath("schemas", f"{stem}.json").read_bytes()
        )
        for stem in ("table-schema", "data-resource-generation-payload")
    }
    registry: Registry[Any] = Registry().with_resources(
        (document["$id"], Resource.from_contents(document)) for document in documents.values()
    )
    return Draft202012Validator(documents[name], registry=registry)

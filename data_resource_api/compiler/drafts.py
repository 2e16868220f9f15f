"""Table Schema drafts: found and checked, to be described by ``GET /swagger``.

A draft is a data dictionary entry ``{"name", "tableSchema"}`` or the original's form
``{"tableschema": {"api": {"methods": […]}, "datastore": {"tablename", "schema"}}}``, whose inside is
what is stored; see ``compiler.methods`` for what ``methods`` say.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from data_resource_api.compiler.faults import Faults, join, json_name, nearest, quote
from data_resource_api.compiler.fields import Field, compile_field
from data_resource_api.compiler.methods import Access, read_methods
from data_resource_api.compiler.names import field_name_fault, table_name_fault
from data_resource_api.compiler.openapi import Kind
from data_resource_api.compiler.payload import check_descriptor
from data_resource_api.compiler.tables import is_generated, names_of


@dataclass(frozen=True, slots=True)
class DraftTable:
    """A draft, found and checked.

    :ivar related: names of tables in a many-to-many relationship with it, in lower case; its own where
        it is related to itself.
    :ivar methods: the verbs that its ``api.methods`` enable, and what they ask of their callers.
    """

    name: str
    entry: Mapping[str, Any]
    descriptor: Mapping[str, Any]
    related: tuple[str, ...]
    methods: Mapping[str, Access]

    @property
    def key(self) -> tuple[str, ...]:
        """The names of the primary key's fields; empty where there is none."""
        return names_of(self.descriptor.get("primaryKey"))

    @property
    def parents(self) -> tuple[str, ...]:
        """The names of the tables that its rows refer to, in lower case, each once."""
        stated = self.descriptor.get("foreignKeys")
        references = [
            item.get("reference") for item in (stated if isinstance(stated, list) else ())
        ]
        names = [
            reference["resource"].lower() or self.name
            for reference in references
            if isinstance(reference, Mapping) and isinstance(reference.get("resource"), str)
        ]
        return tuple(dict.fromkeys(names))

    @property
    def has_item(self) -> bool:
        """Whether a row has a path of its own."""
        return bool(self.key)

    @property
    def description(self) -> str:
        """A sentence or more about the table, or an empty string."""
        stated = self.entry.get("description") or self.descriptor.get("description")
        return stated if isinstance(stated, str) else ""

    @property
    def fields(self) -> Mapping[str, Field]:
        """Its fields, as a payload would have them."""
        fields: dict[str, Field] = {}
        for descriptor in self.descriptor["fields"]:
            name = descriptor["name"]
            generated = self.key == (name,) and is_generated(self.descriptor, descriptor)
            field = compile_field(
                descriptor, in_key=name in self.key, generated=generated, fault=_known
            )
            assert field is not None
            fields[name] = field
        return fields

    def access(self, kind: Kind, verb: str) -> Access | None:
        """What an operation asks of its callers, ``None`` where it is not enabled.

        A query is a POST that reads: it is only there where both are enabled, and asks what both ask.
        """
        wanted = (verb, "get") if kind is Kind.QUERY else (verb,)
        if any(name not in self.methods for name in wanted):
            return None
        return functools.reduce(operator.and_, (self.methods[name] for name in wanted))


def _known(inside: str, message: str) -> None:
    raise AssertionError(f"{inside}: {message}")  # a draft has been checked


def read_draft(document: object) -> DraftTable:
    """Check a draft.

    :raises InvalidDocument: with every Table Schema error and its place.
    """
    faults = Faults()
    draft = _find(document, faults)
    faults.raise_if_any("The draft")
    assert draft is not None
    return draft


def _find(document: object, faults: Faults) -> DraftTable | None:
    if not isinstance(document, Mapping):
        faults.add("", f"A draft must be a JSON object, not {json_name(document)}.")
        return None
    base, entry = "", document
    if isinstance(wrapped := document.get("tableschema"), Mapping):
        base, entry = "tableschema", wrapped
    methods = None
    name, descriptor, place = entry.get("name"), entry.get("tableSchema"), join(base, "tableSchema")
    if "datastore" in entry:
        datastore, place = entry["datastore"], join(base, "datastore", "schema")
        if not isinstance(datastore, Mapping):
            faults.add(join(base, "datastore"), f"must be an object, not {json_name(datastore)}.")
            return None
        name, descriptor = datastore.get("tablename"), datastore.get("schema")
        api = entry.get("api")
        if api is not None and not isinstance(api, Mapping):
            faults.add(join(base, "api"), f"must be an object, not {json_name(api)}.")
        methods = api.get("methods") if isinstance(api, Mapping) else None
    if not isinstance(name, str):
        faults.add("name", f"must be the table's name, a string, not {json_name(name)}.")
    elif fault := table_name_fault(name.lower()):
        faults.add("name", fault)
    if descriptor is None:
        faults.add(
            place, 'is missing; a draft is like {"name": …, "tableSchema": {"fields": […]}}.'
        )
        return None
    _check_fields(descriptor, place, faults)
    check_descriptor(descriptor, faults, place)
    access = read_methods(methods, faults, join(base, "api", "methods"))
    if faults:
        return None
    assert isinstance(name, str)
    assert isinstance(descriptor, Mapping)
    return DraftTable(name.lower(), entry, descriptor, tuple(_related(entry, name.lower())), access)


def _check_fields(descriptor: object, base: str, faults: Faults) -> None:
    fields = descriptor.get("fields") if isinstance(descriptor, Mapping) else None
    if not isinstance(fields, list) or not isinstance(descriptor, Mapping):
        return
    names: list[str] = []
    for index, field in enumerate(fields):
        name = field.get("name") if isinstance(field, Mapping) else None
        if not isinstance(name, str):
            continue

        def fault(inside: str, message: str, place: str = f"{base}.fields[{index}]") -> None:
            faults.add(f"{place}.{inside}" if inside else place, message)

        compile_field(field, in_key=False, generated=False, fault=fault)
        if problem := field_name_fault(name):
            fault("name", problem)
        elif name in names:
            fault("name", f"{quote(name)} is the name of another field already.")
        names.append(name)
    for name in names_of(descriptor.get("primaryKey")):
        if name not in names:
            hint = nearest(name, names) or "."
            faults.add(f"{base}.primaryKey", f"no field is called {quote(name)}{hint}")


def _related(entry: Mapping[str, Any], name: str) -> Iterator[str]:
    relationships = entry.get("relationships")
    pairs = relationships.get("manyToMany") if isinstance(relationships, Mapping) else None
    for pair in pairs if isinstance(pairs, list) else ():
        names = [pair] if isinstance(pair, str) else pair
        if isinstance(names, list) and all(isinstance(other, str) for other in names):
            lower = {other.lower() for other in names}
            yield from sorted(lower - {name}) or lower & {name}

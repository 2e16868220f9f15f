"""Every field as a parameter: which rows are asked for.

All of a table's are one parameter of the document, an object whose members are parameters of the URL
(``style: form``, ``explode: true``). So a form has one box for them and a client one argument, and each
list is not described with as many parameters as its table has fields.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, Final

from data_resource_api.compiler.description.components import Components
from data_resource_api.compiler.description.rows import DescribedTable, named
from data_resource_api.compiler.fields import Field

#: What the object is called in documents; no URL has it.
NAME: Final = "filter"

_EQUAL: Final = ("eq", "neq", "in", "is", "isdistinct")
_ORDERED: Final = (*_EQUAL, "gt", "gte", "lt", "lte")
_TEXTS: Final = (*_ORDERED, "like", "ilike", "match", "imatch", "fts", "plfts", "phfts", "wfts")

#: What values are compared by, for each kind of field.
OPERATORS: Final[Mapping[str, tuple[str, ...]]] = {
    "text": _TEXTS,
    "ordered": _ORDERED,
    "boolean": _EQUAL,
    "array": ("cs", "cd", "ov", "is"),
    "object": ("cs", "cd", "is"),
    "searchable": ("eq", "in"),
}

#: An example of each.
_EXAMPLES: Final[Mapping[str, str]] = {
    "text": "ilike.*smith*",
    "ordered": "gte.18",
    "boolean": "is.true",
    "array": 'cs.["a"]',
    "object": 'cs.{"a": 1}',
    "searchable": "eq.value",
}

#: The kinds of the types that are not compared as text.
_KINDS: Final[Mapping[str, str]] = {
    "integer": "ordered",
    "year": "ordered",
    "number": "ordered",
    "date": "ordered",
    "time": "ordered",
    "datetime": "ordered",
    "boolean": "boolean",
    "array": "array",
    "object": "object",
    "geojson": "object",
}

#: What a list's URL means as such; fields of these names are compared in ``and=(…)``.
_PARAMETERS: Final = frozenset(
    {"select", "order", "count", "and", "or", "not", "offset", "limit", "after", "before", "from"}
)

#: Names that stand in a parameter as they are; others stand in double quotes.
_PLAIN: Final = re.compile(r"\w[\w -]*")


def parameter(
    table: DescribedTable, components: Components, taken: Collection[str] = ()
) -> dict[str, str]:
    """The parameter that holds all of a table's.

    :param taken: the operation's own parameters, which fields cannot be compared by.
    """
    others = frozenset(taken) & table.fields.keys() - _PARAMETERS
    component = _component(table, others)

    def make() -> dict[str, Any]:
        return {
            "name": NAME,
            "in": "query",
            "description": "Fields and what their values are compared with, "
            'such as `{"name": "like.A*"}` for `?name=like.A*`.',
            "style": "form",
            "explode": True,
            "schema": compared(table, components, others),
            "example": {},
        }

    return components.refer("parameters", component, make)


def compared(
    table: DescribedTable, components: Components, others: Collection[str] = ()
) -> dict[str, str]:
    """The schema of its members, without these."""
    component = _component(table, others)

    def make() -> dict[str, Any]:
        properties = {
            _written(name): components.refer(
                "schemas", f"Compared.{kind}", partial(_comparison, kind)
            )
            for name, field in table.fields.items()
            if (kind := _kind(field)) and name not in _PARAMETERS and name not in others
        }
        return {
            "type": "object",
            "properties": named(properties),
            "additionalProperties": {"type": "string"},
        }

    return components.refer("schemas", component, make)


def _component(table: DescribedTable, others: Collection[str]) -> str:
    return ".".join([table.component, "filter", *(f"but.{name}" for name in sorted(others))])


def _comparison(kind: str) -> dict[str, str]:
    operators = ", ".join(f"`{name}`" for name in OPERATORS[kind])
    about = f"{operators}, each with `not.` before it; like `{_EXAMPLES[kind]}`."
    return {"type": "string", "description": about}


def _kind(field: Field) -> str:
    if field.protected:
        return "searchable" if field.searchable else ""
    return _KINDS.get(field.type.name, "text")


def _written(name: str) -> str:
    if _PLAIN.fullmatch(name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

"""``select`` and ``order``: which fields and embedded tables are in the answer, and in what order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from data_resource_api.compiler.faults import nearest, quote
from data_resource_api.rest.questions.bounds import DEEPEST_EMBED, Allowance
from data_resource_api.rest.questions.reading import GrammarError, Reader
from data_resource_api.rest.questions.syntax import Every, Order, Selected

#: ``!inner`` asks for rows that have one there; ``!left``, what happens anyway, can be said too.
_JOINS: Final = ("inner", "left")
#: The words behind a field to order by → what they mean for (descending, nulls first).
_WORDS: Final[dict[str, tuple[str, bool]]] = {
    "asc": ("direction", False),
    "desc": ("direction", True),
    "nullsfirst": ("nulls", True),
    "nullslast": ("nulls", False),
}
_WORD: Final = re.compile(r"[^.,()]*")


@dataclass(frozen=True, slots=True)
class Embedded:
    """An embedded table as ``select`` names it, before the parameters that speak of it are known."""

    relation: str
    select: tuple[Item, ...]
    alias: str = ""
    hint: str = ""
    inner: bool = False

    @property
    def name(self) -> str:
        """The name in the answer and in parameters."""
        return self.alias or self.relation


Item = Every | Selected | Embedded


def read_select(text: str, allowance: Allowance) -> tuple[Item, ...]:
    """``id,title:name,provider(name)``.

    :raises GrammarError: it is no list of fields and embedded tables.
    """
    reader = Reader(text)
    items = _items(reader, allowance, 0)
    reader.finish("a comma and another field are expected")
    return items


def _items(reader: Reader, allowance: Allowance, depth: int) -> tuple[Item, ...]:
    items = [_item(reader, allowance, depth)]
    while reader.took(","):
        items.append(_item(reader, allowance, depth))
    embedded: set[str] = set()
    for item in items:
        if isinstance(item, Embedded):
            if item.name in embedded:
                raise GrammarError(
                    f"{quote(item.name)} is embedded twice; give one of them another name, as "
                    f"other:{item.relation}(*)."
                )
            embedded.add(item.name)
    return tuple(items)


def _item(reader: Reader, allowance: Allowance, depth: int) -> Item:
    reader.skip_spaces()
    if reader.sees("..."):
        raise GrammarError("an embedded table cannot be spread with ...; leave the dots out.")
    if reader.took("*"):
        allowance.take("selected fields")
        reader.skip_spaces()
        return Every()
    name, alias = reader.name(), ""
    if reader.sees(":") and not reader.sees("::"):
        reader.took(":")
        name, alias = reader.name(), name
    if reader.sees("!") or reader.sees("("):
        return _embedded(reader, name, alias, allowance, depth)
    path = reader.steps(name)
    if reader.sees("::"):
        raise GrammarError(f"{quote(name)} cannot be cast with ::; it has the type of its field.")
    if reader.sees("."):
        raise reader.error(
            "a comma and another field are expected (a name with a dot stands in double quotes, and "
            "aggregate functions are not offered)"
        )
    allowance.take("selected fields")
    allowance.take("steps into JSON", len(path.steps))
    return Selected(path, alias)


def _embedded(reader: Reader, name: str, alias: str, allowance: Allowance, depth: int) -> Embedded:
    hint, join = "", ""
    while reader.took("!"):
        word = reader.name("inner, left, or the relation that is meant")
        if word in _JOINS and not join:
            join = word
        elif not hint:
            hint = word
        else:
            raise GrammarError(f"{quote(name)} takes one hint and one of !inner and !left.")
    if depth >= DEEPEST_EMBED:
        raise GrammarError(f"tables can be embedded {DEEPEST_EMBED} deep at most.")
    allowance.take("embedded tables")
    reader.take("(", f"the fields of {name} in parentheses are expected, as {name}(*)")
    reader.skip_spaces()
    items = () if reader.sees(")") else _items(reader, allowance, depth + 1)
    reader.take(")", "a comma or the closing parenthesis is expected")
    reader.skip_spaces()
    return Embedded(name, items, alias, hint, join == "inner")


def read_order(text: str, allowance: Allowance) -> tuple[Order, ...]:
    """``created.desc.nullslast,id,provider(name)``.

    :raises GrammarError: it is no list of fields with their directions.
    """
    reader = Reader(text)
    orders = [_order(reader, allowance)]
    while reader.took(","):
        orders.append(_order(reader, allowance))
    reader.finish("a comma and another field are expected")
    return tuple(orders)


def _order(reader: Reader, allowance: Allowance) -> Order:
    field, relation = reader.path(), ""
    if reader.took("("):
        if field.steps:
            raise reader.error("a relation's name is expected before the parenthesis")
        relation, field = field.name, reader.path()
        reader.take(")", "the closing parenthesis is expected")
        reader.skip_spaces()
    said: dict[str, bool] = {}
    while reader.took("."):
        found = reader.match(_WORD)
        word = found[0].strip() if found else ""
        if word not in _WORDS:
            remedy = nearest(word, _WORDS) or f"; it is one of {', '.join(_WORDS)}."
            raise GrammarError(f"{quote(word)} is not a direction{remedy}")
        what, meaning = _WORDS[word]
        if what in said or (what == "direction" and "nulls" in said):
            raise GrammarError(f"{quote(word)} cannot follow what stands before it.")
        said[what] = meaning
    allowance.take("fields to order by")
    allowance.take("steps into JSON", len(field.steps))
    return Order(field, said.get("direction", False), said.get("nulls"), relation)

"""``gte.18``, ``not.in.(1,2)``, ``(age.gte.18,or(a.eq.1,b.is.null))`` → conditions and groups of them."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from data_resource_api.compiler.faults import nearest, quote
from data_resource_api.rest.questions.bounds import DEEPEST_GROUP, Allowance
from data_resource_api.rest.questions.reading import GrammarError, Reader
from data_resource_api.rest.questions.syntax import (
    Condition,
    FieldPath,
    Filter,
    Group,
    Joined,
)

_OPERATOR: Final = re.compile(r"(not\.)?([^.()]*)(?:\(([^()]*)\))?\.")
#: The operators whose value is a list of values.
_LISTED: Final = frozenset({"in"})
#: How a group begins.
_GROUP: Final = re.compile(r" *(not\.)?(and|or)(?=\()")


def read_condition(
    field: FieldPath, text: str, operators: Collection[str], allowance: Allowance
) -> Condition:
    """What a parameter says of its field: ``gte.18``; the value is all that follows the operator.

    :raises GrammarError: it is not an operator and a value.
    """
    reader = Reader(text)
    condition = _comparison(reader, field, operators, allowance, in_group=False)
    reader.finish("nothing can follow a list")
    return condition


def read_group(
    joined: Joined, negated: bool, text: str, operators: Collection[str], allowance: Allowance
) -> Group:
    """What ``and=`` or ``or=`` says: ``(age.gte.18,not.or(a.eq.1,b.is.null))``.

    :raises GrammarError: it is not a list of conditions and groups.
    """
    reader = Reader(text)
    group = _group(reader, joined, negated, operators, allowance, 1)
    reader.finish("nothing can follow a group")
    return group


def _group(
    reader: Reader,
    joined: Joined,
    negated: bool,
    operators: Collection[str],
    allowance: Allowance,
    depth: int,
) -> Group:
    if depth > DEEPEST_GROUP:
        raise GrammarError(f"groups can stand in each other {DEEPEST_GROUP} deep at most.")
    reader.take("(", "conditions in parentheses are expected, as (age.gte.18,name.eq.x)")
    members: list[Filter] = []
    while not members or reader.took(","):
        inner = reader.match(_GROUP)
        if inner is None:
            members.append(_condition(reader, operators, allowance))
        else:
            kind = Joined(inner[2])
            members.append(_group(reader, kind, bool(inner[1]), operators, allowance, depth + 1))
        reader.skip_spaces()
    reader.take(")", "a comma or the closing parenthesis is expected")
    return Group(joined, tuple(members), negated)


def _condition(reader: Reader, operators: Collection[str], allowance: Allowance) -> Condition:
    field = reader.path()
    reader.take(".", "a dot and an operator are expected, as age.gte.18")
    return _comparison(reader, field, operators, allowance, in_group=True)


def _comparison(
    reader: Reader,
    field: FieldPath,
    operators: Collection[str],
    allowance: Allowance,
    *,
    in_group: bool,
) -> Condition:
    began = reader.place
    found = reader.match(_OPERATOR)
    if found is None:
        raise reader.error("an operator, a dot and a value are expected, as eq.18")
    operator = found[2]
    if operator not in operators:
        reader.place = began
        known = nearest(operator, operators)
        if not known and not in_group:
            raise reader.error("an operator, a dot and a value are expected, as eq.18")
        raise GrammarError(f"{quote(operator)} is not an operator{known or '.'}")
    allowance.take("conditions")
    allowance.take("steps into JSON", len(field.steps))
    value: str | tuple[str, ...]
    if operator in _LISTED and found[3] is None:
        value = reader.values()
    else:
        value = reader.value() if in_group else reader.rest()
    return Condition(field, operator, value, bool(found[1]), found[3] or "")

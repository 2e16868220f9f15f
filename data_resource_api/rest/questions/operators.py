"""The operators of questions: one row each, which the parser, the documentation and the tests read.

An operator does two things at different times: ``build`` makes its SQL, once per shape of a question, and
``bind`` makes the one value that this SQL takes of a client's text, each time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, REGCONFIG

from data_resource_api.compiler.faults import quote
from data_resource_api.compiler.fields import FieldError
from data_resource_api.json_text import read_json, write_json
from data_resource_api.rest.questions.operands import (
    Operand,
    Term,
    array_elements,
    array_literal,
    json_of,
    storable,
)


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator.

    :ivar label: what it finds, after "values that are".
    :ivar build: an operand, the value's parameter and the options give a SQL condition.
    :ivar bind: an operand, a client's text and the options give the value. A ``FieldError`` of either says
        why they do not fit.
    :ivar options: what it takes in parentheses; ``None`` means anything.
    """

    name: str
    label: str
    build: Callable[[Operand, Term, str], Term]
    bind: Callable[[Operand, Any, str], Any]
    options: tuple[str, ...] | None = ()


# ── comparisons ──────────────────────────────────────────────────────────────────────────────────

_QUANTITIES: Final[Mapping[str, Callable[[Any], Term]]] = {"any": sa.any_, "all": sa.all_}


def _compared(operator: str) -> Callable[[Operand, Term, str], Term]:
    def build(operand: Operand, value: Term, options: str) -> Term:
        right = _typed(operand.type, value, options)
        return operand.column.op(operator, is_comparison=True)(right)

    return build


def _typed(type_: sa.types.TypeEngine[Any] | None, value: Term, options: str) -> Term:
    """A value of a type, or any or all of an array of such values."""
    if options:
        many = value if type_ is None else sa.cast(value, ARRAY(type_))
        return _QUANTITIES[options](many)
    return value if type_ is None else sa.cast(value, type_)


def _bind(operand: Operand, text: str, options: str) -> Any:
    if not options:
        return operand.bind(text)
    return array_literal([operand.bind(element) for element in array_elements(text)])


def _in(operand: Operand, value: Term, _: str) -> Term:
    return operand.column == _typed(operand.type, value, "any")


def _bind_in(operand: Operand, values: Sequence[str], _: str) -> Any:
    return array_literal([operand.bind(value) for value in values])


def _distinct(operand: Operand, value: Term, _: str) -> Term:
    return operand.column.is_distinct_from(_typed(operand.type, value, ""))


#: ``is`` has no value: its word is part of the question's shape.
IS: Final[Mapping[str, Callable[[Term], Term]]] = {
    "null": lambda column: column.is_(None),
    "not_null": lambda column: column.is_not(None),
    "unknown": lambda column: column.is_(None),
    "true": lambda column: column.is_(sa.true()),
    "false": lambda column: column.is_(sa.false()),
}


def build_is(operand: Operand, text: str) -> Term:
    """The condition of ``is``.

    :raises FieldError: the word is none, or is about booleans and the field is none.
    """
    word = text.lower()
    if word not in IS:
        raise FieldError(f"is compared with {', '.join(IS)}, not {quote(text)}.")
    boolean = operand.field is not None and operand.field.type.column is sa.Boolean
    if word in ("true", "false", "unknown") and not boolean:
        raise FieldError(f"is not true or false, so is.{word} does not fit it.")
    return IS[word](operand.column)


# ── patterns ─────────────────────────────────────────────────────────────────────────────────────

#: Characters of a pattern.
_LONGEST_PATTERN: Final = 1_000
#: ``\1`` means what a group has matched: nothing can match such an expression in bounded time.
_BACK_REFERENCE: Final = re.compile(r"\\.", re.DOTALL)


def _matched(operator: str) -> Callable[[Operand, Term, str], Term]:
    def build(operand: Operand, value: Term, options: str) -> Term:
        right = _typed(sa.Text(), value, options)
        return operand.text.op(operator, is_comparison=True)(right)

    return build


def _bind_patterns(read: Callable[[str], str]) -> Callable[[Operand, Any, str], Any]:
    def bind(_: Operand, text: str, options: str) -> Any:
        if options:
            return array_literal([read(element) for element in array_elements(text)])
        return read(text)

    return bind


def _like_pattern(text: str) -> str:
    if len(text) > _LONGEST_PATTERN:
        raise FieldError(f"takes a pattern of {_LONGEST_PATTERN} characters at most.")
    return storable(text.replace("*", "%"))


def _regular_expression(text: str) -> str:
    if len(text) > _LONGEST_PATTERN:
        raise FieldError(f"takes a pattern of {_LONGEST_PATTERN} characters at most.")
    if any(found[0][1] in "123456789" for found in _BACK_REFERENCE.finditer(text)):
        raise FieldError(r"takes no regular expression that refers back, as \1 does.")
    return storable(text)


# ── arrays and objects ───────────────────────────────────────────────────────────────────────────


def _contained(operator: str) -> Callable[[Operand, Term, str], Term]:
    def build(operand: Operand, value: Term, _: str) -> Term:
        if not operand.json:
            raise FieldError("is neither an array nor an object, so nothing is contained in it.")
        return operand.column.op(operator, is_comparison=True)(sa.cast(value, JSONB))

    return build


def _bind_contained(operand: Operand, text: str, _: str) -> Any:
    return json_of(operand, text) if operand.json else None


def _overlapping(operand: Operand, value: Term, _: str) -> Term:
    if not operand.json:
        raise FieldError("is no array, so no elements can be in common.")
    is_array = sa.func.jsonb_typeof(operand.column) == sa.literal_column("'array'")
    any_of: Term = sa.any_(sa.cast(value, ARRAY(JSONB)))
    return sa.and_(is_array, operand.column.op("@>", is_comparison=True)(any_of))


def _bind_overlapping(operand: Operand, text: str, _: str) -> Any:
    if not operand.json:
        return None
    given = read_json(json_of(operand, text).encode())
    if not isinstance(given, list):
        raise FieldError(f"must be compared with an array like {{a,b}}, not {quote(text)}.")
    return array_literal([write_json([element]).decode() for element in given])


# ── full text search ─────────────────────────────────────────────────────────────────────────────


def _found(function: str) -> Callable[[Operand, Term, str], Term]:
    def build(operand: Operand, value: Term, options: str) -> Term:
        language = [sa.cast(sa.bindparam(None, storable(options)), REGCONFIG)] if options else []
        words = sa.func.to_tsvector(*language, operand.text)
        query = getattr(sa.func, function)(*language, sa.cast(value, sa.Text))
        return words.op("@@", is_comparison=True)(query)

    return build


def _bind_words(_: Operand, text: str, __: str) -> Any:
    return storable(text)


def _comparison(name: str, label: str, operator: str) -> Operator:
    return Operator(name, label, _compared(operator), _bind, ("any", "all"))


def _pattern(name: str, label: str, operator: str, read: Callable[[str], str]) -> Operator:
    return Operator(name, label, _matched(operator), _bind_patterns(read), ("any", "all"))


def _search(name: str, label: str, function: str) -> Operator:
    return Operator(name, label, _found(function), _bind_words, None)


OPERATORS: Final[Mapping[str, Operator]] = {
    row.name: row
    for row in (
        _comparison("eq", "equal", "="),
        _comparison("neq", "not equal", "!="),
        _comparison("gt", "greater", ">"),
        _comparison("gte", "greater or equal", ">="),
        _comparison("lt", "less", "<"),
        _comparison("lte", "less or equal", "<="),
        _pattern("like", "like a pattern", "LIKE", _like_pattern),
        _pattern("ilike", "like a pattern in any case", "ILIKE", _like_pattern),
        _pattern("match", "matched by a regular expression", "~", _regular_expression),
        _pattern(
            "imatch", "matched by a regular expression in any case", "~*", _regular_expression
        ),
        Operator("in", "one of a list", _in, _bind_in),
        Operator("is", "null, true, false or unknown", lambda *_: sa.true(), lambda *_: None),
        Operator("isdistinct", "not equal, null being a value like others", _distinct, _bind),
        Operator("cs", "containing", _contained("@>"), _bind_contained),
        Operator("cd", "contained in", _contained("<@"), _bind_contained),
        Operator("ov", "arrays with an element in common", _overlapping, _bind_overlapping),
        _search("fts", "found by a text search query", "to_tsquery"),
        _search("plfts", "found by these words", "plainto_tsquery"),
        _search("phfts", "found by this phrase", "phraseto_tsquery"),
        _search("wfts", "found as on the web", "websearch_to_tsquery"),
    )
}

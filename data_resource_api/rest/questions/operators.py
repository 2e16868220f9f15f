"""The operators of questions: one row each, which the parser, the documentation and the tests read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, REGCONFIG

from data_resource_api.compiler.faults import quote
from data_resource_api.compiler.fields import Field, FieldError
from data_resource_api.errors import BadRequest
from data_resource_api.json_text import read_json, write_json

Term = sa.ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class Operand:
    """What is compared.

    :ivar field: whose values these are; ``None`` for a place inside a JSON field.
    :ivar json: the column is JSONB.
    :ivar parameter: makes a parameter of a value.
    """

    column: Term
    field: Field | None
    json: bool
    parameter: Callable[[Any], Term]

    def value(self, text: str) -> Term:
        """A value of this operand's type.

        :raises FieldError: the text is none.
        """
        if self.json:
            return sa.cast(self.parameter(json_text(text)), JSONB)
        if self.field is None:
            return sa.cast(self.parameter(text), sa.Text)
        bound = self.parameter(self.field.bind_any(text))
        # A column of text may really be an enum of an adopted database, which is compared with no text.
        kind = self.field.type.column
        return bound if kind is sa.Text else sa.cast(bound, self.column.type)

    @property
    def text(self) -> Term:
        """The operand as text."""
        return sa.cast(self.column, sa.Text)


Build = Callable[[Operand, Any, str], Term]


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator.

    :ivar label: what it finds, after "values that are".
    :ivar build: an operand, a value and options give a SQL condition; a ``FieldError`` says why not.
    :ivar options: it takes something in parentheses.
    """

    name: str
    label: str
    build: Build
    options: bool = False


def json_text(text: str) -> str:
    """A JSON text as it came, once it is known to be one.

    :raises FieldError: it is none.
    """
    try:
        read_json(text.encode())
    except BadRequest:
        raise FieldError(f"must be compared with JSON, not {quote(text)}.") from None
    return text


# ── comparisons ──────────────────────────────────────────────────────────────────────────────────


def _comparison(compare: Callable[[Any, Any], Any]) -> Build:
    def build(operand: Operand, text: str, options: str) -> Term:
        if not options:
            return compare(operand.column, operand.value(text))  # type: ignore[no-any-return]
        if options not in ("any", "all"):
            raise FieldError(f"takes (any) or (all), not ({options}).")
        joined = sa.or_ if options == "any" else sa.and_
        values = array_elements(text)
        if not values:
            return sa.false() if options == "any" else sa.true()
        return joined(*(compare(operand.column, operand.value(value)) for value in values))

    return build


def _like(operator: str, *, pattern: bool) -> Build:
    def build(operand: Operand, text: str, options: str) -> Term:
        def one(value: str) -> Term:
            given = value.replace("*", "%") if pattern else value
            return operand.text.op(operator, is_comparison=True)(
                sa.cast(operand.parameter(given), sa.Text)
            )

        if not options:
            return one(text)
        if options not in ("any", "all"):
            raise FieldError(f"takes (any) or (all), not ({options}).")
        terms = [one(value) for value in array_elements(text)]
        if not terms:
            return sa.false() if options == "any" else sa.true()
        return (sa.or_ if options == "any" else sa.and_)(*terms)

    return build


def _in(operand: Operand, values: tuple[str, ...], _: str) -> Term:
    if not values:
        return sa.false()
    return operand.column.in_([operand.value(value) for value in values])


_IS: Final[Mapping[str, Callable[[Term], Term]]] = {
    "null": lambda column: column.is_(None),
    "not_null": lambda column: column.is_not(None),
    "unknown": lambda column: column.is_(None),
    "true": lambda column: column.is_(sa.true()),
    "false": lambda column: column.is_(sa.false()),
}


def _is(operand: Operand, text: str, _: str) -> Term:
    word = text.lower()
    if word not in _IS:
        raise FieldError(f"is compared with {', '.join(_IS)}, not {quote(text)}.")
    field = operand.field
    boolean = field is not None and field.type.column is sa.Boolean
    if word in ("true", "false", "unknown") and not boolean:
        raise FieldError(f"is not true or false, so is.{word} does not fit it.")
    return _IS[word](operand.column)


# ── arrays and objects ───────────────────────────────────────────────────────────────────────────


def array_elements(text: str) -> list[str]:
    """The elements of an array literal, ``{a,"b,c"}``.

    :raises FieldError: it is none.
    """
    from data_resource_api.rest.questions.reading import GrammarError, Reader

    if not (text.startswith("{") and text.endswith("}")):
        raise FieldError(f"must be compared with an array like {{a,b}}, not {quote(text)}.")
    inner = text[1:-1]
    if not inner:
        return []
    try:
        return list(Reader(f"({inner})").values())
    except GrammarError:
        raise FieldError(
            f"must be compared with an array like {{a,b}}, not {quote(text)}."
        ) from None


def _json_of(operand: Operand, text: str) -> str:
    """What a JSON operand contains, as JSON: also written as an array literal."""
    if text == "{}" and operand.field is not None and operand.field.type.name == "array":
        return "[]"
    try:
        return json_text(text)
    except FieldError:
        if not text.startswith("{"):
            raise
    return write_json([_element(element) for element in array_elements(text)]).decode()


def _element(text: str) -> Any:
    """An element of an array literal, which has no types: a number where it looks like one."""
    try:
        value = read_json(text.encode())
    except BadRequest:
        return text
    return text if isinstance(value, (dict, list)) else value


def _contains(operator: str) -> Build:
    def build(operand: Operand, text: str, _: str) -> Term:
        if not operand.json:
            raise FieldError("is neither an array nor an object, so nothing is contained in it.")
        given = sa.cast(operand.parameter(_json_of(operand, text)), JSONB)
        return operand.column.op(operator, is_comparison=True)(given)

    return build


def _overlaps(operand: Operand, text: str, _: str) -> Term:
    if not operand.json:
        raise FieldError("is no array, so no elements can be in common.")
    given = read_json(_json_of(operand, text).encode())
    if not isinstance(given, list):
        raise FieldError(f"must be compared with an array like {{a,b}}, not {quote(text)}.")
    if not given:
        return sa.false()
    is_array = sa.func.jsonb_typeof(operand.column) == sa.literal_column("'array'")
    holds = [
        operand.column.op("@>", is_comparison=True)(
            sa.cast(operand.parameter(write_json([element]).decode()), JSONB)
        )
        for element in given
    ]
    return sa.and_(is_array, sa.or_(*holds))


# ── full text search ─────────────────────────────────────────────────────────────────────────────


def _search(function: str) -> Build:
    def build(operand: Operand, text: str, options: str) -> Term:
        language = [sa.cast(operand.parameter(options), REGCONFIG)] if options else []
        words = sa.func.to_tsvector(*language, operand.text)
        query = getattr(sa.func, function)(*language, sa.cast(operand.parameter(text), sa.Text))
        return words.op("@@", is_comparison=True)(query)

    return build


OPERATORS: Final[Mapping[str, Operator]] = {
    row.name: row
    for row in (
        Operator("eq", "equal", _comparison(lambda a, b: a == b), options=True),
        Operator("neq", "not equal", _comparison(lambda a, b: a != b), options=True),
        Operator("gt", "greater", _comparison(lambda a, b: a > b), options=True),
        Operator("gte", "greater or equal", _comparison(lambda a, b: a >= b), options=True),
        Operator("lt", "less", _comparison(lambda a, b: a < b), options=True),
        Operator("lte", "less or equal", _comparison(lambda a, b: a <= b), options=True),
        Operator("like", "like a pattern", _like("LIKE", pattern=True), options=True),
        Operator("ilike", "like a pattern in any case", _like("ILIKE", pattern=True), options=True),
        Operator(
            "match", "matched by a regular expression", _like("~", pattern=False), options=True
        ),
        Operator(
            "imatch",
            "matched by a regular expression in any case",
            _like("~*", pattern=False),
            options=True,
        ),
        Operator("in", "one of a list", _in),
        Operator("is", "null, true, false or unknown", _is),
        Operator(
            "isdistinct",
            "not equal, null being a value like others",
            _comparison(lambda a, b: a.is_distinct_from(b)),
        ),
        Operator("cs", "containing", _contains("@>")),
        Operator("cd", "contained in", _contains("<@")),
        Operator("ov", "arrays with an element in common", _overlaps),
        Operator("fts", "found by a text search query", _search("to_tsquery"), options=True),
        Operator("plfts", "found by these words", _search("plainto_tsquery"), options=True),
        Operator("phfts", "found by this phrase", _search("phraseto_tsquery"), options=True),
        Operator("wfts", "found as on the web", _search("websearch_to_tsquery"), options=True),
    )
}

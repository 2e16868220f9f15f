"""Table Schema constraints as SQL: the ``CHECK`` of each, or the reason why only the API holds it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa

from data_resource_api.compiler.fields import Constraint, Field
from data_resource_api.compiler.patterns import postgresql_pattern


def _literal(field: Field, column: sa.Column[Any], native: Any) -> sa.ColumnElement[Any]:
    bound = field.type.bind(native)
    if isinstance(bound, bool):
        return sa.true() if bound else sa.false()
    if isinstance(bound, (int, Decimal)):
        return sa.literal_column(str(bound))
    text = sa.literal(bound, sa.Text())
    return text if isinstance(column.type, sa.Text) else sa.cast(text, column.type)


def _length(field: Field, column: sa.Column[Any]) -> sa.ColumnElement[Any] | None:
    match field.type.name:
        case "string":
            return sa.func.char_length(column)
        case "array":
            is_array = sa.func.jsonb_typeof(column) == sa.literal("array", sa.Text())
            return sa.case((is_array, sa.func.jsonb_array_length(column)))
        case _:
            return None


def _compare(
    field: Field, column: sa.Column[Any], value: Any, at_least: bool
) -> sa.ColumnElement[bool]:
    left = sa.collate(column, "C") if isinstance(column.type, sa.Text) else column
    right = _literal(field, column, value)
    return left >= right if at_least else left <= right


def _check_length(at_least: bool) -> Callable[..., sa.ColumnElement[bool] | None]:
    def check(field: Field, column: sa.Column[Any], value: int) -> sa.ColumnElement[bool] | None:
        length = _length(field, column)
        if length is None:
            return None
        bound: sa.ColumnClause[int] = sa.literal_column(str(value))
        return length >= bound if at_least else length <= bound

    return check


def _check_pattern(
    field: Field, column: sa.Column[Any], value: str
) -> sa.ColumnElement[bool] | None:
    pattern = postgresql_pattern(value)
    return None if pattern is None else column.op("~")(sa.literal(pattern, sa.Text()))


def _check_enum(
    field: Field, column: sa.Column[Any], values: Iterable[Any]
) -> sa.ColumnElement[bool]:
    return column.in_([_literal(field, column, value) for value in values])


_CHECKS: Final[Mapping[str, Callable[..., sa.ColumnElement[bool] | None]]] = {
    "minLength": _check_length(at_least=True),
    "maxLength": _check_length(at_least=False),
    "minimum": lambda field, column, value: _compare(field, column, value, True),
    "maximum": lambda field, column, value: _compare(field, column, value, False),
    "pattern": _check_pattern,
    "enum": _check_enum,
}


def check_expression(
    field: Field, column: sa.Column[Any], constraint: Constraint
) -> tuple[sa.ColumnElement[bool] | None, str]:
    """The constraint as SQL, or ``None`` and the reason why only the API can hold it."""
    if field.protected:
        return None, "the column is encrypted"
    check = _CHECKS[constraint.name](field, column, constraint.value)
    return check, f"PostgreSQL has no {constraint.name} of the same meaning for {field.type.name}"

"""How a protected field is compared: for equality and its opposite alone, by its blind index."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from data_resource_api.compiler.fields import Field, FieldError
from data_resource_api.rest.questions.operands import Term
from data_resource_api.rest.questions.syntax import Condition

#: The operators → what they are of the field's column, its blind index, and the array of all indexes that
#: the values looked for may be stored with (one under each key). A null has no index, so that a comparison
#: with it is null, as SQL has it.
SEALED_OPERATORS: Final[Mapping[str, Callable[[Term, Term, Term], Term]]] = {
    "eq": lambda _, index, given: index == sa.any_(given),
    "neq": lambda _, index, given: index != sa.all_(given),
    "in": lambda _, index, given: index == sa.any_(given),
    "isdistinct": lambda column, index, given: sa.or_(column.is_(None), index != sa.all_(given)),
}


def sealed_condition(
    each: Condition,
    field: Field,
    source: sa.FromClause,
    value: Callable[[Callable[[Any], Any]], Term],
) -> Term:
    """The condition on a protected field, but for its negation.

    :param value: makes the parameter of what a function gives for the client's text or texts.
    :raises FieldError: the field cannot be compared so.
    """
    if not field.searchable:
        raise FieldError("is protected and cannot be looked for.")
    assert field.protection is not None
    column: Term = source.c[field.name]
    if each.operator == "is" and each.value in ("null", "not_null"):
        return column.is_(None) if each.value == "null" else column.is_not(None)
    build = SEALED_OPERATORS.get(each.operator)
    if build is None or each.options:
        known = ", ".join(SEALED_OPERATORS)
        raise FieldError(f"is protected and can be compared by {known} and is.null alone.")

    def indexes(given: Any) -> list[bytes]:
        texts = (given,) if isinstance(given, str) else given
        return [index for text in texts for index in field.indexes(text)]

    index: Term = source.c[field.protection.index_column]
    return build(column, index, sa.cast(value(indexes), ARRAY(sa.LargeBinary)))

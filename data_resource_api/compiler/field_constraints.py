"""Table Schema constraints of one field, checked on the native value.

To add a constraint, add a row to ``CONSTRAINTS``. ``compiler.constraints`` says the same in SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from data_resource_api.compiler.faults import json_name, quote
from data_resource_api.compiler.field_types import FieldType
from data_resource_api.compiler.patterns import compile_pattern
from data_resource_api.compiler.readers import FieldError, Reader


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint of one field, on the native value.

    :ivar name: its name in Table Schema.
    :ivar value: its value, native (``minimum`` of a date is a ``date``).
    :ivar holds: native value → whether it holds.
    :ivar message: what the client is told.
    """

    name: str
    value: Any
    holds: Callable[[Any], bool]
    message: str


def _sized(value: Any) -> bool:
    return isinstance(value, (str, list, dict))


def _length(value: Any, field: FieldType, _: Reader) -> int:
    if not field.sized:
        raise FieldError(f"does not apply to {field.name}; it is for string, array and object.")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise FieldError(f"must be a whole number from 0 on, not {quote(value)}.")
    return value


def _bound(value: Any, field: FieldType, read: Reader) -> Any:
    if not field.ordered:
        raise FieldError(f"does not apply to {field.name}, which has no order.")
    return read(value)


def _pattern(value: Any, field: FieldType, _: Reader) -> str:
    if field.name not in ("string", "any"):
        raise FieldError(f"does not apply to {field.name}; it is for string.")
    if not isinstance(value, str):
        raise FieldError(f"must be a string, not {json_name(value)}.")
    if "\0" in value:
        raise FieldError("holds the character U+0000, which PostgreSQL cannot store.")
    try:
        compile_pattern(value)
    except ValueError as error:
        raise FieldError(
            f"{quote(value)} cannot be used: {error}. Patterns are RE2 (no look-around and no "
            "back-references), so that they run in linear time."
        ) from None
    return value


def _enum(value: Any, field: FieldType, read: Reader) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise FieldError("must be a list of at least one value.")
    return [read(item) for item in value]


@dataclass(frozen=True, slots=True)
class ConstraintType:
    """How a constraint is read from a descriptor and checked.

    :ivar read: (its JSON value, the field's type, the field's reader) → its native value.
    :ivar holds: its native value → the check.
    :ivar message: says what a value must be; ``{}`` is the constraint's JSON value.
    """

    read: Callable[[Any, FieldType, Reader], Any]
    holds: Callable[[Any], Callable[[Any], bool]]
    message: str


def _full_match(pattern: str) -> Callable[[Any], bool]:
    compiled = compile_pattern(pattern)
    return lambda text: compiled.fullmatch(text) is not None


CONSTRAINTS: Final[Mapping[str, ConstraintType]] = {
    "minLength": ConstraintType(
        _length,
        lambda least: lambda value: not _sized(value) or len(value) >= least,
        "must have a length of at least {}.",
    ),
    "maxLength": ConstraintType(
        _length,
        lambda most: lambda value: not _sized(value) or len(value) <= most,
        "must have a length of at most {}.",
    ),
    "minimum": ConstraintType(
        _bound, lambda least: lambda value: value >= least, "must be at least {}."
    ),
    "maximum": ConstraintType(
        _bound, lambda most: lambda value: value <= most, "must be at most {}."
    ),
    "pattern": ConstraintType(_pattern, _full_match, "must match the pattern {}."),
    "enum": ConstraintType(
        _enum, lambda choices: lambda value: value in choices, "must be one of {}."
    ),
}

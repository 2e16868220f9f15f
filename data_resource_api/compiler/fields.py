"""Field ↔ JSON: what comes in, what goes out, per Table Schema type.

A field reads a JSON value into a *native* value (``str``, ``int``, ``Decimal``, ``bool``, ``date``,
``time``, naive UTC ``datetime``, or parsed JSON), on which its constraints are checked, and binds
that to a statement. What PostgreSQL answers is shown as JSON again; columns that are not plain JSON
values arrive as PostgreSQL's text (see ``database.engine``), and leave digit for digit.

``compiler.readers`` and ``compiler.moments`` read, ``compiler.field_types`` is the table of types,
``compiler.field_constraints`` the table of constraints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_resource_api.compiler.faults import json_name, nearest, quote
from data_resource_api.compiler.field_constraints import CONSTRAINTS, Constraint
from data_resource_api.compiler.field_types import FIELD_TYPES, FieldType
from data_resource_api.compiler.protection import Protection
from data_resource_api.compiler.readers import (
    BIGINT_RANGE,
    Descriptor,
    FieldError,
    Reader,
    integer_range,
)
from data_resource_api.json_text import write_json


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a table, ready to read and show values.

    :ivar required: ``null`` is refused; a missing value too when a row is created.
    :ivar generated: PostgreSQL makes a value when none is given (an integer primary key).
    :ivar protection: how a protected field is encrypted.
    """

    name: str
    type: FieldType
    descriptor: Descriptor
    required: bool
    unique: bool
    generated: bool
    constraints: tuple[Constraint, ...]
    reader: Reader
    protection: Protection | None = None

    @property
    def protected(self) -> bool:
        """Whether the column is encrypted."""
        return self.descriptor.get("protected") is True

    @property
    def searchable(self) -> bool:
        """Whether an encrypted column has a blind index."""
        return self.protected and self.descriptor.get("searchable") is True

    @property
    def show(self) -> Callable[[Any], object] | None:
        """What psycopg2 hands back → what orjson writes; ``None`` where they are the same."""
        return self.type.show if self.protection is None else self.protection.show

    def read(self, value: object) -> Any:
        """A JSON value as the native value, constraints checked.

        :raises FieldError: the value is not one of this field.
        """
        if value is None:
            if self.required:
                raise FieldError("must not be null.")
            return None
        native = self._native(value)
        for constraint in self.constraints:
            if not constraint.holds(native):
                raise FieldError(constraint.message)
        return native

    def bind(self, value: object) -> Any:
        """A JSON value as what is handed to psycopg2."""
        native = self.read(value)
        if native is None:
            return None
        return self.type.bind(native) if self.protection is None else self.protection.seal(native)

    def bind_any(self, value: object) -> Any:
        """As :meth:`bind`, without the constraints: for a value that is looked for."""
        return None if value is None else self.type.bind(self.reader(value))

    def index(self, value: object) -> bytes | None:
        """The blind index that is stored with a value of a searchable field."""
        assert self.protection is not None
        return None if value is None else self.protection.index_of(self._native(value))

    def indexes(self, value: object) -> list[bytes]:
        """The blind indexes to look for a value by, one for each key, the first key's first.

        :raises FieldError: the value is not one of this field.
        """
        assert self.protection is not None
        return self.protection.indexes_of(self._native(value))

    def _native(self, value: object) -> Any:
        if not self.protected:
            return self.reader(value)
        try:
            return self.reader(value)
        except FieldError:
            raise FieldError(
                f"is not a valid {self.type.name}. The value is not repeated here, for the field is "
                "protected."
            ) from None


def compile_field(
    descriptor: Descriptor, *, in_key: bool, generated: bool, fault: Callable[[str, str], None]
) -> Field | None:
    """Compile a descriptor whose ``name`` is known to be a string.

    :param fault: called with the place inside the descriptor and what is wrong there.
    :returns: ``None`` when the type is not known.
    """
    name = descriptor["name"]
    type_name = descriptor.get("type", "string")
    if not isinstance(type_name, str) or type_name not in FIELD_TYPES:
        fault(
            "type",
            f"{quote(type_name)} is not a Table Schema type"
            f"{nearest(type_name, FIELD_TYPES) or '.'}",
        )
        return None
    type_ = FIELD_TYPES[type_name]
    stated = descriptor.get("constraints") or {}
    if not isinstance(stated, Mapping):
        fault("constraints", f"must be an object, not {json_name(stated)}.")
        stated = {}
    form = descriptor.get("format", "default")
    if not isinstance(form, str):
        fault("format", f"must be a string, not {json_name(form)}.")
        return None
    if type_.formats is not None and form not in type_.formats:
        known = ", ".join(type_.formats)
        fault(
            "format",
            f"{quote(form)} is not a format of {type_.name}"
            f"{nearest(form, type_.formats) or f'; it has {known}.'}",
        )
        return None
    if type_.check is not None:
        try:
            type_.check(descriptor)
        except FieldError as error:
            fault("format", str(error))
    try:
        reader = type_.reader(descriptor)
    except (TypeError, ValueError, AttributeError):
        fault("", "cannot be read; check its format and options.")
        return None
    constraints = []
    for constraint_name, rule in CONSTRAINTS.items():
        if constraint_name not in stated:
            continue
        stated_value = stated[constraint_name]
        try:
            native = rule.read(stated_value, type_, reader)
        except FieldError as error:
            fault(f"constraints.{constraint_name}", str(error))
            continue
        message = rule.message.format(_shown(stated_value))
        constraints.append(Constraint(constraint_name, native, rule.holds(native), message))
    return Field(
        name=name,
        type=type_,
        descriptor=descriptor,
        required=(stated.get("required") is True or in_key) and not generated,
        unique=stated.get("unique") is True,
        generated=generated,
        constraints=tuple(constraints),
        reader=reader,
    )


def _shown(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_shown(item) for item in value)
    return value if isinstance(value, str) else write_json(value).decode()


__all__ = [
    "BIGINT_RANGE",
    "CONSTRAINTS",
    "FIELD_TYPES",
    "Constraint",
    "Field",
    "FieldError",
    "FieldType",
    "compile_field",
    "integer_range",
]

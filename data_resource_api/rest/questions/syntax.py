"""What a client asks, as text says it: parsed, and not yet compared with any table.

``questions.grammar`` makes these values of a query string or of the body of ``POST /{table}/query``;
``questions.resolving`` gives their names a meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A field, or a place inside a JSON field: ``address->geo->>lat``, ``tags->0``.

    :ivar steps: keys and indexes below the field; empty for the field itself.
    :ivar as_text: the last arrow was ``->>``, so that the value is compared as text.
    """

    name: str
    steps: tuple[str | int, ...] = ()
    as_text: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison: ``age=gte.18``, ``or=(age.not.lt.18)``, ``id=in.(1,2)``.

    :ivar operator: as written (``eq``, ``ilike``, ``in``, ``fts`` …), known to be an operator.
    :ivar options: what stands in parentheses behind it, as ``english`` of ``fts(english)``.
    :ivar value: the text behind the operator; for ``in`` its list, unquoted.
    """

    field: FieldPath
    operator: str
    value: str | tuple[str, ...]
    negated: bool = False
    options: str = ""


class Joined(StrEnum):
    """How the members of a group belong together."""

    AND = "and"
    OR = "or"


@dataclass(frozen=True, slots=True)
class Group:
    """``or=(…)``, ``and=(…)``, ``not.or=(…)``; they nest."""

    joined: Joined
    members: tuple[Condition | Group, ...]
    negated: bool = False


Filter = Condition | Group


@dataclass(frozen=True, slots=True)
class Order:
    """``created.desc.nullslast``.

    :ivar relation: a relation to one row whose field orders these: ``provider(name).desc``.
    :ivar nulls_first: ``None`` where nothing is said: last when ascending, first when descending.
    """

    field: FieldPath
    descending: bool = False
    nulls_first: bool | None = None
    relation: str = ""


@dataclass(frozen=True, slots=True)
class Every:
    """``*``: every field of the table."""


@dataclass(frozen=True, slots=True)
class Selected:
    """``name``, ``title:name``, ``lat:address->geo->>lat``.

    :ivar alias: the name in the answer, or an empty string for the field's own (for a JSON path, its last
        key).
    """

    field: FieldPath
    alias: str = ""


@dataclass(frozen=True, slots=True)
class Embed:
    """``provider(name)``, ``payer:provider!billing_id(name)``, ``enrolments!inner(*)``.

    :ivar relation: a table's name, or a foreign key's field.
    :ivar hint: which of several relations is meant: the field or the name of a foreign key, or an
        association's name.
    :ivar inner: only rows that have a row there (``!inner``).
    :ivar question: what is asked of the embedded rows: its ``select`` from the parentheses, the rest from
        parameters such as ``enrolments.order``.
    """

    relation: str
    question: Question
    alias: str = ""
    hint: str = ""
    inner: bool = False

    @property
    def name(self) -> str:
        """The name in the answer and in parameters that speak of it."""
        return self.alias or self.relation


class Counting(StrEnum):
    """What a client wants to know of how many rows match."""

    EXACT = "exact"
    ESTIMATED = "estimated"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Question:
    """All that is asked of one table, or of one embedded one.

    :ivar select: ``None`` where nothing is said: every field.
    :ivar filters: all of them must hold.
    :ivar limit: of an embedded table's rows for each parent; of the table itself, ``ApiRequest`` has it.
    :ivar places: where each part stands, for errors: the parameter that it came with.
    """

    select: tuple[Every | Selected | Embed, ...] | None = None
    filters: tuple[Filter, ...] = ()
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0
    count: Counting | None = None
    places: Mapping[object, str] = field(default_factory=dict, compare=False, hash=False)

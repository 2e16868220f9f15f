"""A query string → a ``Question``, in the grammar of PostgREST; ``docs/querying.md`` has it as EBNF.

Only what the text itself can tell is looked at here, and the names of the table's fields, so that a
parameter that nothing knows is found; ``questions.resolving`` gives the other names a meaning.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from data_resource_api.compiler.faults import nearest, quote
from data_resource_api.rest.questions.bounds import Allowance
from data_resource_api.rest.questions.conditions import read_condition, read_group
from data_resource_api.rest.questions.reading import GrammarError, Reader
from data_resource_api.rest.questions.selection import (
    Embedded,
    Item,
    read_order,
    read_select,
)
from data_resource_api.rest.questions.syntax import (
    Counting,
    Embed,
    FieldPath,
    Filter,
    Joined,
    Order,
    Question,
)

#: The groups of conditions that a parameter can hold → how they are joined, and whether negated.
GROUPS: Final[Mapping[str, tuple[Joined, bool]]] = {
    "and": (Joined.AND, False),
    "or": (Joined.OR, False),
    "not.and": (Joined.AND, True),
    "not.or": (Joined.OR, True),
}
#: The parameters that speak of the table itself, and those that speak of an embedded one.
OF_THE_TABLE: Final = ("select", "order", "count", *GROUPS)
OF_AN_EMBEDDED: Final = ("order", "limit", "offset", *GROUPS)

#: The most parameters that a question has; each may be wrong, and is told why.
MOST_PARAMETERS: Final = 300
#: What a client may want to know of the number of rows; ``planned`` is PostgREST's name of an estimate.
COUNTS: Final[Mapping[str, Counting]] = {
    **{str(counting): counting for counting in Counting},
    "planned": Counting.ESTIMATED,
}
_LARGEST: Final = 2**63 - 1


@dataclass(slots=True)
class _Said:
    """What the parameters say of one table."""

    filters: list[Filter] = field(default_factory=list)
    order: tuple[Order, ...] = ()
    numbers: dict[str, int] = field(default_factory=dict)
    places: dict[object, str] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Target:
    """What a parameter's name speaks of.

    :ivar embedded: the names of embedded tables that lead to the one spoken of; none for the table itself.
    :ivar word: ``order``, ``not.or`` …, or an empty string where a field is compared.
    :ivar field: the field that is compared.
    """

    embedded: tuple[str, ...]
    word: str
    field: FieldPath


def read_target(name: str) -> Target:
    """What a parameter speaks of: ``enrolments.order``, ``address->>city``, ``"limit"``.

    A name in double quotes is a field's, whatever it is.

    :raises GrammarError: it is no name.
    """
    reader = Reader(name)
    names: list[str] = []
    quoted: list[bool] = []
    while not names or reader.took("."):
        reader.skip_spaces()
        quoted.append(reader.sees('"'))
        names.append(reader.name("the name of a parameter or of a field"))
    path = reader.steps(names.pop())
    reader.finish("a dot and another name are expected")
    if path.steps or quoted[-1]:
        return Target(tuple(names), "", path)
    word = path.name
    if word in ("and", "or") and names[-1:] == ["not"] and not quoted[-2]:
        names.pop()
        word = f"not.{word}"
    known = OF_AN_EMBEDDED if names else OF_THE_TABLE
    return Target(tuple(names), word if word in known else "", path)


def read_question(
    parameters: Sequence[tuple[str, str]],
    *,
    table: str,
    fields: Collection[str],
    operators: Collection[str],
    known: Iterable[str],
    faults: list[str],
) -> Question:
    """What parameters ask of a table.

    :param fields: the names of the table's own.
    :param operators: the names of all there are.
    :param known: further parameters of the operation, which a mistyped one may mean; those of
        ``OF_THE_TABLE`` that are not among them are refused.
    :param faults: takes what is wrong, one line for each parameter.
    """
    return _QuestionReader(table, fields, operators, tuple(known), faults).read(parameters)


class _QuestionReader:
    def __init__(
        self,
        table: str,
        fields: Collection[str],
        operators: Collection[str],
        known: Sequence[str],
        faults: list[str],
    ) -> None:
        self._table = table
        self._fields = fields
        self._operators = operators
        self._known = known
        self._faults = faults
        self._allowance = Allowance()
        self._items: tuple[Item, ...] | None = None
        self._select_failed = False
        self._count: Counting | None = None
        self._said: dict[tuple[str, ...], _Said] = defaultdict(_Said)

    def read(self, parameters: Sequence[tuple[str, str]]) -> Question:
        if len(parameters) > MOST_PARAMETERS:
            self._faults.append(f"A question takes at most {MOST_PARAMETERS} parameters.")
            return Question()
        # What a name means depends on what is embedded.
        selects = [pair for pair in parameters if pair[0] == "select"]
        for name, text in [*selects, *(pair for pair in parameters if pair[0] != "select")]:
            try:
                if "\0" in name or "\0" in text:
                    raise GrammarError("holds the character U+0000.")
                self._take(name, text)
            except GrammarError as error:
                self._select_failed = self._select_failed or name == "select"
                self._faults.append(f"{shortened(name)}: {error}")
        return self._question((), self._items)

    def _take(self, name: str, text: str) -> None:
        target = read_target(name)
        self._check_embedded(name, target)
        if not target.embedded and target.word and target.word not in self._known:
            raise GrammarError(f"is not a parameter here{self._remedy(name)}")
        said = self._said[target.embedded]
        if target.word and target.word not in GROUPS:
            if target.word in said.given:
                raise GrammarError("is given twice.")
            said.given.add(target.word)
        match target.word:
            case "":
                self._take_condition(name, text, target, said)
            case "select":
                self._items = read_select(text, self._allowance) if text else None
            case "order":
                said.order = read_order(text, self._allowance)
                said.places.update(dict.fromkeys(said.order, name))
            case "count":
                if text not in COUNTS:
                    raise GrammarError(f"must be exact, estimated or none, not {quote(text)}.")
                self._count = COUNTS[text]
            case "limit" | "offset":
                least = 1 if target.word == "limit" else 0
                digits = text.isascii() and text.isdigit() and len(text) <= 19
                if not digits or not least <= int(text) <= _LARGEST:
                    raise GrammarError(
                        f"must be a whole number from {least} on, not {quote(text)}."
                    )
                said.numbers[target.word] = int(text)
            case group:
                joined, negated = GROUPS[group]
                read = read_group(joined, negated, text, self._operators, self._allowance)
                said.filters.append(read)
                said.places[read] = name

    def _take_condition(self, name: str, text: str, target: Target, said: _Said) -> None:
        own = not target.embedded
        if own and target.field.name not in self._fields and not self._embeds(target.field.name):
            raise GrammarError(f"is not a parameter here{self._remedy(name)}")
        if own and "and" not in self._known:
            raise GrammarError(
                "the row is found by its key; fields are compared where rows are listed."
            )
        condition = read_condition(target.field, text, self._operators, self._allowance)
        said.filters.append(condition)
        said.places[condition] = name

    def _embeds(self, name: str) -> bool:
        return self._select_failed or any(
            isinstance(item, Embedded) and item.name == name for item in self._items or ()
        )

    def _remedy(self, name: str) -> str:
        """What may be meant instead of a parameter that is none."""
        if name in self._fields:
            return "; a field with such a name stands in double quotes."
        near = nearest(name, [*self._known, *self._fields])
        if near:
            return near
        takes = ", ".join(self._known)
        return f", nor a field of {self._table}; there are {takes} and the fields' names."

    def _check_embedded(self, name: str, target: Target) -> None:
        """See that what a parameter speaks of is embedded.

        :raises GrammarError: it is not.
        """
        if self._select_failed:
            return
        items: Sequence[Item] = self._items or ()
        for step in target.embedded:
            embedded = {item.name: item for item in items if isinstance(item, Embedded)}
            if step not in embedded:
                if name in self._fields:
                    raise GrammarError("a field with such a name stands in double quotes.")
                raise GrammarError(
                    f"{quote(step)} is not embedded by select"
                    + (nearest(step, embedded) or f", as select=*,{step}(*) does.")
                )
            items = embedded[step].select

    def _question(self, embedded: tuple[str, ...], items: tuple[Item, ...] | None) -> Question:
        said = self._said[embedded]
        select = None
        if items is not None:
            select = tuple(
                Embed(
                    item.relation,
                    self._question((*embedded, item.name), item.select),
                    item.alias,
                    item.hint,
                    item.inner,
                )
                if isinstance(item, Embedded)
                else item
                for item in items
            )
        return Question(
            select=select,
            filters=tuple(said.filters),
            order=said.order,
            limit=said.numbers.get("limit"),
            offset=said.numbers.get("offset", 0),
            count=None if embedded else self._count,
            places={**dict.fromkeys(select or (), "select"), **said.places},
        )


def shortened(name: str) -> str:
    """A parameter's name as a fault begins with it."""
    return name if len(name) <= 60 else f"{name[:57]}…"

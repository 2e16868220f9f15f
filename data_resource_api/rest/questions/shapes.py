"""A question apart from its values: many questions have one shape, and their SQL is made once.

In a shape, each condition's value and each limit and offset is the number of its place in the question's
values, from 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from data_resource_api.rest.questions.syntax import Condition, Embed, Filter, Group, Question

#: Operators whose word is no value.
_WORDS = frozenset({"is"})


@dataclass(slots=True)
class Values:
    """What a question's shape leaves out, in its order.

    :ivar places: where each stands, for errors.
    """

    given: list[Any] = field(default_factory=list)
    places: list[str] = field(default_factory=list)

    def add(self, value: Any, place: str) -> int:
        """Take a value, and give it its number."""
        self.given.append(value)
        self.places.append(place)
        return len(self.given)


def shape_of(question: Question, values: Values) -> Question:
    """The shape of a question, whose values are taken."""
    places: dict[object, str] = {}
    filters = tuple(
        _filter(each, values, question.places.get(each, ""), places) for each in question.filters
    )
    select = question.select
    if select is not None:
        select = tuple(
            replace(item, question=shape_of(item.question, values))
            if isinstance(item, Embed)
            else item
            for item in select
        )
    return Question(
        select,
        filters,
        question.order,
        None if question.limit is None else values.add(question.limit, "limit"),
        question.offset and values.add(question.offset, "offset"),
        places=places,
    )


def _filter(each: Filter, values: Values, place: str, places: dict[object, str]) -> Filter:
    shape: Filter
    if isinstance(each, Group):
        members = tuple(_filter(one, values, place, places) for one in each.members)
        shape = Group(each.joined, members, each.negated)
    elif each.operator in _WORDS:
        shape = each
    else:
        number = str(values.add(each.value, place))
        shape = Condition(each.field, each.operator, number, each.negated, each.options)
    places[shape] = place
    return shape

"""How much one question may hold, so that none can exhaust a worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from data_resource_api.rest.questions.reading import GrammarError

#: What a question holds → the most of it, over all of its tables.
MOST: Final[Mapping[str, int]] = MappingProxyType(
    {
        "conditions": 200,
        "selected fields": 1_000,
        "embedded tables": 20,
        "fields to order by": 50,
        "steps into JSON": 100,
    }
)
#: How deep ``and(…)`` and ``or(…)`` may stand in each other.
DEEPEST_GROUP: Final = 10
#: How deep embedded tables may stand in each other.
DEEPEST_EMBED: Final = 5


class Allowance:
    """What is left of the bounds for one question."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def take(self, thing: str, number: int = 1) -> None:
        """Note that the question holds so many more.

        :param thing: a key of ``MOST``.
        :raises GrammarError: these are too many.
        """
        self._taken[thing] += number
        if self._taken[thing] > MOST[thing]:
            raise GrammarError(f"a question takes at most {MOST[thing]} {thing}.")

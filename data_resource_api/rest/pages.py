"""Pages of a list: where one starts, the links to the others, and how many rows there are.

Offsets are for people; beside them ``next`` and ``prev`` carry a *keyset cursor*, the key of a row that the
other page starts after or ends before, so that following links costs the same on every page, however many
rows come before it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import quote

from data_resource_api.compiler.fields import Field, FieldError
from data_resource_api.rest.keys import read_key, write_key

#: Seconds for which a table that had too many rows to count is taken to have them still.
REMEMBERED: Final = 1.0


class Start(StrEnum):
    """From where a page's rows are read."""

    OFFSET = "offset"
    AFTER = "after"
    BEFORE = "before"
    END = "end"


#: The pages that are read backwards.
BACKWARDS: Final = frozenset({Start.BEFORE, Start.END})


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page starts, as a client asks for it.

    :ivar key: the cursor of ``after`` and ``before``, as text.
    """

    offset: int = 0
    start: Start = Start.OFFSET
    key: str = ""

    @property
    def parameters(self) -> str:
        """The cursor as it stands in a link."""
        match self.start:
            case Start.OFFSET:
                return ""
            case Start.END:
                return "&from=end"
            case start:
                return f"&{start}={quote(self.key, safe='~,')}"


class RowCount:
    """How many rows a table has, for the links: counted up to ``limit``, estimated beyond.

    Counting even that many costs more than the page does, so a table that had more is not counted
    again for a moment.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._estimate = 0
        self._until = 0.0

    def recent(self) -> int | None:
        """The estimate of a moment ago, or ``None``."""
        return self._estimate if time.monotonic() < self._until else None

    def remember(self, estimate: int) -> int:
        """Keep the planner's estimate of a table that has more than ``limit`` rows."""
        self._estimate = max(estimate, self.limit + 1)
        self._until = time.monotonic() + REMEMBERED
        return self._estimate


def planned_rows(plan: str) -> int:
    """How many rows the planner expects, by the JSON text of its ``EXPLAIN``."""
    return int(json.loads(plan)[0]["Plan"]["Plan Rows"])


def page_links(
    path: str,
    position: Position,
    limit: int,
    count: int | None,
    *,
    exact: bool,
    follows: bool,
    keyed: bool,
    ends: tuple[str, str] | None,
    asked: str = "",
) -> list[dict[str, str]]:
    """``self, first, prev, next, last``, those that exist; none for an empty table.

    :param path: the list's, as it stands in a URL.
    :param count: of all rows; ``None`` where it is not known, and there is no last page then.
    :param exact: it was counted, not estimated.
    :param follows: whether rows follow this page.
    :param keyed: the rows have an order, so that there is a last one.
    :param ends: the keys of this page's first and last row, where cursors can be made of them.
    :param asked: a question's parameters as every link carries them: ``&age=gte.18``.
    """
    if count == 0:
        return []
    offset = position.offset
    pages = {"self": position, "first": Position()}
    if offset > 0:
        before = max(0, offset - limit)
        pages["prev"] = (
            Position(before, Start.BEFORE, ends[0]) if ends and before else Position(before)
        )
    if follows:
        after = offset + limit
        pages["next"] = Position(after, Start.AFTER, ends[1]) if ends else Position(after)
    if count is not None:
        last = (count - 1) // limit * limit
        pages["last"] = Position(last, Start.END) if keyed and not exact else Position(last)
    return [
        {"rel": rel, "href": f"{path}?offset={page.offset}&limit={limit}{page.parameters}{asked}"}
        for rel, page in pages.items()
    ]


def cursors(
    fields: Sequence[Field], first: Sequence[Any], last: Sequence[Any]
) -> tuple[str, str] | None:
    """The keys of a page's first and last row as cursors.

    :returns: ``None`` where there is no key, or a row holds one that could not be asked for.
    """
    if not fields:
        return None
    written = write_key(first), write_key(last)
    try:
        for text in written:
            read_key(fields, text)
    except FieldError:  # of a row that somebody else wrote, such as one of the year infinity
        return None
    return written

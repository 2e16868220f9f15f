"""Statements that a connection runs often are prepared: PostgreSQL parses and plans them once.

The policy is psycopg 3's <https://www.psycopg.org/psycopg3/docs/advanced/prepare.html>: a statement is
prepared when a connection runs it for the fifth time, and a connection keeps the hundred that it used last.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

#: How often a connection has run a statement when it is worth preparing.
_WORTH: Final = 5
#: How many statements a connection keeps, prepared or counted.
_MOST: Final = 100
#: Different statements whose forms are kept in this process.
_FORMS: Final = 4_096

_PARAMETER: Final = re.compile(r"%%|%\((\w+)\)s")
_PREPARABLE: Final = ("SELECT", "INSERT", "UPDATE")


@dataclass(frozen=True, slots=True)
class Form:
    """A statement as it is prepared, and as it is run then, in psycopg2's ``pyformat`` style."""

    name: str
    prepare: str
    execute: str


@functools.lru_cache(_FORMS)
def form_of(sql: str) -> Form | None:
    """The forms of a statement's text; ``None`` where it cannot be prepared."""
    if not sql.startswith(_PREPARABLE):
        return None
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        if found[1] is None:
            return "%"
        return f"${numbers.setdefault(found[1], len(numbers) + 1)}"

    numbered = _PARAMETER.sub(number, sql)
    name = f"drg_{hashlib.sha256(sql.encode()).hexdigest()[:24]}"
    values = ", ".join(f"%({parameter})s" for parameter in numbers)
    return Form(
        name, f"PREPARE {name} AS {numbered}", f"EXECUTE {name}{f' ({values})' if values else ''}"
    )


class PreparedStatements:
    """What one connection has prepared."""

    def __init__(self) -> None:
        #: The text of a statement → how often it was run; the last one used is the last one here.
        self._uses: OrderedDict[str, int] = OrderedDict()

    def prepared(self, cursor: Any, sql: str) -> str | None:
        """What to run instead of a statement, preparing it where that is worth it; or ``None``.

        :raises psycopg2.Error: it cannot be prepared.
        """
        uses = self._uses.get(sql, 0) + 1
        if uses < _WORTH:
            self._note(cursor, sql, uses)
            return None
        form = form_of(sql)
        if form is None:
            return None
        if uses == _WORTH:
            cursor.execute(form.prepare)
        self._note(cursor, sql, uses)
        return form.execute

    def _note(self, cursor: Any, sql: str, uses: int) -> None:
        self._uses[sql] = uses
        self._uses.move_to_end(sql)
        if len(self._uses) > _MOST:
            oldest, count = self._uses.popitem(last=False)
            form = form_of(oldest)
            if count >= _WORTH and form is not None:
                cursor.execute(f"DEALLOCATE {form.name}")

    def forget(self, cursor: Any) -> None:
        """Begin anew: a table has changed, and what was prepared does not fit it."""
        self._uses.clear()
        cursor.execute("DEALLOCATE ALL")

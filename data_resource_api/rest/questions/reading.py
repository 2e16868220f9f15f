"""Text → names, values and paths: what every part of the grammar is made of."""

from __future__ import annotations

import re
from typing import Final

from data_resource_api.compiler.faults import quote
from data_resource_api.rest.questions.syntax import FieldPath

#: A name without quotes: the characters that mean something in the grammar are not in it.
_NAME: Final = re.compile(r'(?:[^.,()":!*\\-]|-(?!>))+')
_QUOTED: Final = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_INDEX: Final = re.compile(r"-?[0-9]{1,9}")
#: A value in a list or a group, without quotes.
_BARE: Final = re.compile(r"[^,)]*")
_OPENING: Final = {"{": "}", "[": "]"}
_IN_BRACES: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[][{}]', re.DOTALL)


class GrammarError(Exception):
    """The text is not what the grammar says; the message is for its author, without the place."""


class Reader:
    """A text and how far it has been read.

    :ivar place: of the next character, from 0.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0

    @property
    def at_end(self) -> bool:
        """Whether everything has been read."""
        return self.place >= len(self.text)

    def error(self, message: str) -> GrammarError:
        """What is wrong with the text here."""
        rest = self.text[self.place : self.place + 40]
        found = f"{quote(rest)} at character {self.place + 1}" if rest else "the end"
        return GrammarError(f"{message}, not {found}.")

    def sees(self, text: str) -> bool:
        """Whether this comes next."""
        return self.text.startswith(text, self.place)

    def took(self, text: str) -> bool:
        """Read this if it comes next, and say whether it did."""
        if not self.sees(text):
            return False
        self.place += len(text)
        return True

    def take(self, text: str, message: str) -> None:
        """Read this.

        :param message: what is expected, for the error.
        :raises GrammarError: it does not come next.
        """
        if not self.took(text):
            raise self.error(message)

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Read what a pattern matches here, or nothing."""
        found = pattern.match(self.text, self.place)
        if found is not None:
            self.place = found.end()
        return found

    def rest(self) -> str:
        """Read everything that is left."""
        text, self.place = self.text[self.place :], len(self.text)
        return text

    def finish(self, message: str) -> None:
        """See that nothing is left.

        :raises GrammarError: something is.
        """
        if not self.at_end:
            raise self.error(message)

    # ── names ────────────────────────────────────────────────────────────────────────────────────

    def skip_spaces(self) -> None:
        """Read the spaces that come next, if any."""
        while self.took(" "):
            pass

    def name(self, what: str = "a field's name") -> str:
        """A name: plain, or in double quotes with backslashes before quotes and backslashes.

        :raises GrammarError: there is none.
        """
        self.skip_spaces()
        if self.sees('"'):
            name = self.quoted()
            self.skip_spaces()
            return name
        found = self.match(_NAME)
        name = found[0].strip() if found else ""
        if not name:
            raise self.error(f"{what} is expected")
        return name

    def quoted(self) -> str:
        """A text in double quotes.

        :raises GrammarError: it is not closed.
        """
        found = self.match(_QUOTED)
        if found is None:
            raise self.error("a text in double quotes must end with one")
        return _ESCAPED.sub(r"\1", found[1])

    def path(self) -> FieldPath:
        """A field, or a place inside a JSON field: ``address->geo->>lat``."""
        return self.steps(self.name())

    def steps(self, name: str) -> FieldPath:
        """What follows a field's name: ``->geo->>lat``, or nothing."""
        steps: list[str | int] = []
        as_text = False
        while self.sees("->"):
            if as_text:
                raise self.error("nothing can follow what ->> has made a text")
            as_text = self.took("->>")
            if not as_text:
                self.took("->")
            self.skip_spaces()
            in_quotes = self.sees('"')
            step = self.name("a key or an index")
            steps.append(step if in_quotes or not _INDEX.fullmatch(step) else int(step))
        return FieldPath(name, tuple(steps), as_text)

    # ── values ───────────────────────────────────────────────────────────────────────────────────

    def value(self) -> str:
        """A value in a group or a list: quoted, an array or object literal, or up to ``,`` or ``)``."""
        began = self.place
        for literal in (self._quoted_value, self._braces):
            text = literal()
            if text is not None and (self.at_end or self.text[self.place] in ",)"):
                return text
            self.place = began
        found = self.match(_BARE)
        return found[0] if found else ""

    def _quoted_value(self) -> str | None:
        found = self.match(_QUOTED)
        return None if found is None else _ESCAPED.sub(r"\1", found[1])

    def _braces(self) -> str | None:
        """A literal in braces or brackets, whose inner commas do not end it: ``{a,"b,c"}``."""
        if self.at_end or self.text[self.place] not in _OPENING:
            return None
        began, closing = self.place, []
        for found in _IN_BRACES.finditer(self.text, began):
            sign = found[0]
            if sign in _OPENING:
                closing.append(_OPENING[sign])
            elif sign in ("}", "]") and sign != closing.pop():
                return None
            if not closing:
                self.place = found.end()
                return self.text[began : self.place]
        return None

    def values(self) -> tuple[str, ...]:
        """A list of values: ``(1,2,"a,b")``; ``()`` has none and ``("")`` has an empty text.

        :raises GrammarError: it is not closed.
        """
        self.take("(", "a list in parentheses is expected, as (1,2)")
        if self.took(")"):
            return ()
        values = [self.value()]
        while self.took(","):
            values.append(self.value())
        self.take(")", "a list must be closed with a parenthesis")
        return tuple(values)

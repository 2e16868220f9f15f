"""``pattern`` constraints: RE2 in the API, and the same language as a PostgreSQL regular expression.

RE2 runs in linear time, so that a payload cannot hang a worker. A pattern goes into the database too
when every token of it means the same there; the shorthand classes are written out, because
PostgreSQL's depend on the locale. Everything else is left to the API (``None``), never guessed.

Syntaxes: RE2 <https://github.com/google/re2/wiki/Syntax>; PostgreSQL 9.7.3, "POSIX Regular Expressions".
"""

from __future__ import annotations

import re
from typing import Any, Final

import re2

#: PostgreSQL's largest repetition count (DUPMAX), also the bound for nested ones multiplied.
_MOST_REPETITIONS: Final = 255

_CLASSES: Final = {"d": "0-9", "w": "A-Za-z0-9_", "s": r"\t\n\f\r "}
_CONTROLS: Final = frozenset("tnrf")
_TOKEN: Final = re.compile(
    r"""(?P<escape>\\.)
      | (?P<bracket>\[)
      | (?P<open>\((?:\?:)?)
      | (?P<close>\))
      | (?P<repeat>\{(?P<low>\d+)(?P<comma>,(?P<high>\d*))?\}|[*+?])
      | (?P<dot>\.)
      | (?P<anchor>[\^$])
      | (?P<bar>\|)
      | (?P<literal>[^\\\[\](){}*+?.^$|])""",
    re.VERBOSE | re.DOTALL,
)


def compile_pattern(pattern: str) -> Any:
    """Compile for RE2.

    :raises ValueError: RE2 cannot express the pattern; the message says why.
    """
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 4 * 2**20
    try:
        return re2.compile(pattern, options=options)
    except re2.error as error:
        reason = error.args[0] if error.args else "it is not a regular expression"
        if isinstance(reason, bytes):
            reason = reason.decode(errors="replace")
        raise ValueError(str(reason)) from None


def postgresql_pattern(pattern: str) -> str | None:
    r"""Translate for PostgreSQL's ``~``, anchored to the whole value; ``None`` where it cannot.

    >>> postgresql_pattern(r"\d{2}-\d{7}")
    '^(?:[0-9]{2}-[0-9]{7})$'
    >>> postgresql_pattern(r"\bword\b") is None
    True
    """
    translated: list[str] = []
    #: The product of the repetition counts in each open group, and of the atom last read.
    counts = [1]
    atom = 0
    position = 0
    while position < len(pattern):
        match = _TOKEN.match(pattern, position)
        if match is None:
            return None
        token, kind = match.group(), match.lastgroup
        position = match.end()
        if kind == "bracket":
            bracket = _bracket(pattern, position)
            if bracket is None:
                return None
            text, position = bracket
            translated.append(text)
            atom = 1
        elif kind == "escape":
            text_or_none = _escape(token[1])
            if text_or_none is None:
                return None
            translated.append(text_or_none)
            atom = 1
        elif kind == "open":
            if pattern.startswith("?", position):
                return None
            counts.append(1)
            translated.append("(?:")
            atom = 0
        elif kind == "close":
            if len(counts) == 1:
                return None
            atom = counts.pop()
            translated.append(token)
        elif kind == "repeat" or match.group("repeat"):
            if not atom:
                return None
            low, high = match.group("low"), match.group("high")
            times = max(int(low or 1), int(high or 1))
            atom *= times
            counts[-1] = max(counts[-1], atom)
            if atom > _MOST_REPETITIONS:
                return None
            if pattern.startswith("?", position):
                position += 1  # laziness does not change which whole values match
            elif pattern.startswith(("*", "+", "{"), position):
                return None
            translated.append(token)
            atom = 0
        elif kind == "dot":
            translated.append(r"[^\n]")
            atom = 1
        elif kind == "anchor" or kind == "bar":
            translated.append(token)
            atom = 0
        else:
            translated.append(token)
            atom = 1
    return f"^(?:{''.join(translated)})$" if len(counts) == 1 else None


def _escape(character: str) -> str | None:
    """One escape outside brackets."""
    if character in _CLASSES:
        return f"[{_CLASSES[character]}]"
    if character.lower() in _CLASSES:
        return f"[^{_CLASSES[character.lower()]}]"
    if character in _CONTROLS or (character.isascii() and not character.isalnum()):
        return f"\\{character}"
    return None


def _bracket(pattern: str, position: int) -> tuple[str, int] | None:
    """A bracket expression whose ``[`` has been read: its translation and where it ends."""
    inside: list[str] = []
    negated = pattern.startswith("^", position)
    position += negated
    while position < len(pattern):
        character = pattern[position]
        if character == "]":
            if not inside:
                return None
            return f"[{'^' if negated else ''}{''.join(inside)}]", position + 1
        if character == "[":
            return None
        if character == "\\":
            following = pattern[position + 1 : position + 2]
            if following in _CLASSES and following:
                if pattern.startswith("-", position + 2) or (inside and inside[-1] == "-"):
                    return None
                inside.append(_CLASSES[following])
            elif following and (
                following in _CONTROLS or (following.isascii() and not following.isalnum())
            ):
                inside.append(f"\\{following}")
            else:
                return None
            position += 2
            continue
        inside.append(character)
        position += 1
    return None

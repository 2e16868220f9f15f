"""Values as the text that PostgreSQL's COPY reads.

The format is <https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2>.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

#: How COPY writes ``NULL``.
NULL: Final = r"\N"


def escaped(text: str) -> str:
    """A text with what COPY would read as something else escaped."""
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if "\t" in text:
        text = text.replace("\t", "\\t")
    if "\n" in text:
        text = text.replace("\n", "\\n")
    return text.replace("\r", "\\r") if "\r" in text else text


def needs_escape(text: str) -> bool:
    """Whether COPY would read a text as something else."""
    return "\\" in text or "\t" in text or "\n" in text or "\r" in text


def copy_text(value: Any) -> str:
    """What a field binds, as COPY reads it."""
    if value is None:
        return NULL
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, (bytes, memoryview)):
        return f"\\\\x{bytes(value).hex()}"
    if isinstance(value, bool):
        return "t" if value else "f"
    return str(value)


def copy_array(values: Iterable[bytes]) -> str:
    """A list of byte strings as a ``bytea[]``."""
    return "{" + ",".join(f'"\\\\\\\\x{value.hex()}"' for value in values) + "}"

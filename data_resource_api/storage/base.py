"""What a storage of the payload's copy must do. ``tests/storage/test_contract.py`` holds each to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class StorageError(Exception):
    """The copy cannot be read or written; the message says where and why."""


class CopyChanged(StorageError):
    """Somebody else has written the copy since it was staged; what they wrote is still there."""


class Storage(Protocol):
    """Keeps one document: all of it or the one before, never a part."""

    @property
    def place(self) -> str:
        """Where the copy is, for people."""

    def read(self) -> bytes | None:
        """The copy, or ``None`` when there is none.

        :raises StorageError: there may be one and it cannot be read.
        """

    def stage(self, content: bytes) -> Callable[[], None]:
        """Do all that can fail in writing ``content``, without anybody seeing it yet.

        :returns: what publishes it; where others write the same copy, it raises :class:`CopyChanged`
            when one has done so meanwhile.
        :raises StorageError: it cannot be written; what was there is still there.
        """

"""What the workers of one host share: a lock, and a stamp that tells them of a generation.

Both are files in ``DRG_STATIC_DIR``. The stamp is looked at by every request, so it is mapped into memory:
that costs no system call, and no thread has to give way for it.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from data_resource_api.storage.base import StorageError

STAMP_NAME: Final = ".live"
LOCK_NAME: Final = ".lock"
_SIZE: Final = 16


class Host:
    """The workers that have the same folder.

    A stamp is compared, never read: it is another one after each :meth:`renew`. One that is seen while
    it is being written is another one too, so that nothing is missed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / STAMP_NAME
        self._map: mmap.mmap | None = None
        self._mapped: tuple[int, int] | None = None

    def stamp(self) -> bytes:
        """The stamp now; empty where there is none yet."""
        return self._map[:] if self._map is not None else b""

    def look(self) -> bytes:
        """As :meth:`stamp`, after making sure that the file is there, and is the one that is mapped.

        Where the folder cannot be written there is no stamp, and nothing can be generated either.
        """
        try:
            try:
                status = self._file.stat()
            except FileNotFoundError:
                status = None
            if status is None or status.st_size < _SIZE:
                self._write()
                status = self._file.stat()
            if self._mapped != (status.st_dev, status.st_ino):
                with self._file.open("rb") as file:
                    opened = os.fstat(file.fileno())
                    self._map = mmap.mmap(file.fileno(), _SIZE, prot=mmap.PROT_READ)
                    self._mapped = opened.st_dev, opened.st_ino
        except (OSError, ValueError):  # ValueError: it was cut short meanwhile
            self._map, self._mapped = None, None
        return self.stamp()

    def renew(self) -> None:
        """Tell the other workers that something else is live.

        :raises StorageError: the folder cannot be written.
        """
        try:
            self._write()
        except OSError as error:
            raise StorageError(f"{self._file} cannot be written: {error.strerror}.") from error

    def _write(self) -> None:
        """Another stamp, in place: who has the file mapped sees it at once."""
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(descriptor, os.urandom(_SIZE), 0)
        finally:
            os.close(descriptor)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No two blocks of this kind run at once on this host.

        :raises StorageError: the folder cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(
                self._folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise StorageError(f"{self._folder} cannot be written: {error.strerror}.") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

"""The copy as a file on the local volume."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from data_resource_api.storage.base import StorageError

FILE_NAME: Final = "data_resource_generation_payload.json"


class LocalStorage:
    """Keeps the copy in a folder, written atomically."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE_NAME

    @property
    def place(self) -> str:
        """The file's path."""
        return str(self._file)

    def read(self) -> bytes | None:
        """The file's content, or ``None`` when there is no file."""
        try:
            return self._file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"{self._file} cannot be read: {error.strerror}.") from error

    def stage(self, content: bytes) -> Callable[[], None]:
        """Write beside the file; the result renames it into place."""
        return stage_file(self._file, content)


def stage_file(file: Path, content: bytes) -> Callable[[], None]:
    """Write ``content`` to disk beside ``file``.

    :returns: what renames it into place.
    :raises StorageError: the folder cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        for leftover in file.parent.glob(f".{file.name}.*"):  # of a process that was killed
            leftover.unlink(missing_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        staged = Path(name)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        staged.chmod(0o644)
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {error.strerror}.") from error

    def publish() -> None:
        staged.replace(file)
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    return publish

"""Short folders for embedded PostgreSQLs, removed afterwards with every server in them."""

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_resource_api.database import embedded
from tests.database.embedded.processes import postmaster_of


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can enter, as short as a socket's path wants it."""
    folder = Path(tempfile.mkdtemp(prefix="drg-", dir="/tmp")).resolve()
    folder.chmod(0o755)
    yield folder
    for used in [used for used in embedded._uses if used.is_relative_to(folder)]:
        for handle in list(embedded._uses[used].handles):
            handle.release()
    for file in folder.rglob("postmaster.pid"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(postmaster_of(file.parent), signal.SIGQUIT)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def directory(folder: Path) -> Path:
    return folder / "var"

"""Services that have no database but the embedded one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.processes import postmasters, wait_for
from tests.service import Service, open_folder


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A folder whose embedded PostgreSQL the tests of a module use in turn."""
    with open_folder() as folder:
        yield folder


@pytest.fixture
def embedded(home: Path) -> Iterator[Service]:
    """A service, not started, that has no database but the embedded one; its log is empty."""
    service = Service(home, None)
    service.log_file.unlink(missing_ok=True)
    yield service
    service.kill()
    for process in postmasters(service):
        os.kill(process, signal.SIGQUIT)
    wait_for(lambda: not postmasters(service))

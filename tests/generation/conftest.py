"""A service for each test: what is live is what is tested."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service import Service, running


@pytest.fixture
def service(tmp_path: Path, server_url: str) -> Iterator[Service]:
    """A service of two workers with nothing generated, of this test's own."""
    with running(tmp_path, server_url) as service:
        yield service

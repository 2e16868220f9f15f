"""A service of which the pages have something to show."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.service import Service, running, workforce


@pytest.fixture(scope="package")
def live(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("live"), server_url, workers=1) as service:
        service.generate(workforce())
        yield service

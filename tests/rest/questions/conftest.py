"""A service with people to ask about."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rest.questions.people import PEOPLE, schools
from tests.service import Service, running


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("questions"), server_url) as service:
        service.generate(schools())
        assert service.database is not None
        service.database.execute(PEOPLE)
        yield service

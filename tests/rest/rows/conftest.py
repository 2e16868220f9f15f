"""A service with tables that are empty before each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rest.rows.tables import CODES, PEOPLE
from tests.rest.tables import PETS
from tests.service import Service, payload, running


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("rows")
    with running(folder, server_url, DRG_MAX_PAGE_SIZE="50") as service:
        service.generate(payload(PEOPLE, PETS, CODES))
        yield service


@pytest.fixture(autouse=True)
def _empty_tables(service: Service) -> None:
    service.execute("TRUNCATE people, pets, codes RESTART IDENTITY")

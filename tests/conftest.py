"""The tests' PostgreSQL, and services that run on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from data_resource_api.database.embedded import join
from tests.provider import Provider
from tests.service import Database, Service, open_folder, running

if TYPE_CHECKING:
    from tests.cloud import Cloud, Moto


#: The files and folders that take longest, which several processes have to begin with to end together.
LONGEST = (
    "test_fuzz",
    "serve",
    "test_crash",
    "embedded",
    "aws",
    "test_rotation",
    "test_documentation",
    "test_schemathesis",
    "generation",
    "test_benchmarks",
    "test_demo",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first."""
    rank = {name: number for number, name in enumerate(LONGEST)}

    def place(item: pytest.Item) -> int:
        return min(rank.get(part, len(rank)) for part in item.path.with_suffix("").parts)

    items.sort(key=place)


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A PostgreSQL: ``DATABASE_URL`` where it is set, the embedded one otherwise."""
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    with open_folder() as folder:
        embedded = join(folder)
        yield embedded.url
        embedded.release()


@pytest.fixture
def database(server_url: str) -> Iterator[Database]:
    """An empty database."""
    database = Database(server_url)
    yield database
    database.drop()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    """A service of two workers with nothing generated, shared by a module's tests."""
    with running(tmp_path_factory.mktemp("service"), server_url) as service:
        yield service


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder."""
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def cloud() -> Iterator[Moto]:
    """AWS by moto, on a loopback port, with keys and policies enforced."""
    from tests.cloud import Moto  # moto and boto3 take a second to import

    cloud = Moto()
    yield cloud
    cloud.stop()


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """An S3 that is not moto's."""
    from tests.cloud import running_seaweed

    with running_seaweed(tmp_path_factory.mktemp("seaweed")) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """An OpenID Connect provider of a module's own."""
    provider = Provider()
    yield provider
    provider.stop()

"""Instances that need tokens, and a PostgreSQL whose roles change."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.aws.instances import Access
from tests.provider import Provider
from tests.rds import OwnServer, own_server
from tests.service import open_folder


@pytest.fixture(scope="module")
def access(provider: Provider) -> Access:
    """Instances in PRODUCTION, and a token that may do everything."""
    return Access(provider.settings(), provider.bearer("drg:admin"))


@pytest.fixture(scope="package")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    """A PostgreSQL whose roles can be changed."""
    with open_folder() as folder, own_server(folder) as server:
        yield server

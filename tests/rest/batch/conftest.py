"""A service for batches, its tables empty before each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rest.batch.sending import DOCUMENT
from tests.service import Service, running


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("batch")
    audit = str(folder / "audit.jsonl")
    with running(
        folder, server_url, DRG_MAX_BATCH="50", DRG_MAX_BODY_BYTES="65536", DRG_AUDIT_LOG=audit
    ) as service:
        service.generate(DOCUMENT)
        yield service


@pytest.fixture(autouse=True)
def _empty_tables(service: Service) -> None:
    service.execute(
        'TRUNCATE provider, program, code, label, place, "label/program" RESTART IDENTITY'
    )

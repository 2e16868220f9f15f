"""The live OpenAPI document against the live service: what it promises is what is answered."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service import Service, clean_environment, running, workforce

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("schemathesis"), server_url) as service:
        service.generate(workforce())
        yield service


def run(service: Service, *options: str) -> None:
    """Schemathesis over every operation of the live document."""
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", "--no-color"]
    command += [f"{service.url}/static/swagger.json", "--checks", ",".join(CHECKS)]
    command += ["--suppress-health-check", "all", "--request-timeout", "60", *options]
    done = subprocess.run(
        command, cwd=service.folder, env=clean_environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_operation_answers_as_its_document_says(service: Service) -> None:
    run(service, "--max-examples", "5", "--phases", "examples,coverage,fuzzing", "--seed", "1")


@pytest.mark.soak
def test_every_operation_answers_as_its_document_says_in_many_cases(service: Service) -> None:
    run(service, "--max-examples", "200")

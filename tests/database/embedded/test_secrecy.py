"""What the embedded PostgreSQL keeps to itself."""

import contextlib
import logging
import os
import subprocess
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy import make_url

from data_resource_api.database.embedded import join
from tests.database.embedded.processes import mode, postmaster_of, processes


def test_the_password_is_nowhere_but_in_its_file(
    directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []
    run = subprocess.run

    def recording_run(command: Any, **options: Any) -> Any:
        seen.append(repr(command) + repr(options["env"]))
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", recording_run)
    caplog.set_level(logging.DEBUG)
    server = join(directory)
    file = directory / "postgres" / "password"
    password = file.read_text()
    assert mode(file) == 0o600
    assert file.stat().st_uid == os.geteuid()
    assert make_url(server.url).password == password
    assert len(password) >= 32
    seen += [repr(server), caplog.text, str(list(processes().values()))]
    seen += [(server.data.parent / "log").read_text()]
    assert not [place for place in seen if password in place]


def test_one_line_says_where_the_data_is(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "data_resource_api")
    server = join(directory)
    join(directory)
    assert [record.getMessage() for record in caplog.records] == [
        f"The embedded PostgreSQL is running; its data is in {server.data}"
    ]


def test_the_server_does_not_get_the_secrets_of_the_service(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do-not-tell")
    environment = Path(f"/proc/{postmaster_of(join(directory).data)}/environ")
    if not environment.exists():
        pytest.skip("what a process was started with is read from /proc, which Linux has")
    assert "do-not-tell" not in environment.read_text()


def test_a_failed_statement_leaves_no_values_in_the_server_s_log(directory: Path) -> None:
    server = join(directory)
    psycopg2_url = make_url(server.url)
    connection = psycopg2.connect(
        host=psycopg2_url.query["host"], user="drg", dbname="drg", password=psycopg2_url.password
    )
    with contextlib.closing(connection), pytest.raises(psycopg2.Error):
        connection.cursor().execute("SELECT 'confidential'::integer")
    assert "confidential" not in (server.data.parent / "log").read_text()

"""What the embedded PostgreSQL finds around it: old data, odd paths, missing programs."""

import tempfile
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import make_url

from data_resource_api.database import cluster, programs
from data_resource_api.database.embedded import EmbeddedPostgresError, join
from tests.database.embedded.processes import ask, mode


def test_data_of_another_major_version_is_refused_with_what_to_do(directory: Path) -> None:
    server = join(directory)
    server.release()
    (server.data / "PG_VERSION").write_text("12\n")
    with pytest.raises(EmbeddedPostgresError) as refusal:
        join(directory)
    message = str(refusal.value)
    assert f"The data in {server.data} is of PostgreSQL 12" in message
    assert f"move {directory / 'postgres'} away" in message


def test_a_server_that_does_not_start_says_what_its_log_says(directory: Path) -> None:
    server = join(directory)
    server.release()
    with (server.data / "postgresql.conf").open("a") as configuration:
        configuration.write("no_such_setting = 1\n")
    with pytest.raises(EmbeddedPostgresError, match="no_such_setting") as refusal:
        join(directory)
    assert str(server.data.parent / "log") in str(refusal.value)


def test_missing_programs_are_named(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "PACKAGE", "no_such_wheel")
    with pytest.raises(EmbeddedPostgresError, match="install no-such-wheel"):
        join(directory)


def test_a_lost_password_is_reported_and_not_worked_around(directory: Path) -> None:
    server = join(directory)
    (directory / "postgres" / "password").write_text("another")
    with pytest.raises(EmbeddedPostgresError, match="refuses the password"):
        join(directory)
    assert ask(server.url, "SELECT 1") == 1


def test_a_directory_with_characters_that_mean_something_to_a_shell_works(folder: Path) -> None:
    server = join(folder / 'it\'s $HOME `id` "é"')
    assert ask(server.url, "SELECT 1") == 1
    assert server.data.is_relative_to(folder)


@pytest.mark.parametrize("name", ["x" * 100, "a,b"])
def test_a_path_that_no_socket_can_have_gets_a_private_folder_for_it(
    folder: Path, name: str
) -> None:
    server = join(folder / name)
    sockets = Path(str(make_url(server.url).query["host"]))
    assert ask(server.url, "SELECT 1") == 1
    assert server.data.is_relative_to(folder)
    assert mode(sockets) == 0o700
    again = join(folder / name)
    assert again.url == server.url
    again.release()
    server.release()
    assert not sockets.exists()


def test_a_planted_folder_for_the_socket_is_refused(folder: Path) -> None:
    directory = folder / ("x" * 100)
    planted = Path(tempfile.gettempdir()) / f"drg-{programs.digest(directory / 'postgres')}"
    planted.mkdir()
    planted.chmod(0o777)
    try:
        with pytest.raises(EmbeddedPostgresError, match="Somebody else may have made it"):
            join(directory)
    finally:
        planted.rmdir()


def test_variables_meant_for_other_servers_do_not_matter(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = {"PGPORT": "1", "PGDATA": "/nowhere", "PGHOST": "/nowhere", "PGDATABASE": "other"}
    for name, value in others.items():
        monkeypatch.setenv(name, value)
    assert ask(join(directory).url, "SHOW port") == "5432"


def test_a_server_whose_connections_are_all_taken_can_be_joined(directory: Path) -> None:
    server = join(directory)
    url = make_url(server.url)
    login = f"user=drg dbname=drg password={url.password}"
    host = str(url.query["host"])
    connections = [psycopg2.connect(login, host=host) for _ in range(97)]
    with pytest.raises(psycopg2.OperationalError, match="connection slots"):
        psycopg2.connect(login, host=host)
    assert join(directory).url == server.url
    for connection in connections:
        connection.close()


def test_the_log_is_put_aside_when_it_has_grown(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "LOG_BYTES", 1)
    server = join(directory)
    server.release()
    join(directory)
    assert (server.data.parent / "log.old").exists()

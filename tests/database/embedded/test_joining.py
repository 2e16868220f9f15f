"""Starting, joining and stopping the embedded PostgreSQL."""

import os
import random
import signal
import threading
import time
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import make_url

from data_resource_api.database.embedded import EmbeddedPostgres, join
from tests.database.embedded.processes import User, ask, postmaster_of, postmasters, processes


def test_a_first_join_makes_a_database_that_answers(directory: Path) -> None:
    server = join(directory)
    assert ask(server.url, "SELECT 1") == 1
    assert (server.data / "PG_VERSION").is_file()


def test_the_database_is_durable_utf8_in_utc_and_without_a_network(directory: Path) -> None:
    url = join(directory).url
    expected = {
        "server_encoding": "UTF8",
        "fsync": "on",
        "data_checksums": "on",
        "listen_addresses": "",
        "TimeZone": "UTC",
        "max_connections": "100",
        "password_encryption": "scram-sha-256",
    }
    assert {name: ask(url, f"SHOW {name}") for name in expected} == expected
    assert ask(url, "SELECT upper('é') || lower('Ж')") == "Éж"


def test_the_role_of_the_service_owns_its_database_and_is_no_superuser(directory: Path) -> None:
    url = join(directory).url
    assert ask(url, "SELECT current_user || '@' || current_database()") == "drg@drg"
    assert ask(url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    ask(url, "CREATE SCHEMA admin")


def test_nobody_gets_in_without_the_password(directory: Path) -> None:
    url = make_url(join(directory).url)
    for user in ("drg", "postgres"):
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(host=url.query["host"], user=user, dbname="drg", password="guess")


def test_joins_in_one_process_share_a_server_that_the_last_release_stops(directory: Path) -> None:
    first, second = join(directory), join(directory)
    assert first.url == second.url
    first.release()
    first.release()
    assert ask(second.url, "SELECT 1") == 1
    second.release()
    assert postmasters(second) == []
    assert not (second.data / "postmaster.pid").exists()


def test_processes_share_a_server_that_the_last_one_stops(directory: Path) -> None:
    server = join(directory)
    other = User.begin(directory).ready()
    assert other.url == server.url
    server.release()
    assert ask(other.url, "SELECT 1") == 1
    other.end()
    assert postmasters(server) == []


def test_processes_that_start_at_once_get_one_server(directory: Path) -> None:
    users = [User.begin(directory) for _ in range(4)]
    assert len({user.ready().url for user in users}) == 1
    assert len(postmasters(users[0])) == 1
    for user in users:
        user.end()
    assert postmasters(users[0]) == []


def test_threads_that_start_at_once_get_one_server(directory: Path) -> None:
    servers: list[EmbeddedPostgres] = []
    threads = [threading.Thread(target=lambda: servers.append(join(directory))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(servers) == 8
    assert len(postmasters(servers[0])) == 1
    for server in servers:
        assert ask(server.url, "SELECT 1") == 1
        server.release()
    assert postmasters(servers[0]) == []


def test_data_survives_a_stop_and_a_start(directory: Path) -> None:
    server = join(directory)
    ask(server.url, "CREATE TABLE t AS SELECT 42 AS answer")
    server.release()
    assert ask(join(directory).url, "SELECT answer FROM t") == 42


def test_data_survives_a_move_of_the_directory(directory: Path, folder: Path) -> None:
    server = join(directory)
    ask(server.url, "CREATE TABLE t AS SELECT 42 AS answer")
    server.release()
    directory.rename(folder / "moved")
    assert ask(join(folder / "moved").url, "SELECT answer FROM t") == 42


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(directory: Path) -> None:
    pid = postmaster_of(join(directory).data)
    assert os.getsid(pid) == pid
    assert os.getpgid(pid) == pid


def test_ctrl_c_during_a_start_leaves_no_server_running(directory: Path) -> None:
    chance = random.Random(2)
    for _ in range(6):
        user = User.begin(directory)
        time.sleep(chance.uniform(0.2, 1))
        os.killpg(user.process.pid, signal.SIGINT)
        user.process.communicate(timeout=60)
        assert not [
            arguments
            for _, arguments in processes().values()
            if arguments[1:3] == ["-k", str(directory / "postgres" / "server")]
        ]

"""What a killed user, a killed server or a killed start leaves behind."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

from data_resource_api.database.embedded import join
from tests.database.embedded.processes import (
    ROOT,
    User,
    ask,
    postmaster_of,
    postmasters,
    wait_until_gone,
)


def test_a_start_after_kill_9_of_the_only_user_joins_the_server_left_behind(
    directory: Path,
) -> None:
    user = User.begin(directory).ready()
    ask(user.url, "CREATE TABLE t AS SELECT 42 AS answer")
    left_behind = postmasters(user)
    user.kill()
    server = join(directory)
    assert postmasters(server) == left_behind
    assert ask(server.url, "SELECT answer FROM t") == 42
    server.release()
    assert postmasters(server) == []


def test_a_start_after_kill_9_of_the_server_too_recovers_its_data(directory: Path) -> None:
    user = User.begin(directory).ready()
    ask(user.url, "CREATE TABLE t AS SELECT 42 AS answer")
    user.kill()
    os.kill(postmaster_of(user.data), signal.SIGKILL)
    server = join(directory)
    assert ask(server.url, "SELECT answer FROM t") == 42
    assert len(postmasters(server)) == 1


def test_a_process_that_got_the_number_of_the_killed_server_is_not_taken_for_it(
    directory: Path,
) -> None:
    """As in a container, where the numbers start again at 1."""
    user = User.begin(directory).ready()
    ask(user.url, "CREATE TABLE t AS SELECT 42 AS answer")
    user.kill()
    killed = postmaster_of(user.data)
    os.kill(killed, signal.SIGKILL)
    wait_until_gone(killed)
    owner = user.data.stat().st_uid if ROOT else None
    with subprocess.Popen(["sleep", "60"], user=owner) as innocent:
        lock = user.data.parent / ".s.PGSQL.5432.lock"
        for file in (user.data / "postmaster.pid", lock):
            file.write_text(file.read_text().replace(str(killed), str(innocent.pid), 1))
        server = join(directory)
        assert ask(server.url, "SELECT answer FROM t") == 42
        assert innocent.poll() is None
        innocent.kill()


def test_a_server_that_dies_is_started_again_by_the_next_join_of_its_user(directory: Path) -> None:
    first = join(directory)
    os.kill(postmaster_of(first.data), signal.SIGKILL)
    second = join(directory)
    assert ask(first.url, "SELECT 1") == ask(second.url, "SELECT 1") == 1
    assert len(postmasters(second)) == 1


def test_a_child_of_a_killed_user_does_not_keep_the_server_running(directory: Path) -> None:
    user = User.begin(directory, "fork").ready()
    session = os.getsid(user.process.pid)
    user.process.kill()
    user.process.wait()
    server = join(directory)
    server.release()
    assert postmasters(server) == []
    os.killpg(session, signal.SIGKILL)
    user.process.communicate()


def test_a_kill_during_the_initialisation_leaves_nothing_half_done(directory: Path) -> None:
    chance = random.Random(1)
    for _ in range(6):
        user = User.begin(directory)
        time.sleep(chance.uniform(0.2, 1))
        user.kill()
    server = join(directory)
    assert ask(server.url, "SELECT 1") == 1
    assert len(postmasters(server)) == 1


def test_what_a_killed_initialisation_left_is_removed(directory: Path) -> None:
    leftover = directory / "postgres.new-abc" / "server" / "data"
    leftover.mkdir(parents=True)
    (leftover / "PG_VERSION").write_text("18\n")
    assert ask(join(directory).url, "SELECT 1") == 1
    expected = {"postgres", "start.lock", "users.lock"}
    assert {path.name for path in directory.iterdir()} == expected

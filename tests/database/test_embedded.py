"""The embedded PostgreSQL, on real servers in short folders that are removed afterwards."""

import contextlib
import importlib.machinery
import importlib.util
import logging
import os
import pwd
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy import create_engine, make_url, text

from data_resource_api.database import cluster, embedded, programs
from data_resource_api.database.embedded import EmbeddedPostgres, EmbeddedPostgresError, join

PROJECT = Path(__file__).parents[2]
ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="only root runs the server as another user")

USER = """
import os, sys, time
from pathlib import Path
from data_resource_api.database.embedded import join
if sys.argv[2:3] == ["as"]:
    # Only now, because that user need not be able to reach this interpreter.
    os.setgroups([])
    os.setgid(int(sys.argv[4]))
    os.setuid(int(sys.argv[3]))
server = join(Path(sys.argv[1]))
if "fork" in sys.argv and os.fork() == 0:
    time.sleep(60)
    os._exit(0)
print(server.url, server.data, sep="\\n", flush=True)
sys.stdin.readline()
"""


@dataclass
class User:
    """Another process that uses the server in a directory until it is told to end or killed."""

    process: subprocess.Popen[str]
    url: str = ""
    data: Path = Path()

    @classmethod
    def begin(cls, directory: Path, *arguments: str, **options: Any) -> "User":
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT)}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        process = subprocess.Popen(
            [sys.executable, "-c", USER, str(directory), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            start_new_session=True,
            env=environment | options.pop("env", {}),
            **options,
        )
        return cls(process)

    def ready(self) -> "User":
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        self.data = Path(self.process.stdout.readline().strip())
        assert self.url, "the process ended before it had joined"
        return self

    def end(self) -> None:
        self.process.communicate("\n", timeout=60)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can enter, as short as a socket's path wants it."""
    folder = Path(tempfile.mkdtemp(prefix="drg-", dir="/tmp")).resolve()
    folder.chmod(0o755)
    yield folder
    for used in [used for used in embedded._uses if used.is_relative_to(folder)]:
        for handle in list(embedded._uses[used].handles):
            handle.release()
    for file in folder.rglob("postmaster.pid"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(postmaster_of(file.parent), signal.SIGQUIT)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def directory(folder: Path) -> Path:
    return folder / "var"


def ask(url: str, statement: str) -> Any:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            result = connection.execute(text(statement))
            return result.scalar() if result.returns_rows else None
    finally:
        engine.dispose()


def processes() -> dict[int, tuple[int, list[str]]]:
    """The parent and the command line of each process."""
    if not Path("/proc/self/cmdline").exists():
        listing = ["ps", "-axo", "pid=,ppid=,args="]
        lines = subprocess.run(listing, capture_output=True, text=True, check=True).stdout
        rows = [line.split() for line in lines.splitlines()]
        return {int(pid): (int(parent), arguments) for pid, parent, *arguments in rows}
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            arguments = (entry / "cmdline").read_text(errors="replace").split("\0")
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            found[int(entry.name)] = int(parent), arguments
    return found


def postmasters(server: EmbeddedPostgres | User) -> list[int]:
    sockets = make_url(server.url).query["host"]
    found = {
        pid: parent
        for pid, (parent, arguments) in processes().items()
        if Path(arguments[0]).name == "postgres" and arguments[1:3] == ["-k", sockets]
    }
    # A server's child has its parent's command line for a moment.
    return [pid for pid, parent in found.items() if parent not in found]


def postmaster_of(data: Path) -> int:
    return int((data / "postmaster.pid").read_text().split()[0])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        _, arguments = processes().get(pid, (0, [""]))
        if arguments == [""]:
            return
        time.sleep(0.01)
    pytest.fail(f"process {pid} is still there")


# --- Starting, joining, stopping ---------------------------------------------------------------


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


# --- Kills -------------------------------------------------------------------------------------


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


# --- Secrets -----------------------------------------------------------------------------------


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
        pytest.skip("needs /proc")
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


# --- Users and permissions ---------------------------------------------------------------------


def test_permissions_of_folders_that_were_there_stay_as_they_were(folder: Path) -> None:
    directory = folder / "a" / "b"
    directory.mkdir(parents=True)
    parents = [folder, folder / "a", directory]
    parents[1].chmod(0o751)
    before = [(path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in parents]
    join(directory).release()
    after = [(path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in parents]
    assert after == before


def test_the_data_and_the_socket_are_in_a_folder_that_only_its_owner_can_enter(
    directory: Path,
) -> None:
    server = join(directory)
    private = server.data.parent
    assert mode(private) == mode(server.data) == 0o700
    assert make_url(server.url).query["host"] == str(private)
    assert private.stat().st_uid != 0


def installed_package() -> Path:
    spec = importlib.util.find_spec(programs.PACKAGE)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


@pytest.fixture
def nobody() -> pwd.struct_passwd:
    """An ordinary user, who can at least reach the programs of PostgreSQL."""
    nobody = pwd.getpwnam("nobody")
    try:
        programs._ask_version(installed_package(), programs.Account(nobody.pw_uid, nobody.pw_gid))
    except PermissionError:
        pytest.skip("an ordinary user cannot reach this environment")
    return nobody


def begin_as(user: pwd.struct_passwd, directory: Path, **options: Any) -> User:
    return User.begin(directory, "as", str(user.pw_uid), str(user.pw_gid), **options)


@as_root
def test_an_ordinary_user_has_everything_in_the_directory(
    folder: Path, nobody: pwd.struct_passwd
) -> None:
    home = folder / "home"
    home.mkdir(0o700)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    user = begin_as(nobody, home / "var", env={"HOME": str(home), "TMPDIR": str(home)}).ready()
    assert ask(user.url, "SELECT 1") == 1
    assert user.data == home / "var" / "postgres" / "server" / "data"
    assert {path.lstat().st_uid for path in home.rglob("*")} == {nobody.pw_uid}
    assert mode(home / "var" / "postgres" / "password") == 0o600
    user.end()
    assert postmasters(user) == []


@as_root
def test_root_can_use_what_an_ordinary_user_made_and_the_user_goes_on_after(
    folder: Path, nobody: pwd.struct_passwd
) -> None:
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    begin_as(nobody, folder / "var").ready().end()
    server = join(folder / "var")
    ask(server.url, "CREATE TABLE t AS SELECT 42 AS answer")
    server.release()
    user = begin_as(nobody, folder / "var").ready()
    assert ask(user.url, "SELECT answer FROM t") == 42
    user.end()


@as_root
def test_the_cluster_is_elsewhere_when_its_user_cannot_reach_the_directory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "SHARED", folder / "shared")
    private = folder / "private"
    private.mkdir(0o700)
    server = join(private / "var")
    assert server.data.is_relative_to(folder / "shared")
    assert mode(private) == 0o700
    assert mode(folder / "shared") == 0o755
    ask(server.url, "CREATE TABLE t AS SELECT 42 AS answer")
    server.release()
    again = join(private / "var")
    assert again.data == server.data
    assert ask(again.url, "SELECT answer FROM t") == 42
    assert join(private / "other").data != server.data


@as_root
def test_programs_that_the_server_s_user_cannot_reach_are_copied_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "SHARED", folder / "shared")
    private = folder / "private"
    private.mkdir(0o700)
    package = installed_package()
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            (private / part.name).symlink_to(part)
    spec = importlib.machinery.ModuleSpec(package.name, None, is_package=True)
    spec.submodule_search_locations = [str(private / package.name)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)

    server = join(folder / "var")
    assert ask(server.url, "SELECT 1") == 1
    copies = [path.stat().st_ino for path in (folder / "shared").glob(f"{package.name}-*")]
    assert len(copies) == 1
    server.release()
    join(folder / "var")
    again = [path.stat().st_ino for path in (folder / "shared").glob(f"{package.name}-*")]
    assert again == copies
    assert mode(private) == 0o700


@as_root
def test_a_cluster_of_root_s_is_refused_with_what_to_do(directory: Path) -> None:
    server = join(directory)
    server.release()
    os.chown(server.data.parent, 0, 0)
    with pytest.raises(EmbeddedPostgresError, match=r"belongs to root.*chown"):
        join(directory)


@as_root
def test_a_directory_of_another_user_s_is_refused_with_what_to_do(
    directory: Path, nobody: pwd.struct_passwd
) -> None:
    join(directory).release()
    user = begin_as(nobody, directory, stderr=subprocess.PIPE)
    _, errors = user.process.communicate(timeout=60)
    assert "EmbeddedPostgresError" in errors
    assert "run the service as that user" in errors


# --- Surroundings ------------------------------------------------------------------------------


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

"""Real PostgreSQL servers on TCP ports of their own: a primary, streaming replicas, PgBouncer."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2

from data_resource_api.database.programs import Account, find_server
from tests.service import free_port

#: What makes a server of a test quick: it need not outlive the machine.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "timezone": "UTC",
    "max_connections": "100",
    "wal_level": "replica",
    "hot_standby_feedback": "on",
    "wal_receiver_status_interval": "100ms",
}


class Node:
    """One server: its data, its port, and what an operator does to it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.port = free_port()
        self.server = find_server(folder / name)
        self.home = folder / name
        self.data = self.home / "server" / "data"
        self.home.mkdir()
        self.home.chmod(0o755)
        (self.home / "server").mkdir(mode=0o700)
        if os.geteuid() == 0:
            account = self.server.account
            os.chown(self.home / "server", account.uid, account.gid)

    def run(self, program: str, *arguments: str) -> str:
        done, output = self.server.run(self.home, program, *arguments)
        assert done, f"{program} of {self.name}: {output}"
        return output

    def initialise(self, **settings: str) -> None:
        """Make an empty cluster whose superuser is ``drg``; it trusts whoever is on this machine."""
        stated = [f"--set={name}={value}" for name, value in {**SETTINGS, **settings}.items()]
        self.run("initdb", "--username=drg", "--auth=trust", "--no-sync", "--no-locale",
                 "--encoding=UTF8", *stated)  # fmt: skip

    def copy(self, primary: Node) -> None:
        """Become a streaming replica of another server."""
        source = f"host=127.0.0.1 port={primary.port} user=drg application_name={self.name}"
        self.run("pg_basebackup", "--pgdata", str(self.data), "--dbname", source, "--checkpoint=fast",
                 "--wal-method=stream", "--write-recovery-conf", "--no-sync")  # fmt: skip

    def start(self) -> Node:
        options = f"--options=-p {self.port}"
        self.run("pg_ctl", "start", "--wait", "--silent", "--log=log", options)
        return self

    def stop(self) -> None:
        """As an operator: running statements are cancelled, connections closed."""
        self.run("pg_ctl", "stop", "--mode=fast", "--wait", "--silent")

    def wait_for(self, replica: Node) -> None:
        """From now on a commit is answered when this replica has it on its disk."""
        self.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{replica.name}'")
        self.execute("SELECT pg_reload_conf()")
        asked = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        wait_for("replication is synchronous", lambda: self.execute(asked) == [(1,)])

    def promote(self) -> None:
        """Make a replica the primary, and wait until it takes writes."""
        self.run("pg_ctl", "promote", "--wait", "--silent")

    @property
    def pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def processes(self) -> list[int]:
        """The postmaster and its children."""
        found = [self.pid]
        for entry in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = entry.read_text().rpartition(")")[2].split()
                if int(fields[1]) == self.pid:
                    found.append(int(entry.parent.name))
        return found

    def signal(self, number: int) -> None:
        """Send a signal to every process of the server, those that are forked meanwhile too."""
        told: set[int] = set()
        while new := set(self.processes()) - told:
            for pid in new:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            told |= new

    def kill(self) -> None:
        """SIGKILL, as when the machine loses its power."""
        self.signal(signal.SIGKILL)
        deadline = time.monotonic() + 20
        while self.listens():
            assert time.monotonic() < deadline, f"{self.name} is still there"
            time.sleep(0.02)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def listens(self) -> bool:
        try:
            psycopg2.connect(self.login("postgres")).close()
        except psycopg2.OperationalError as error:
            return "refused" not in str(error)
        return True

    def login(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user=drg dbname={database}"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://drg@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        with contextlib.closing(psycopg2.connect(self.login(database))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

    def clear(self) -> None:
        """Stop whatever still runs of it."""
        if (self.data / "postmaster.pid").exists():
            self.signal(signal.SIGCONT)
            self.server.run(self.home, "pg_ctl", "stop", "--mode=immediate", "--wait", "--silent")


def wait_for(what: str, condition: Any, seconds: float = 20) -> None:
    """Until a condition holds; a test that waits in vain says for what."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def caught_up(primary: Node, replica: Node) -> None:
    """Until a replica has replayed everything that is in the primary's log."""
    ((position,),) = primary.execute("SELECT pg_current_wal_insert_lsn()")
    asked = f"SELECT pg_last_wal_replay_lsn() >= '{position}'"
    wait_for("the replica catches up", lambda: replica.execute(asked) == [(True,)])


@contextlib.contextmanager
def behind(primary: Node, replica: Node) -> Iterator[None]:
    """Meanwhile the replica receives changes and does not make them: what it shows is older."""
    caught_up(primary, replica)
    replica.execute("SELECT pg_wal_replay_pause()")
    asked = "SELECT pg_get_wal_replay_pause_state()"
    wait_for("replay is paused", lambda: replica.execute(asked) == [("paused",)])
    yield
    replica.execute("SELECT pg_wal_replay_resume()")
    caught_up(primary, replica)


@contextlib.contextmanager
def nodes(*names: str, **settings: str) -> Iterator[list[Node]]:
    """Servers with these names, the first one a running primary, the others running replicas of it."""
    folder = Path(tempfile.mkdtemp(prefix="drg-nodes-")).resolve()
    folder.chmod(0o755)
    made: list[Node] = []
    try:
        for name in names:
            node = Node(folder, name)
            made.append(node)
            if node is made[0]:
                node.initialise(**settings)
            else:
                node.copy(made[0])
            node.start()
        yield made
    finally:
        for node in reversed(made):
            node.clear()
        shutil.rmtree(folder, ignore_errors=True)


class PgBouncer:
    """A pooler in transaction mode before a server, with nothing configured but that."""

    def __init__(self, program: str, node: Node, folder: Path, connections: int) -> None:
        self.port = free_port()
        self._node = node
        users = folder / "users.txt"
        users.write_text('"drg" ""\n')
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(
            "[databases]\n"
            f"* = host=127.0.0.1 port={node.port}\n"
            "[pgbouncer]\n"
            "listen_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\n"
            "unix_socket_dir =\n"
            "auth_type = trust\n"
            f"auth_file = {users}\n"
            "pool_mode = transaction\n"
            f"default_pool_size = {connections}\n"
            "max_client_conn = 200\n"
            "admin_users = drg\n"
        )
        account = node.server.account
        self._log = folder / "pgbouncer.log"
        self._command = [program, str(configuration)]
        self._account = account
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        root = os.geteuid() == 0
        account: Account = self._account
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=account.uid if root else None,
                group=account.gid if root else None,
                extra_groups=[] if root else None,
            )
        wait_for(f"PgBouncer listens: {self._log.read_text()}", self._listens)

    def _listens(self) -> bool:
        try:
            psycopg2.connect(f"host=127.0.0.1 port={self.port} user=drg dbname=pgbouncer").close()
        except psycopg2.OperationalError as error:
            return "refused" not in str(error)
        return True

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
        self.process = None

    def url(self, database: str) -> str:
        return f"postgresql://drg@127.0.0.1:{self.port}/{database}"

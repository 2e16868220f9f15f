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
import fcntl
import logging
import multiprocessing.util
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

from data_resource_api.database.cluster import find_home, find_running, initialise, start, stop
from data_resource_api.database.locks import close_lock, locked, open_lock, try_exclusively
from data_resource_api.database.programs import EmbeddedPostgresError, find_server

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "join"]

logger = logging.getLogger("data_resource_api")


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
            with locked(directory / "start.lock"):
                return _join(directory)
        except OSError as error:
            raise EmbeddedPostgresError(
                f"The embedded PostgreSQL in {directory} cannot be used: {error}. If it is another "
                "user's, run the service as that user; else set DRG_DATA_DIR to another folder."
            ) from error


def _join(directory: Path) -> EmbeddedPostgres:
    uses = _uses.get(directory)
    if uses is None:
        uses = _Uses(find_home(directory), open_lock(directory / "users.lock"))
        # A child of multiprocessing's, such as a server's worker, ends without atexit.
        multiprocessing.util.Finalize(None, _release_all, exitpriority=0)
    home = uses.home
    try:
        first = not uses.handles and try_exclusively(uses.lock)
        fcntl.flock(uses.lock, fcntl.LOCK_SH)
        url = find_running(home)
        if url is None:
            server = find_server(home)
            if not home.exists():
                initialise(home, server)
            url = start(home, server)
        handle = EmbeddedPostgres(url, home / "server" / "data", directory)
        uses.handles.add(handle)
        _uses[directory] = uses
    except (KeyboardInterrupt, SystemExit):
        if not uses.handles and try_exclusively(uses.lock):
            stop(home)
        raise
    finally:
        if not uses.handles:
            close_lock(uses.lock)
    level = logging.INFO if first else logging.DEBUG
    logger.log(level, "The embedded PostgreSQL is running; its data is in %s", handle.data)
    return handle


def _leave(directory: Path, uses: "_Uses") -> None:
    try:
        with locked(directory / "start.lock"):
            if try_exclusively(uses.lock):
                stop(uses.home)
    except FileNotFoundError:
        logger.warning("%s is gone; its PostgreSQL notices that and stops", directory)
    finally:
        close_lock(uses.lock)


@dataclass(frozen=True, slots=True)
class _Uses:
    """This process's uses of one server, and the shared lock that stands for all of them."""

    home: Path
    lock: int
    handles: set[EmbeddedPostgres] = field(default_factory=set)


_guard = threading.Lock()
_uses: dict[Path, _Uses] = {}


def _release_all() -> None:
    for uses in list(_uses.values()):
        for handle in list(uses.handles):
            handle.release()


def _forget_parent() -> None:
    """In a forked child: its parent's uses are not its own."""
    global _guard  # Another thread of the parent may hold it.
    _guard = threading.Lock()
    _uses.clear()


atexit.register(_release_all)
os.register_at_fork(after_in_child=_forget_parent)

"""``drg serve``: the application in granian's worker processes, over one PostgreSQL.

The *master* checks what can be checked, joins the embedded PostgreSQL where no database is
configured, starts the workers, and ends in the opposite order. It gives each worker its settings as
a value, by fork or through a pipe: no secret is ever an argument of a program. A worker reports
whether it could start, leaves a terminal's signals to the master, and ends when the master is gone.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from errno import EADDRINUSE
from multiprocessing.connection import Connection
from typing import Any, Final, NoReturn

import sqlalchemy as sa
from flask import Flask
from granian import Granian
from granian import _signals as granian_signals
from granian.constants import Interfaces
from granian.log import LogLevels

from data_resource_api.app import create_app
from data_resource_api.audit import open_audit_log
from data_resource_api.database.capacity import allowed_connections, shortage
from data_resource_api.database.credentials import resolve
from data_resource_api.database.embedded import join
from data_resource_api.database.engine import create_engine
from data_resource_api.generator import Generator
from data_resource_api.logs import FORMATTERS, configure_logging
from data_resource_api.metrics import counted_together
from data_resource_api.security import guard_for
from data_resource_api.settings import Settings

logger = logging.getLogger("data_resource_api")

#: Seconds that requests have to finish in once the service is told to stop.
DRAIN_SECONDS: Final = 25
#: Seconds to wait for a port, which the workers of a service that was killed may be leaving.
PORT_SECONDS: Final = 2
#: Seconds in which a worker's loop begins, once granian's handler of signals is in place.
SETTLE_SECONDS: Final = 1.0
#: Seconds between a worker's looks at whether its master still is.
WATCH_SECONDS: Final = 0.2
#: The most workers by default: with as many, the embedded PostgreSQL has connections for all.
MOST_WORKERS: Final = 8


class CannotServe(Exception):
    """The service cannot start here; the message tells a person why."""


def default_workers() -> int:
    """One for each core that this process may use, up to :data:`MOST_WORKERS`."""
    allowed = getattr(os, "sched_getaffinity", None)  # not on macOS
    cores = len(allowed(0)) if allowed else os.cpu_count() or 1
    return min(cores, MOST_WORKERS)


def serve(settings: Settings, *, host: str, port: int, workers: int) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP; then let requests finish, and stop.

    :raises ConfigurationError: the settings cannot be served.
    :raises CannotServe: the address cannot be listened on, or a worker cannot start.
    :raises EmbeddedPostgresError: no database is configured, and the embedded one does not run.
    """
    on_hangup = _stop_at_signals()
    configure_logging(settings)
    guard_for(settings)
    open_audit_log(settings)  # said once, before there are workers
    address = _free_address(host, port)
    with counted_together(), _with_database(settings) as complete:
        server = Granian(
            "data_resource_api.app:create_app",
            address=address,
            port=port,
            interface=Interfaces.WSGI,
            workers=workers,
            # A request holds at most one connection: another thread could only wait for one.
            blocking_threads=settings.pool_size,
            workers_kill_timeout=DRAIN_SECONDS,
            respawn_failed_workers=True,
            websockets=False,
            log_level=LogLevels.error,
            log_dictconfig=_granian_logging(settings),
        )
        url = f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
        master = _Master(server, workers, url, on_hangup, complete)
        server.on_startup(master.start)
        worker = _Worker(complete, master.reporter, os.getpid())
        server.serve(target_loader=worker, wrap_loader=False)
    if master.failure is not None:
        raise CannotServe(master.failure)


def _granian_logging(settings: Settings) -> dict[str, Any]:
    """Failures only, in our format: what granian tells at its start we tell better."""
    return {
        "formatters": {"generic": {"()": FORMATTERS[settings.log_format]}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "generic"}},
        "loggers": {"_granian": {"handlers": ["console"], "propagate": False}},
    }


@contextlib.contextmanager
def _with_database(settings: Settings) -> Iterator[Settings]:
    """The settings with a database in them; the embedded one runs as long as the block does."""
    settings = resolve(settings)
    if settings.sqlalchemy_url is not None:
        yield settings
        return
    embedded = join(settings.data_dir)
    try:
        yield replace(settings, database_url=embedded.url)
    finally:
        embedded.release()


def _free_address(host: str, port: int) -> str:
    """The numeric address of a host, where nobody listens on the port.

    granian's sockets share a port with whoever shares it too, so that it would not notice.
    """
    deadline = time.monotonic() + PORT_SECONDS
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        while True:
            try:
                socket.create_server(address[:2], family=family).close()
            except OSError as error:
                if error.errno != EADDRINUSE or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return str(address[0])
    except OSError as error:
        if error.errno == EADDRINUSE:
            raise CannotServe(
                f"Port {port} on {host} is in use. Stop what listens there, or name another: --port."
            ) from error
        reason = error.strerror or str(error)
        raise CannotServe(f"It cannot listen on {host}, port {port}: {reason}.") from error


# ── signals ──────────────────────────────────────────────────────────────────────────────────────


def _hear(heard: Callable[[], object]) -> None:
    """Have a thread of its own call this for each signal that has a handler in Python.

    The handler itself runs in the main thread, when that executes Python again. But the system may give a
    signal to any thread, and a main thread that waits for a lock meanwhile learns nothing of it.
    """
    receiving, waking = os.pipe()
    os.set_blocking(waking, False)
    signal.set_wakeup_fd(waking, warn_on_full_buffer=False)

    def listen() -> None:
        while os.read(receiving, 1):
            heard()

    threading.Thread(target=listen, name="signals", daemon=True).start()


def _leave_to_listener(_number: int, _frame: object) -> None:
    """What a handler does where a thread hears the signals."""


# ── the master ───────────────────────────────────────────────────────────────────────────────────


def _let_workers_start_without_handlers() -> None:
    """Have a forked worker end by SIGTERM at once, as long as granian does not serve in it.

    It would otherwise begin with the master's handler, and lose the signal.
    """
    blocked = {signal.SIGTERM}

    def begin() -> None:
        signal.set_wakeup_fd(-1)  # the master's
        _leave_signals_to_master()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, blocked)

    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, blocked),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, blocked),
        after_in_child=begin,
    )


def _stop_at_signals() -> Any:
    """Have the signals that stop a service end this process in order, until granian has them.

    :returns: what SIGHUP did before; ``nohup`` has it ignored.
    """

    def stop(_number: int, _frame: object) -> NoReturn:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        raise SystemExit(0)

    on_hangup = signal.getsignal(signal.SIGHUP)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    if on_hangup != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, stop)
    return on_hangup


@dataclass(frozen=True, slots=True)
class _Report:
    """What a worker tells: why it cannot start, or what it serves.

    :ivar live: the data resource's name; ``None`` when nothing has been generated.
    """

    failure: str | None = None
    live: str | None = None
    problem: bool = False


class _Master:
    """Hears the workers' reports: says when the service serves, and ends it when one cannot."""

    def __init__(
        self, server: Any, workers: int, url: str, on_hangup: Any, settings: Settings
    ) -> None:
        self.failure: str | None = None
        self._reports, self.reporter = multiprocessing.Pipe(duplex=False)
        self._server = server
        self._workers = workers
        self._url = url
        self._on_hangup = on_hangup
        self._settings = settings

    def start(self) -> None:
        """Begin to listen; granian has set its signal handlers and is about to start workers."""
        ignored = self._on_hangup == signal.SIG_IGN
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else _leave_to_listener)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _leave_to_listener)
        _hear(self._server.signal_handler_interrupt)
        _let_workers_start_without_handlers()
        threading.Thread(target=self._listen, name="reports", daemon=True).start()

    def _listen(self) -> None:
        started = 0
        while self.failure is None:
            report: _Report = self._reports.recv()
            started += 1
            self.failure = report.failure
            if started == self._workers and self.failure is None:
                self._announce(report)
                self._warn_of_shortage()
        self._server.signal_handler_interrupt()

    def _announce(self, report: _Report) -> None:
        count = "1 worker" if self._workers == 1 else f"{self._workers} workers"
        logger.info("Serving on %s with %s.", self._url, count)
        if report.live is not None:
            logger.info("%s is live: see %s/ui/", report.live, self._url)
        elif not report.problem:
            command = f"drg generate PAYLOAD.json --url {self._url}"
            logger.info("Nothing has been generated yet: `%s`, or see %s/", command, self._url)

    def _warn_of_shortage(self) -> None:
        """Compare what the workers may open with what PostgreSQL lets in; a pooler has its own limits."""
        settings = self._settings
        if settings.sqlalchemy_url is None or settings.pooler:
            return
        engine = create_engine(
            settings.sqlalchemy_url, pool_size=1, statement_timeout=settings.statement_timeout
        )
        try:
            allowed = allowed_connections(engine)
        except sa.exc.SQLAlchemyError:  # it is away: the workers tell, and go on trying
            return
        finally:
            engine.dispose()
        warning = shortage(self._workers, settings.pool_size, allowed)
        if warning is not None:
            logger.warning(warning)


# ── a worker ─────────────────────────────────────────────────────────────────────────────────────


def _leave_signals_to_master() -> None:
    """A terminal's signals go to all of its processes; the master decides what they mean."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # granian's comes when it serves


def _hear_stop() -> None:
    """Stop at SIGTERM, also at one that comes while granian starts to serve, which it would lose."""
    signals: Any = granian_signals  # it has no types
    set_signals, install = signals.set_sync_signals, signals.set_main_signals
    stopping: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def set_signals_and_tell() -> Any:
        event = set_signals()
        stopping.put((event, time.monotonic() + SETTLE_SECONDS))
        return event

    def stop() -> None:
        event, served = stopping.get()
        time.sleep(max(0.0, served - time.monotonic()))
        event.set()
        stopping.put((event, served))

    signals.set_main_signals = lambda *_: install(_leave_to_listener)
    signals.set_sync_signals = set_signals_and_tell
    _hear(stop)


@dataclass(frozen=True, slots=True)
class _Worker:
    """Makes the application in a worker process, where granian calls it."""

    settings: Settings
    reporter: Connection
    master: int

    def __call__(self) -> Flask:
        """The application; where it cannot be made, wait for the master to end this process."""
        _leave_signals_to_master()
        _hear_stop()
        threading.Thread(target=self._follow_master, name="follow", daemon=True).start()
        try:
            app = create_app(self.settings)
        except Exception as error:
            logger.exception("A worker cannot start.")
            self.reporter.send(_Report(failure=f"The service cannot start: {error}"))
            while True:
                signal.pause()
        generator: Generator = app.extensions["data_resource_api"]
        live = generator.current
        name = live.resource.name if live.resource else None
        self.reporter.send(_Report(live=name, problem=live.problem is not None))
        return app

    def _follow_master(self) -> None:
        while os.getppid() == self.master:
            time.sleep(WATCH_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(DRAIN_SECONDS)
        os._exit(1)

"""The audit log: one JSON line per write and per refused request, without values.

A line says when, under which request id, who (as the token says, and from which address), what (method
and operation), which row (the key in the path, or of the row that was created), and how it ended. It never
holds a body, a query string or a token. It is written when the answer is ready, before the answer is
sent, by one ``write`` to a file that is open for appending: so the lines of several worker processes do
not mix (POSIX; not so on NFS).
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from data_resource_api.compiler.openapi import Operation
from data_resource_api.errors import ConfigurationError
from data_resource_api.json_text import write_json
from data_resource_api.logs import current_request
from data_resource_api.rest.batch.running import Batch, Done
from data_resource_api.rest.direct import BATCH, KEY, OPERATION, ROWS
from data_resource_api.rest.plan import READS
from data_resource_api.rest.refusals import REQUEST_ID
from data_resource_api.settings import Settings

logger = logging.getLogger("data_resource_api")
audit_logger = logging.getLogger("data_resource_api.audit")

#: Who a token speaks for, and the client that it was issued to, in the WSGI environment.
SUBJECT: Final = "drg.subject"
CLIENT: Final = "drg.client"

STANDARD_ERROR: Final = "-"
OFF: Final = "off"

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: What is refused for who asks, whatever is asked for.
_DENIED: Final = frozenset({401, 403})
#: The answer to a batch whose operations are all done.
_ALL_DONE: Final = 200


class AuditLog:
    """Writes the audit log's lines to ``data_resource_api.audit``, or nothing where it is off."""

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled

    def concerns(self, environ: Mapping[str, Any], status: int) -> bool:
        """Whether a request that was answered with this status belongs into the log."""
        if not self.enabled:
            return False
        if status in _DENIED:
            return True
        if environ["REQUEST_METHOD"] in _SAFE_METHODS:
            return False
        operation: Operation | None = environ.get(OPERATION)
        return operation is None or operation.kind not in READS

    def record(self, environ: Mapping[str, Any], status: int, seconds: float) -> None:
        """Write the line of one answered request.

        A line that cannot be written is logged as an error with its text: the change has been made,
        and refusing to tell the client would not undo it.
        """
        batch: Batch | None = environ.get(BATCH)
        if batch is None:
            audit_logger.info("%s", _line(environ, status, seconds))
            return
        for done in batch.changes:  # which are all made, or none is
            ended = status if done.status is None or status != _ALL_DONE else done.status
            audit_logger.info("%s", _line(_as_request(done, environ), ended, seconds))


def open_audit_log(settings: Settings) -> AuditLog:
    """The audit log that the settings ask for; the logger's handler is replaced.

    :raises ConfigurationError: the file cannot be appended to.
    """
    target = settings.audit_log or (STANDARD_ERROR if settings.production else OFF)
    handler: logging.Handler
    if target.lower() == OFF:
        handler = logging.NullHandler()
    elif target == STANDARD_ERROR:
        handler = logging.StreamHandler()
    else:
        handler = _AppendingHandler(Path(target))
    for former in tuple(audit_logger.handlers):
        audit_logger.removeHandler(former)
        former.close()
    handler.setFormatter(logging.Formatter("%(message)s"))
    audit_logger.addHandler(handler)
    audit_logger.setLevel(logging.INFO)
    audit_logger.propagate = False
    return AuditLog(enabled=target.lower() != OFF)


def _as_request(done: Done, environ: Mapping[str, Any]) -> dict[str, Any]:
    """An operation of a batch, as the request that it would be on its own."""
    return {
        **environ,
        "REQUEST_METHOD": done.method,
        "PATH_INFO": done.path,
        OPERATION: done.operation,
        KEY: done.key,
        **({} if done.rows is None else {ROWS: done.rows}),
    }


def _line(environ: Mapping[str, Any], status: int, seconds: float) -> str:
    operation: Operation | None = environ.get(OPERATION)
    path = environ.get("PATH_INFO", "")
    if operation is None:
        template, key = _administration(path)
    else:
        template, key = operation.path, environ[KEY]
    request = current_request.get()
    trace = request.trace() if request is not None else None
    line = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "id": environ.get(REQUEST_ID),
        "trace": trace and trace[0],
        "subject": environ.get(SUBJECT),
        "client": environ.get(CLIENT),
        "address": environ.get("REMOTE_ADDR") or None,
        "method": environ["REQUEST_METHOD"],
        "path": path,
        "operation": template,
        "table": operation and operation.table,
        "related": operation and operation.related,
        "key": key,
        **({"rows": environ[ROWS]} if ROWS in environ else {}),
        "status": status,
        "milliseconds": round(seconds * 1000, 1),
    }
    return write_json(line).decode()


def _administration(path: str) -> tuple[str | None, str | None]:
    """The template of an administration route, and the number of a draft in it."""
    first, _, rest = path.strip("/").partition("/")
    if first == "generator" and not rest:
        return "/generator", None
    return ("/tableschema/{id}", rest) if first == "tableschema" and rest else (None, None)


class _AppendingHandler(logging.Handler):
    """Appends each line with one ``write``; follows the file when it is rotated by renaming.

    :raises ConfigurationError: the file cannot be appended to.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._torn = False
        self._writing = threading.Lock()
        try:
            self._open()
        except OSError as error:
            raise ConfigurationError(
                f"DRG_AUDIT_LOG: {file} cannot be appended to: {error.strerror}. Name a file that "
                "this user can write, - for standard error, or off."
            ) from error
        super().__init__()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(self._file, flags, 0o600)

    def _follow(self) -> None:
        """Open the file anew where its name means another one now, or none."""
        opened = os.fstat(self._descriptor)
        with contextlib.suppress(FileNotFoundError):
            named = self._file.stat()
            if (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino):
                return
        former = self._descriptor
        self._open()
        os.close(former)

    def emit(self, record: logging.LogRecord) -> None:
        """Append the record's message; where that fails, log it as an error instead."""
        text = self.format(record)
        data = f"{text}\n".encode()
        try:
            with self._writing:
                self._follow()
                start = b"\n" if self._torn else b""  # a full disk has cut the line before
                written = os.write(self._descriptor, start + data)
                self._torn = written < len(start + data)
                if self._torn:
                    raise OSError(0, "only a part of the line was written")
        except OSError as error:
            logger.error(  # noqa: TRY400 (a full disk needs no traceback)
                "DRG_AUDIT_LOG: %s cannot be appended to: %s. The line was: %s",
                self._file,
                error.strerror,
                text,
            )

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        super().close()

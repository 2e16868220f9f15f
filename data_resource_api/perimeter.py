"""The outermost layer: what every request and every answer has, whoever answers it.

A request gets an id, and is counted. An answer gets the id in ``X-Request-Id``, the security headers, and
what CORS says. A write or a refusal gets a line in the audit log.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from data_resource_api.audit import AuditLog
from data_resource_api.cors import CrossOrigin
from data_resource_api.logs import RequestContext, current_request
from data_resource_api.metrics import Metrics
from data_resource_api.rest.refusals import REQUEST_ID

#: An id that a client or a proxy may give; another is replaced, so that no log is forged by it.
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

#: On every answer that does not state them itself, as a page does with its own policy. Rows are for who
#: asked: no cache keeps them. What is JSON is not a page: it loads nothing and is framed by nobody.
SECURITY_HEADERS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
)

_STATED: Final = frozenset(name for name, _ in SECURITY_HEADERS)

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Perimeter:
    """WSGI middleware around everything else."""

    def __init__(
        self, inner: WsgiApp, cross_origin: CrossOrigin, audit_log: AuditLog, metrics: Metrics
    ) -> None:
        self._inner = inner
        self._cross_origin = cross_origin
        self._audit_log = audit_log
        self._metrics = metrics

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one WSGI request."""
        began = time.perf_counter()
        answered = ""
        given = environ.get("HTTP_X_REQUEST_ID")
        if given is None or _REQUEST_ID.fullmatch(given) is None:
            # A name, not a secret: reading the system's random numbers would give up Python's lock.
            given = f"{random.getrandbits(128):032x}"
        environ[REQUEST_ID] = given

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            nonlocal answered
            answered = status
            stated = [name for name, _ in headers if name in _STATED]
            headers = [
                *headers,
                *(_unstated(stated) if stated else SECURITY_HEADERS),
                *self._cross_origin.headers(environ),
                ("X-Request-Id", given),
            ]
            return start_response(status, headers, exc_info)

        preflight = self._cross_origin.preflight(environ)
        if preflight is not None:
            start("204 No Content", preflight)
            return []
        answering = current_request.set(RequestContext(given, environ.get("HTTP_TRACEPARENT")))
        try:
            body = self._inner(environ, start)
            status, seconds = int(answered[:3]), time.perf_counter() - began
            self._metrics.observe(environ, status, seconds)
            if self._audit_log.concerns(environ, status):
                self._audit_log.record(environ, status, seconds)
        finally:
            current_request.reset(answering)
        return body


def _unstated(stated: Sequence[str]) -> list[tuple[str, str]]:
    return [header for header in SECURITY_HEADERS if header[0] not in stated]

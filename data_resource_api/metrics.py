"""Metrics for Prometheus: how many requests, of which operation, how they ended and how long they took.

Each worker writes its own numbers into a file that it has mapped into memory, in a folder that the master
makes (``PROMETHEUS_MULTIPROC_DIR``); whichever worker is asked adds all of them up. Without that folder, as
under ``flask run``, a process tells of itself.

The format is Prometheus' text exposition format <https://prometheus.io/docs/instrumenting/exposition_formats/>.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from data_resource_api.compiler.openapi import BATCH_PATH, Operation
from data_resource_api.rest.direct import OPERATION

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

MULTIPROCESS_DIR: Final = "PROMETHEUS_MULTIPROC_DIR"

#: Seconds; the least is a row read by its key, the greatest DRG_STATEMENT_TIMEOUT's default.
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)

#: What a request is counted as that no operation of the generated API answered, by its first segment.
_OWN: Final = {
    "": "landing page",
    "generator": "/generator",
    "tableschema": "/tableschema",
    "swagger": "/swagger",
    "static": "/static/swagger.json",
    "ui": "/ui/",
    "-": "/-/",
}
_UNMATCHED: Final = "unmatched"
#: Methods that a client can invent must not become label values.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """Counts what this worker answers, and tells what all workers have counted."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Histogram

        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "drg_request_duration_seconds",
            "How long requests took, from their first line to their answer.",
            ["method", "operation", "status"],
            registry=self._registry,
            buckets=_BUCKETS,
        )
        #: (method, operation, status) → the child, which is found faster here.
        self._children: dict[tuple[str, str, int], Any] = {}

    def observe(self, environ: Mapping[str, Any], status: int, seconds: float) -> None:
        """Count one answered request."""
        method, name = environ["REQUEST_METHOD"], route(environ)
        labels = method, name, status
        child = self._children.get(labels)
        if child is None:
            known = method if method in _METHODS else "other"
            child = self._seconds.labels(known, name, str(status))
            if method in _METHODS:
                self._children[labels] = child
        child.observe(seconds)

    def exposition(self, digest: str | None) -> tuple[bytes, str]:
        """What all workers have counted, and its media type.

        :param digest: which data resource this worker serves.
        """
        from prometheus_client import generate_latest
        from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

        from data_resource_api import __version__

        about = (
            "# HELP drg_info The version, and which data resource is live.\n"
            "# TYPE drg_info gauge\n"
            f'drg_info{{version="{__version__}",digest="{digest or ""}"}} 1\n'
        )
        return about.encode() + generate_latest(self._counted()), CONTENT_TYPE_PLAIN_0_0_4

    def _counted(self) -> CollectorRegistry:
        if MULTIPROCESS_DIR not in os.environ:
            return self._registry
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return registry


def route(environ: Mapping[str, Any]) -> str:
    """Which route answers a request, without what is in its place of a key."""
    operation: Operation | None = environ.get(OPERATION)
    if operation is not None:
        return operation.path
    if environ.get("PATH_INFO") == BATCH_PATH:
        return BATCH_PATH
    return _OWN.get(environ.get("PATH_INFO", "").lstrip("/").partition("/")[0], _UNMATCHED)


@contextmanager
def counted_together() -> Iterator[None]:
    """Have the worker processes that start in this block count together, unless somebody arranged it."""
    if MULTIPROCESS_DIR in os.environ:
        yield
        return
    with TemporaryDirectory(prefix="drg-metrics-") as folder:
        os.environ[MULTIPROCESS_DIR] = folder
        try:
            yield
        finally:
            del os.environ[MULTIPROCESS_DIR]

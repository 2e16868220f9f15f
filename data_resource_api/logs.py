"""The service's own log: text for people or JSON for programs, on standard error.

A line that is written while a request is answered has its id and, where the client or a proxy sent a W3C
``traceparent`` (<https://www.w3.org/TR/trace-context/>), the trace that it belongs to.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from data_resource_api.json_text import write_json

if TYPE_CHECKING:
    from data_resource_api.settings import Settings

_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})(?P<span>[0-9a-f]{16})-[0-9a-f]{2}(-.*)?"
)


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Which request this thread is answering.

    :ivar id: as the answer's ``X-Request-Id`` tells it.
    :ivar traceparent: as the request brought it.
    """

    id: str
    traceparent: str | None = None

    def trace(self) -> tuple[str, str] | None:
        """The ids of the trace and of the caller's span, where a valid ``traceparent`` names them."""
        found = _TRACEPARENT.fullmatch(self.traceparent or "")
        if found is None or ((self.traceparent or "").startswith("00-") and found[3] is not None):
            return None
        return found["trace"], found["span"]


#: The request that is being answered, or ``None``.
current_request: ContextVar[RequestContext | None] = ContextVar("current_request", default=None)


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname,
            "message": record.getMessage(),
            "process": record.process,
        }
        request = current_request.get()
        if request is not None:
            line["request_id"] = request.id
            if (trace := request.trace()) is not None:
                line["trace_id"], line["parent_span_id"] = trace
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return write_json(line).decode()


class TextFormatter(logging.Formatter):
    """One line for people, and the traceback after it where there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")


#: DRG_LOG_FORMAT → what writes a line.
FORMATTERS: Final[Mapping[str, type[logging.Formatter]]] = {
    "TEXT": TextFormatter,
    "JSON": JsonFormatter,
}


def configure_logging(settings: Settings) -> None:
    """Log to standard error, unless the process has its own logging already."""
    logger = logging.getLogger("data_resource_api")
    logger.setLevel(settings.log_level)
    if not logger.handlers and not logging.getLogger().handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(FORMATTERS[settings.log_format]())
        logger.addHandler(handler)

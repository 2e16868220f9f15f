"""What goes wrong while a request is answered → the answer, and a line in the log where it is our fault."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from typing import Any, Final

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from data_resource_api.encryption.engines import EncryptionFailure
from data_resource_api.errors import DrgError
from data_resource_api.rest.response import BrokenOff, Reply, refusal

logger = logging.getLogger("data_resource_api")

#: In the WSGI environment: what the request is called in the answer's ``X-Request-Id`` and in logs.
REQUEST_ID: Final = "drg.request_id"

_PROBLEM: Final = "application/problem+json"


def refuse(error: Exception, environ: Mapping[str, Any]) -> Reply:
    """The answer to a request that ended in an error, in the form that the client prefers.

    What no client is to blame for is logged under the request's id, which is all that the client is told.
    """
    if not isinstance(error, DrgError):
        identity = log_failure(error, environ)
        error = DrgError(f"Something went wrong here; it is logged under {identity}.")
    return refusal(error, problem=_prefers_problem(environ.get("HTTP_ACCEPT", "")))


def log_failure(error: Exception, environ: Mapping[str, Any]) -> str:
    """Log what no client is to blame for.

    :returns: the id that it is logged under, the request's.
    """
    identity: str = environ.get(REQUEST_ID) or uuid.uuid4().hex
    line = "Request %s %s failed: %s", environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
    if isinstance(error, EncryptionFailure | BrokenOff):  # it says all that there is to say
        logger.error(f"{line[0]}: %s", *line[1:], identity, error)
    else:
        logger.error(*line, identity, exc_info=error)
    return identity


def _prefers_problem(accept: str) -> bool:
    """Whether an ``Accept`` prefers RFC 9457's media type to plain JSON."""
    if "application" not in accept and "*" not in accept:
        return False
    accepted = parse_accept_header(accept, MIMEAccept)
    return accepted.best_match(("application/json", _PROBLEM)) == _PROBLEM

"""The forms in which rows are sent, and which of them a client prefers (RFC 9110, section 12.5.1)."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header


@dataclass(frozen=True, slots=True)
class Form:
    """One form of rows.

    :ivar media_type: as an ``Accept`` names it.
    :ivar content_type: as an answer states it.
    :ivar suffix: of a file that holds it.
    :ivar broken_off: what a stream ends with, after a line, that could not be finished. No reader of the
        form takes it for the end of good rows.
    """

    media_type: str
    content_type: str
    suffix: str
    broken_off: bytes = b""


JSON: Final = Form("application/json", "application/json", "json")
#: RFC 4180. A text in quotes that no quote ends cannot be read to its end.
CSV: Final = Form(
    "text/csv",
    "text/csv; charset=utf-8; header=present",
    "csv",
    b'"The service could not finish this file: rows are missing.',
)
#: A JSON value on each line <https://github.com/ndjson/ndjson-spec>; another line is a fault in it.
NDJSON: Final = Form(
    "application/x-ndjson",
    "application/x-ndjson",
    "ndjson",
    b'{"error": "The service could not finish this file: rows are missing.',
)

#: Of equally good ones the first is sent.
FORMS: Final = (JSON, CSV, NDJSON)

_BY_TYPE: Final = {form.media_type: form for form in FORMS}


@functools.lru_cache(256)
def preferred(accept: str) -> Form:
    """The form that an ``Accept`` prefers; JSON where it names none that there is."""
    best = parse_accept_header(accept, MIMEAccept).best_match(list(_BY_TYPE))
    return _BY_TYPE[best] if best else JSON

"""How much a request may ask for, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass

from data_resource_api.variables import flag, variable, whole_number


@dataclass(frozen=True, kw_only=True)
class LimitSettings:
    """What bounds a request."""

    max_page_size: int = variable(
        "DRG_MAX_PAGE_SIZE",
        "The most rows in one answer; a larger limit is served as this.",
        whole_number(1, 1_000_000),
        10_000,
    )
    exact_count_limit: int = variable(
        "DRG_EXACT_COUNT_LIMIT",
        "Up to how many rows a list is counted; beyond, its last link is an estimate that asks for the "
        "rows from the end.",
        whole_number(0, 1_000_000_000),
        1_000,
    )
    require_if_match: bool = variable(
        "DRG_REQUIRE_IF_MATCH",
        "1 refuses a PUT or PATCH that does not say with If-Match which state it was made for: 428. A PUT "
        "that creates says If-None-Match: *.",
        flag,
        False,
    )
    max_body_bytes: int = variable(
        "DRG_MAX_BODY_BYTES",
        "The largest request body, in bytes; a larger one is a 413.",
        whole_number(1024, 2**30),
        16 * 2**20,
    )
    max_batch: int = variable(
        "DRG_MAX_BATCH",
        "The most operations of one batch; a longer one is a 400.",
        whole_number(1, 100_000),
        1_000,
    )
    max_import_bytes: int = variable(
        "DRG_MAX_IMPORT_BYTES",
        "The largest body of CSV or NDJSON, which is read as it comes, in bytes; a larger one is a 413.",
        whole_number(1024, 2**40),
        2**30,
    )
    import_timeout: int = variable(
        "DRG_IMPORT_TIMEOUT",
        "How long adding a list, a CSV or an NDJSON may take, its sending included, in seconds; then the "
        "answer is 503 and nothing was added.",
        whole_number(1, 86_400),
        600,
    )
    max_nesting: int = variable(
        "DRG_MAX_NESTING",
        "How deep the JSON of a request body may be nested; a deeper one is a 400.",
        whole_number(10, 200),
        200,
    )
    statement_timeout: int = variable(
        "DRG_STATEMENT_TIMEOUT",
        "How long one SQL statement of a request may take, in milliseconds; then the answer is 503.",
        whole_number(100, 3_600_000),
        30_000,
    )
    stream_timeout: int = variable(
        "DRG_STREAM_TIMEOUT",
        "How long a client may leave the next rows of a streamed answer untaken, in milliseconds; then the "
        "answer is broken off.",
        whole_number(100, 3_600_000),
        60_000,
    )
    pool_size: int = variable(
        "DRG_POOL_SIZE",
        "The most database connections of one worker process.",
        whole_number(2, 1_000),
        8,
    )

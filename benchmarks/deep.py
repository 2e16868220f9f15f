"""Pages deep in a large table, reached by following ``next``."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.ground import Ground
from benchmarks.measuring import CONNECTIONS, Spread, rates, ratio, wrk
from benchmarks.memory import followed
from benchmarks.peers import Running
from benchmarks.workloads import Request

LIMIT = 20
#: Links that are followed before a page counts as reached by following them.
STEPS = 25


@dataclass(frozen=True)
class Deep:
    """What a deep page costs beside the first one.

    :ivar number: which page it is.
    :ivar first: requests per second of the first page, and ``deep``: of that one.
    :ivar slower: how many times as long the deep one takes.
    :ivar first_step: milliseconds for each page when a client follows ``next`` from the first one on.
    :ivar deep_step: the same, from just before the deep one.
    """

    number: int
    first: Spread
    deep: Spread
    slower: Spread
    first_step: float
    deep_step: float


def measure(
    ground: Ground, at: Running, *, rounds: int, seconds: int, tell: Callable[[str], None]
) -> Deep:
    """The page at nine tenths of the table, as the link that leads to it says."""
    number = ground.million * 9 // 10 // LIMIT
    start = f"/million?offset={(number - STEPS) * LIMIT}&limit={LIMIT}"
    first_path = f"/million?offset=0&limit={LIMIT}"
    deep_path = _last_next(at.url, start)
    firsts, deeps = [], []
    for turn in range(rounds):
        firsts.append(wrk(ground, at, Request(first_path), numbers=1, seconds=seconds))
        deeps.append(wrk(ground, at, Request(deep_path), numbers=1, seconds=seconds))
        tell(
            f"first page and page {number:,} by next, round {turn + 1}: {firsts[-1].rate:,.0f}/s and "
            f"{deeps[-1].rate:,.0f}/s with {CONNECTIONS} connections"
        )
    return Deep(
        number,
        rates(firsts),
        rates(deeps),
        ratio(firsts, deeps),
        _milliseconds_a_page(at.url, first_path),
        _milliseconds_a_page(at.url, start),
    )


def _last_next(url: str, path: str) -> str:
    """Where the last of :data:`STEPS` ``next`` links leads."""
    for page in itertools.islice(followed(url, path), STEPS):
        links = {link["rel"]: link["href"] for link in page["links"]}
        path = links["next"]
    return path


def _milliseconds_a_page(url: str, path: str) -> float:
    """Of a client that follows ``next``, reading and parsing included."""
    began = time.perf_counter()
    count = sum(1 for _ in itertools.islice(followed(url, path), STEPS))
    return (time.perf_counter() - began) * 1000 / count

"""Seconds that single things take: generating, starting.

Every figure is of a fresh process on a fresh database, over several rounds.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from benchmarks.measuring import Spread
from tests.service import Database, Service, entry, payload

TYPES = ("string", "integer", "number", "boolean", "date", "datetime", "object", "string")


@dataclass(frozen=True)
class Figure:
    """One thing that was measured, in seconds.

    :ivar tables: how many there are; ``generating`` them, or starting with them stored.
    :ivar bound: what the original takes on a machine of this kind, or ``None``.
    """

    tables: int
    generating: bool
    seconds: tuple[float, ...]
    bound: float | None = None

    @property
    def name(self) -> str:
        """What was measured, in words."""
        if self.generating:
            return f"`POST /generator`, {self.tables:,} tables of 9 columns"
        return f"start to the first 200, {self.tables:,} tables stored"

    def row(self) -> str:
        """A row of the table."""
        spread = Spread.of(self.seconds)
        bound = f"{self.bound:.1f} s" if self.bound else ""
        return f"| {self.name} | {spread.middle:.2f} s | {spread.low:.2f} – {spread.high:.2f} s | {bound} |"


def tables(count: int) -> dict[str, Any]:
    """A payload of ``count`` tables of nine columns, every operation enabled."""
    fields = [{"name": f"field_{n}", "type": kind} for n, kind in enumerate(TYPES)]
    return payload(*(entry(f"table_{n:04}", *fields) for n in range(count)))


@contextmanager
def service(server_url: str) -> Iterator[Service]:
    """A service that is not started yet, on a database of its own."""
    database = Database(server_url)
    with tempfile.TemporaryDirectory() as folder:
        made = Service(Path(folder), database, workers=2)
        try:
            yield made
        finally:
            made.kill()
            database.drop()


def generation(server_url: str, count: int) -> tuple[float, float]:
    """Seconds of ``POST /generator``, and of a start with that payload stored."""
    document = tables(count)
    with service(server_url) as made:
        made.start()
        began = time.perf_counter()
        made.generate(document)
        generated = time.perf_counter() - began
        made.stop()
        began = time.perf_counter()
        made.start(wait=False)
        until(lambda: made.get("/table_0000").status_code == 200)
        started = time.perf_counter() - began
        made.stop()
    return generated, started


def until(holds: Callable[[], bool]) -> None:
    """Ask again until it holds, for at most a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except requests.RequestException:
            time.sleep(0.005)
    raise TimeoutError("the service did not answer")


def measure(
    server_url: str, rounds: int, tell: Callable[[str], None], counts: Sequence[int]
) -> list[Figure]:
    """Every figure, with ``counts`` of tables."""
    figures = []
    bounds: dict[int, tuple[float | None, float | None]] = {100: (1.3, 1.5)}
    for count in counts:
        pairs = [generation(server_url, count) for _ in range(rounds)]
        generated, started = zip(*pairs, strict=True)
        post_bound, start_bound = bounds.get(count, (None, None))
        figures.append(Figure(count, True, generated, post_bound))
        figures.append(Figure(count, False, started, start_bound))
        for figure in figures[-2:]:
            tell(figure.row())
    return figures


def growth(figures: Sequence[Figure]) -> list[tuple[str, float]]:
    """Seconds for each of the most tables, times those for each of the next fewer: at most 1 is linear."""
    found = []
    for generating in (True, False):
        chosen = [figure for figure in figures if figure.generating is generating]
        if len(chosen) < 2:
            continue
        *_, fewer, most = sorted(chosen, key=lambda figure: figure.tables)
        ratio = _per_table(most) / _per_table(fewer)
        doing = "generating" if generating else "starting with"
        found.append(
            (
                f"{doing} {most.tables:,} tables: time for each, times that of {fewer.tables:,}",
                ratio,
            )
        )
    return found


def _per_table(figure: Figure) -> float:
    return Spread.of(figure.seconds).middle / figure.tables

"""``python -m benchmarks``: measure on this machine and write ``docs/benchmarks.md``.

Every figure is of a fresh process on a fresh database, over several rounds; the median is quoted with
the least and the greatest.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import requests

from benchmarks.tokens import Cost, token_check
from data_resource_api.database.embedded import join
from tests.service import ROOT, Database, Service, entry, payload

TYPES = ("string", "integer", "number", "boolean", "date", "datetime", "object", "string")
PAGE = ROOT / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Figure:
    """One thing that was measured, in seconds.

    :ivar bound: what the original takes on a machine of this kind, or ``None``.
    """

    name: str
    seconds: tuple[float, ...]
    bound: float | None = None

    def row(self) -> str:
        """A row of the table."""
        low, middle, high = min(self.seconds), statistics.median(self.seconds), max(self.seconds)
        bound = f"{self.bound:.1f} s" if self.bound else ""
        return f"| {self.name} | {middle:.2f} s | {low:.2f} – {high:.2f} s | {bound} |"


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


def measure(server_url: str, rounds: int) -> list[Figure]:
    """Every figure."""
    figures = []
    bounds: dict[int, tuple[float | None, float | None]] = {100: (1.3, 1.5)}
    for count in (10, 100, 500):
        pairs = [generation(server_url, count) for _ in range(rounds)]
        generated, started = zip(*pairs, strict=True)
        post_bound, start_bound = bounds.get(count, (None, None))
        figures.append(
            Figure(f"`POST /generator`, {count} tables of 9 columns", generated, post_bound)
        )
        figures.append(
            Figure(f"start to the first 200, {count} tables stored", started, start_bound)
        )
        print("\n".join(figure.row() for figure in figures[-2:]), flush=True)
    return figures


def page(figures: list[Figure], costs: list[Cost], rounds: int, version: str) -> str:
    """The text of ``docs/benchmarks.md``."""
    rows = "\n".join(figure.row() for figure in figures)
    tokens = "\n".join(cost.row() for cost in costs)
    return f"""# Benchmarks

`make bench` measures this on the machine it runs on and writes this page. Machines differ and are
noisy: compare figures of one run with each other, not with those of another machine.

Measured over {rounds} rounds, each with fresh processes (two workers) on a fresh database of
{version}, client, service and PostgreSQL sharing {os.cpu_count()} cores ({platform.machine()},
Python {platform.python_version()}). A start is the time from starting the process to the first 200
of a generated route, imports included. The bound is what the first implementation of this
documentation took on a machine of this kind.

| | median | least – greatest | bound |
|---|---|---|---|
{rows}

In `PRODUCTION`, every request has its token checked ([what is remembered](security.md#what-is-remembered)).
This is the CPU time of one check, scopes included. The bound is our own.

| | median | least – greatest | bound |
|---|---|---|---|
{tokens}
"""


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--dry-run", action="store_true", help="print, and leave the page as it is")
    arguments = parser.parse_args()
    costs = token_check(arguments.rounds)
    print("\n".join(cost.row() for cost in costs), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        embedded = join(Path(folder) / "postgresql")
        try:
            url = embedded.url.replace("postgresql+psycopg2://", "postgresql://")
            with psycopg2.connect(url) as connection, connection.cursor() as cursor:
                cursor.execute("SHOW server_version")
                (version,) = cursor.fetchone() or ("?",)
            connection.close()
            figures = measure(embedded.url, arguments.rounds)
        finally:
            embedded.release()
    if not arguments.dry_run:
        PAGE.write_text(page(figures, costs, arguments.rounds, f"PostgreSQL {version}"))


if __name__ == "__main__":
    main()

"""What was measured, as ``docs/benchmarks.md``: tables, a plot, and how it was done."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.deep import Deep
from benchmarks.durations import Figure, growth
from benchmarks.measuring import CONNECTIONS, Results, Spread, cpu_ratio, rates, ratio
from benchmarks.peers import PEERS
from benchmarks.plot import chart
from benchmarks.tokens import Cost
from benchmarks.workloads import WORKLOADS

#: What stands from here on in the page is written by hand, and kept.
BY_HAND = "## Where the time goes"

#: (workload, server) → the least ratio that is aimed at.
AIMS = {
    ("one", "postgrest"): 1.2,
    ("page", "postgrest"): 1.25,
    ("post", "postgrest"): 1.05,
    ("embed", "postgrest"): 0.77,
    ("one", "ceiling"): 0.85,
    ("page", "ceiling"): 0.85,
    ("one", "original"): 4.0,
    ("page", "original"): 4.0,
}
#: What this service is compared with, both without tokens.
OTHERS = [peer for peer in PEERS if peer.key in ("ceiling", "postgrest", "original")]
_PLOTTED = ("one", "page", "post")
_PACKAGES = ("flask", "werkzeug", "granian", "psycopg2-binary", "orjson", "sqlalchemy", "gunicorn")


@dataclass
class Measured:
    """All that one run has found; what it has not is empty.

    :ivar results: by workload's key.
    :ivar memory: rows of what and how many MiB.
    :ivar notices: what is missing, and why.
    """

    rounds: int
    seconds: int
    workers: int
    postgresql: str
    results: dict[str, Results] = field(default_factory=dict)
    deep: Deep | None = None
    durations: Sequence[Figure] = ()
    tokens: Sequence[Cost] = ()
    memory: list[tuple[str, float]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def write(measured: Measured, page: Path) -> None:
    """Write the page and, beside it, its plot; what is written by hand in it stays."""
    kept = page.read_text("utf-8").partition(BY_HAND) if page.exists() else ("", "", "")
    by_hand = f"\n{kept[1]}{kept[2]}" if kept[1] else ""
    plotted = [
        (workload.title, measured.results[workload.key])
        for workload in WORKLOADS
        if workload.key in _PLOTTED and workload.key in measured.results
    ]
    if plotted:
        titles = {peer.key: peer.title for peer in PEERS}
        page.with_suffix(".svg").write_text(chart(plotted, titles), "utf-8")
    page.write_text(text(measured, plot=page.with_suffix(".svg").name) + by_hand, "utf-8")


def text(measured: Measured, *, plot: str = "benchmarks.svg") -> str:
    """The page, without what is written by hand."""
    parts = [_head(measured)]
    if measured.results:
        parts += [_ratios(measured), f"![Requests per second]({plot})\n", _rates(measured)]
        parts += [_cpu(measured), _tokens(measured)]
    parts += [
        _scale(measured),
        _token_check(measured),
        _durations(measured),
        _memory(measured),
        _notices(measured),
    ]
    return "\n".join(part for part in parts if part)


def ratios_of(
    measured: Measured, compared: Callable[[Any, Any], Spread | None] = ratio
) -> list[list[str]]:
    """Rows of the first table: a workload, and this service against each of the others.

    Or of another table, in which something else than the rate is compared, without aims.
    """
    rows = []
    for workload in WORKLOADS:
        results = measured.results.get(workload.key, {})
        if "ours" not in results or not any(peer.key in results for peer in OTHERS):
            continue
        cells = [workload.title]
        for peer in OTHERS:
            spread = compared(results["ours"], results[peer.key]) if peer.key in results else None
            aim = AIMS.get((workload.key, peer.key)) if compared is ratio else None
            cell = shown(spread) if spread else "–"
            cells.append(f"{cell}; aim {aim:.2f}" if spread and aim else cell)
        rows.append(cells)
    return rows


def ratio_titles(what: str = "requests per second, times those of") -> list[str]:
    """The heads of that table's columns."""
    return [what, *(peer.title for peer in OTHERS)]


def shown(spread: Spread, form: str = ".2f") -> str:
    """``1.23 (1.10 – 1.31)``."""
    return f"{spread.middle:{form}} ({spread.low:{form}} – {spread.high:{form}})"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


# ── the page's parts ─────────────────────────────────────────────────────────────────────────────


def _head(measured: Measured) -> str:
    versions = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    return f"""# Benchmarks

`make bench` measures this on the machine it runs on and writes this page. Machines differ and are
noisy: compare figures of one run with each other, not with those of another machine.

Client, servers and PostgreSQL share the {os.cpu_count()} cores of one machine. A figure is the median
of {measured.rounds} rounds, with the least and the greatest.

Versions: PostgreSQL {measured.postgresql}, Python {platform.python_version()} ({platform.machine()}),
{versions}.
"""


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "(none)"


def _ratios(measured: Measured) -> str:
    abouts = "\n".join(
        f"- **{peer.title}**: {peer.about}."
        for peer in PEERS
        if any(peer.key in results for results in measured.results.values())
    )
    return f"""## Requests

What is compared, all of it on one database, with the same tables and rows:

{abouts}

Every server runs {measured.workers} workers but PostgREST, which needs one process. wrk keeps \
{CONNECTIONS} connections busy from
one thread for {measured.seconds} s. In each round every server has its turn before the next round \
begins, and rows that a run has
changed are put back before the next. All connections of a run can happen to land on one of
several workers, which shows as a spread. A ratio is taken within a round.

`people` has 10,000 rows of `id` and `name`; "30 columns" is a table of 10,000 rows with four of each
of seven types, one unique; "1M rows" is `people` with a million. The children are ten `books` for each of
1,000 `authors`, embedded by `select=id,name,books(id,title)`; the least that is aimed at is 1 / 1.3.

{table(ratio_titles(), ratios_of(measured))}"""


def _peers_in(measured: Measured) -> list[tuple[str, str]]:
    found = {key for results in measured.results.values() for key in results}
    return [(peer.key, peer.title) for peer in PEERS if peer.key in found]


def _rates(measured: Measured) -> str:
    peers = _peers_in(measured)
    rows = [
        [
            workload.title,
            *(shown(rates(results[key]), ",.0f") if key in results else "–" for key, _ in peers),
        ]
        for workload in WORKLOADS
        if (results := measured.results.get(workload.key))
    ]
    return table(["requests per second", *(title for _, title in peers)], rows)


def _cpu(measured: Measured) -> str:
    """Processor time per request: less noisy than the rate, which neighbours disturb."""
    peers = _peers_in(measured)
    rows = []
    for workload in WORKLOADS:
        results = measured.results.get(workload.key, {})
        cells = [
            f"{_middle([s.server_cpu for s in results.get(key, ())])} + "
            f"{_middle([s.postgres_cpu for s in results.get(key, ())])}"
            if key in results
            else "–"
            for key, _ in peers
        ]
        if results:
            rows.append([workload.title, *cells])
    if not any("0" <= cell[0] <= "9" for row in rows for cell in row[1:]):
        return ""
    heads = ["µs of processor time per request", *(title for _, title in peers)]
    return f"""The rate depends on what else the machine does; the processor time of a request does less.
The first number is what the server's processes spend, the second what PostgreSQL's do:

{table(heads, rows)}
How many times as much processor time a request takes the others, PostgreSQL's included:

{table(ratio_titles("processor time"), ratios_of(measured, cpu_ratio))}"""


def _middle(figures: Sequence[float | None]) -> str:
    known = [figure for figure in figures if figure is not None]
    return f"{Spread.of(known).middle:,.0f}" if known else "–"


def _tokens(measured: Measured) -> str:
    pairs = (("ours", "ours-token"), ("postgrest", "postgrest-token"))
    titles = {peer.key: peer.title for peer in PEERS}
    able = [pair for pair in pairs if {*pair} <= {key for key, _ in _peers_in(measured)}]
    rows = [
        [
            workload.title,
            *(
                shown(ratio(results[token], results[plain])) if token in results else "–"
                for plain, token in able
            ),
        ]
        for workload in WORKLOADS
        if (results := measured.results.get(workload.key))
    ]
    if not able:
        return ""
    heads = ["with tokens, times the rate without", *(titles[plain] for plain, _ in able)]
    return f"## With authorization on\n\n{table(heads, rows)}"


def _scale(measured: Measured) -> str:
    rows = []
    small, large = (measured.results.get(key, {}).get("ours") for key in ("page", "million"))
    if small and large:
        rows.append(["page of 20: at 10,000 rows, times at 1M", shown(ratio(small, large))])
    deep = measured.deep
    if deep:
        rows += [
            [f"first page, times page {deep.number:,} reached by `next`", shown(deep.slower)],
            ["ms a page, a client following `next` from the first page", f"{deep.first_step:.2f}"],
            [f"the same, just before page {deep.number:,}", f"{deep.deep_step:.2f}"],
        ]
    return f"## A million rows\n\n{table(['this service', ''], rows)}" if rows else ""


def _token_check(measured: Measured) -> str:
    if not measured.tokens:
        return ""
    rows = "\n".join(cost.row() for cost in measured.tokens)
    return f"""## Checking a token

In `PRODUCTION`, every request has its token checked ([what is remembered](security.md#what-is-remembered)).
This is the CPU time of one check, scopes included. The bound is our own.

| | median | least – greatest | bound |
|---|---|---|---|
{rows}
"""


def _durations(measured: Measured) -> str:
    if not measured.durations:
        return ""
    rows = "\n".join(figure.row() for figure in measured.durations)
    linear = "".join(
        f"| {what} | {ratio:.2f} | | |\n" for what, ratio in growth(measured.durations)
    )
    return f"""## Generating and starting

Of fresh processes (two workers) on a fresh database. A start is the time from starting the process to
the first 200 of a generated route, imports included. The bound is what the first implementation of
this documentation took on a machine of this kind.

| | median | least – greatest | bound |
|---|---|---|---|
{rows}
{linear}"""


def _memory(measured: Measured) -> str:
    rows = [[what, f"{size:,.1f} MiB"] for what, size in measured.memory]
    return f"## Memory\n\n{table(['the largest worker', ''], rows)}" if rows else ""


def _notices(measured: Measured) -> str:
    if not measured.notices:
        return ""
    lines = "\n".join(f"- {notice}" for notice in measured.notices)
    return f"## Not measured here\n\n{lines}\n"


def printed(rows: Sequence[Sequence[str]]) -> str:
    """A table for a terminal."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )

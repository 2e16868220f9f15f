"""``python -m benchmarks``: measure on this machine and write ``docs/benchmarks.md``."""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import deep, durations, measuring, memory, processes, tokens
from benchmarks.ground import MILLION, Ground, document, ground, server
from benchmarks.page import Measured, printed, ratio_titles, ratios_of, write
from benchmarks.peers import PEERS, CannotRun, Peer, Running
from benchmarks.workloads import WORKLOADS
from data_resource_api.server import default_workers
from tests.service import ROOT, Service

PAGE = ROOT / "docs" / "benchmarks.md"
PARTS = ("tokens", "requests", "deep", "durations", "memory")


@dataclass(frozen=True)
class Extent:
    """How much is measured.

    :ivar million: rows of the large table.
    :ivar counts: how many tables are generated.
    :ivar tables: in the service whose memory is looked at.
    """

    rounds: int
    seconds: int
    million: int = MILLION
    counts: Sequence[int] = (10, 100, 500, 1000)
    tables: int = 100


QUICK = Extent(rounds=1, seconds=1, million=20_000, counts=(10,), tables=10)


def tell(line: str) -> None:
    """Say at once what was found."""
    print(line, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=int, default=3, help="of one run of wrk")
    parser.add_argument(
        "--quick", action="store_true", help="one short round on small tables: does it all work?"
    )
    parser.add_argument("--parts", type=_some_of(PARTS), default=PARTS)
    parser.add_argument("--peers", type=_some_of([peer.key for peer in PEERS]), default=None)
    parser.add_argument(
        "--workloads", type=_some_of([workload.key for workload in WORKLOADS]), default=None
    )
    parser.add_argument("--page", type=Path, default=None, help=f"where to write; {PAGE}")
    parser.add_argument("--dry-run", action="store_true", help="print, and leave the page as it is")
    given = parser.parse_args(arguments)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # the token provider's every request
    extent = QUICK if given.quick else Extent(rounds=given.rounds, seconds=given.seconds)
    with server() as server_url, tempfile.TemporaryDirectory() as folder:
        measured = measure(server_url, Path(folder), extent, given)
    if measured.results:
        by_cpu = ratios_of(measured, measuring.cpu_ratio)
        tell("\n" + printed([ratio_titles(), *ratios_of(measured)]))
        tell("\n" + printed([ratio_titles("their processor time"), *by_cpu]) + "\n")
    for notice in measured.notices:
        tell(f"Not measured here: {notice}")
    page = given.page or (None if given.quick else PAGE)
    if page is not None and not given.dry_run:
        write(measured, page)
        tell(f"Written: {page}")


def _some_of(names: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        chosen = tuple(text.split(","))
        unknown = sorted(set(chosen) - set(names))
        if unknown:
            raise argparse.ArgumentTypeError(
                f"{', '.join(unknown)}: choose from {', '.join(names)}"
            )
        return chosen

    return parse


def measure(server_url: str, folder: Path, extent: Extent, given: argparse.Namespace) -> Measured:
    """Every part that is asked for."""
    workers = default_workers()
    with ground(server_url, folder, workers=workers, million=extent.million) as place:
        measured = Measured(
            extent.rounds, extent.seconds, workers, place.version, notices=place.notices
        )
        if not processes.KNOWN:
            place.notices.append("processor time and memory, which only Linux tells")
        if missing := measuring.wrk_is_missing():
            place.notices.append(f"requests: {missing}")
        with_wrk = not missing and {"requests", "deep"} & set(given.parts)
        with_memory = processes.KNOWN and "memory" in given.parts
        if with_wrk or with_memory:
            prepare(place)
        if with_wrk:
            _requests(place, measured, extent, given)
        if with_memory:
            _memory(place, measured, extent)
    if "tokens" in given.parts:
        measured.tokens = tokens.token_check(extent.rounds)
        for cost in measured.tokens:
            tell(cost.row())
    if "durations" in given.parts:
        measured.durations = durations.measure(server_url, extent.rounds, tell, extent.counts)
    return measured


def prepare(place: Ground) -> None:
    """Have this service make the tables, and fill them."""
    made = Service(place.folder / "making", place.database, workers=1)
    try:
        made.start()
        made.generate(document())
        made.stop()
    finally:
        made.kill()
    tell(f"Filling the tables, one with {place.million:,} rows.")
    place.fill()


def _requests(place: Ground, measured: Measured, extent: Extent, given: argparse.Namespace) -> None:
    with ExitStack() as stack:
        chosen = [peer for peer in PEERS if given.peers is None or peer.key in given.peers]
        running = started(stack, place, chosen)
        if "requests" in given.parts:
            for workload in WORKLOADS:
                if given.workloads is None or workload.key in given.workloads:
                    measured.results[workload.key] = measuring.compare(
                        place,
                        running,
                        workload,
                        rounds=extent.rounds,
                        seconds=extent.seconds,
                        tell=tell,
                    )
        ours = next((at for peer, at in running.items() if peer.key == "ours"), None)
        if "deep" in given.parts and ours is not None:
            measured.deep = deep.measure(
                place, ours, rounds=extent.rounds, seconds=extent.seconds, tell=tell
            )


def started(stack: ExitStack, place: Ground, peers: Sequence[Peer]) -> dict[Peer, Running]:
    """The servers that run here; why another does not is noted."""
    running: dict[Peer, Running] = {}
    for peer in peers:
        try:
            running[peer] = stack.enter_context(peer.start(place))
        except CannotRun as error:
            place.notices.append(f"{peer.title}: {error}")
            tell(f"Left out: {place.notices[-1]}")
    return running


def _memory(place: Ground, measured: Measured, extent: Extent) -> None:
    found = memory.with_tables(place.server_url, place.folder / "memory", extent.tables)
    before, growth, rows = memory.of_reading(place)
    measured.memory += [
        (f"resident, {extent.tables} tables, each of them read", found.resident),
        ("of that its own, shared pages divided (PSS)", found.proportional),
        ("resident, the tables of this page", before.resident),
        (f"more at the peak while {rows:,} rows are read in pages of 10,000", growth),
    ]
    for what, size in measured.memory:
        tell(f"{what}: {size:.1f} MiB")


if __name__ == "__main__":
    main()

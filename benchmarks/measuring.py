"""Rounds of wrk: each server in turn, again and again, so that a noisy minute meets them all."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from benchmarks import processes
from benchmarks.ground import Ground
from benchmarks.peers import Peer, Running
from benchmarks.workloads import Request, Workload

CONNECTIONS = 8
_SCRIPT = Path(__file__).with_name("wrk") / "requests.lua"
_HOW_TO_GET_WRK = "wrk is not installed (Debian: apt install wrk; macOS: brew install wrk)"


class WrongAnswer(Exception):
    """A server does not do what is measured, so that its figure would mean nothing."""


@dataclass(frozen=True)
class Sample:
    """One run of wrk.

    :ivar rate: requests per second.
    :ivar median: of the latency, in milliseconds; ``slow``: its 99th percentile.
    :ivar server_cpu: microseconds of processor time per request in the server's processes.
    :ivar postgres_cpu: the same in PostgreSQL's.
    """

    rate: float
    median: float
    slow: float
    server_cpu: float | None
    postgres_cpu: float | None

    @property
    def cpu(self) -> float | None:
        """Of both."""
        if self.server_cpu is None or self.postgres_cpu is None:
            return None
        return self.server_cpu + self.postgres_cpu


#: peer's key → its samples, one of each round.
Results = Mapping[str, Sequence[Sample]]


def wrk_is_missing() -> str | None:
    """Why nothing can be measured, or ``None``."""
    return None if shutil.which("wrk") else _HOW_TO_GET_WRK


def compare(
    ground: Ground,
    running: Mapping[Peer, Running],
    workload: Workload,
    *,
    rounds: int,
    seconds: int,
    tell: Callable[[str], None],
) -> dict[str, list[Sample]]:
    """Run a workload on every server that knows it, in every round.

    One that refuses, loses a request or answers something else is left out, with a notice.
    """
    able = {
        peer: at
        for peer, at in running.items()
        if peer.dialect in workload.requests and (not workload.only or peer.key in workload.only)
    }
    samples: dict[str, list[Sample]] = {}
    ground.restore()
    if workload.changes:
        ground.changed()

    def leave_out(peer: Peer, error: WrongAnswer) -> None:
        del able[peer]
        samples.pop(peer.key, None)
        ground.notices.append(f"{workload.title}, {peer.title}: {error}")
        tell(f"Left out: {ground.notices[-1]}")

    for peer, at in [*able.items()]:
        try:
            check(at, workload.requests[peer.dialect], workload.expected)
        except WrongAnswer as error:
            leave_out(peer, error)
    samples |= {peer.key: [] for peer in able}
    for turn in range(rounds):
        # Each round begins with another: nobody always has the first turn.
        order = [*able.items()]
        first = turn % max(1, len(order))
        for peer, at in order[first:] + order[:first]:
            ground.restore()
            if workload.changes:
                ground.changed()
            request = workload.requests[peer.dialect]
            try:
                sample = wrk(ground, at, request, numbers=workload.numbers, seconds=seconds)
            except WrongAnswer as error:
                leave_out(peer, error)
                continue
            samples[peer.key].append(sample)
            tell(f"{workload.title}, round {turn + 1}: {peer.title} {sample.rate:,.0f}/s")
    return samples


def check(at: Running, request: Request, expected: str) -> None:
    """Ask once, and look whether that is what the workload is about.

    :raises WrongAnswer: it is not.
    """
    response = requests.request(
        request.method,
        at.url + request.path.replace("{n}", "1"),
        data=request.body.replace("{n}", "1") or None,
        headers={**at.headers, **({"Content-Type": "application/json"} if request.body else {})},
        timeout=60,
    )
    if response.status_code >= 300 or expected not in response.text:
        raise WrongAnswer(
            f"answers {request.method} {request.path} with {response.status_code}: "
            f"{response.text[:80]!r}"
        )


def wrk(ground: Ground, at: Running, request: Request, *, numbers: int, seconds: int) -> Sample:
    """Run wrk once, and read the clocks of the processes around it.

    :raises WrongAnswer: a request was refused or lost.
    """
    before = [processes.cpu_seconds(pid) for pid in (at.pid, ground.postmaster)]
    done = subprocess.run(
        wrk_command(at.url, seconds),
        env=wrk_environment(at, request, numbers),
        capture_output=True,
        text=True,
        check=True,
    )
    after = [processes.cpu_seconds(pid) for pid in (at.pid, ground.postmaster)]
    words = next(line for line in done.stdout.splitlines() if line.startswith("RESULT")).split()
    count, duration, lost, refused, median, slow = map(int, words[1:])
    if lost or refused or not count:
        raise WrongAnswer(
            f"{count} answers to {request.method} {request.path}, {refused} of them refusals, and "
            f"{lost} connections lost"
        )
    server, postgres = (
        None if was is None or now is None else (now - was) / count * 1e6
        for was, now in zip(before, after, strict=True)
    )
    return Sample(count / duration * 1e6, median / 1000, slow / 1000, server, postgres)


def wrk_command(url: str, seconds: int) -> list[str]:
    """One thread, which is enough for every server here, and :data:`CONNECTIONS` connections."""
    return ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(_SCRIPT), url]


def wrk_environment(at: Running, request: Request, numbers: int) -> dict[str, str]:
    """What the script for wrk reads."""
    return os.environ | {
        "BENCH_METHOD": request.method,
        "BENCH_PATH": request.path,
        "BENCH_BODY": request.body,
        "BENCH_NUMBERS": str(numbers),
        "BENCH_HEADERS": "\n".join(f"{name}: {value}" for name, value in at.headers.items()),
    }


@dataclass(frozen=True)
class Spread:
    """The median of several figures, with the least and the greatest."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        """Of at least one figure."""
        return cls(statistics.median(figures), min(figures), max(figures))


def rates(samples: Sequence[Sample]) -> Spread:
    """Requests per second."""
    return Spread.of([sample.rate for sample in samples])


def cpu_ratio(ours: Sequence[Sample], theirs: Sequence[Sample]) -> Spread | None:
    """How many times as much processor time a request takes them, PostgreSQL's included."""
    pairs = [
        (mine.cpu, other.cpu)
        for mine, other in zip(ours, theirs, strict=True)
        if mine.cpu and other.cpu
    ]
    return Spread.of([other / mine for mine, other in pairs]) if pairs else None


def ratio(ours: Sequence[Sample], theirs: Sequence[Sample]) -> Spread:
    """How many times as many requests; each round by itself, as its two runs are neighbours."""
    return Spread.of([mine.rate / other.rate for mine, other in zip(ours, theirs, strict=True)])

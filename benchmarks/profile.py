"""``python -m benchmarks.profile``: where a worker's time goes while wrk asks for one thing.

py-spy looks at one worker a few hundred times a second, from outside, and counts the thread that holds
Python's lock: what is waited for, PostgreSQL's answer above all, is not in the picture. It writes a
flame graph and a file for speedscope (which shows the same in time order), and this prints the
functions that the samples met most. On Linux it needs root or ``kernel.yama.ptrace_scope=0``; on
macOS, root.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import measuring, processes
from benchmarks.__main__ import prepare, tell
from benchmarks.ground import ROWS, ground, server
from benchmarks.page import printed
from benchmarks.peers import PEERS, Running
from benchmarks.workloads import WORKLOADS, Dialect, Workload
from tests.service import ROOT

#: Looks per second; more would slow down what is looked at.
RATE = 400
#: Where granian begins to answer a request; samples outside of it are not of interest.
_REQUEST = "_callback_wrapper.<locals>._runner (granian/wsgi.py)"
_FOLDER = ROOT / ".cache" / "profiles"


def main() -> None:
    """Profile each of the given workloads."""
    by_key = {workload.key: workload for workload in WORKLOADS if Dialect.DRG in workload.requests}
    peers = {peer.key: peer for peer in PEERS if peer.dialect is Dialect.DRG}
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--workloads", nargs="+", choices=by_key, default=["one", "page", "post"])
    parser.add_argument("--peer", choices=peers, default="ours")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--functions", type=int, default=25, help="how many are printed")
    parser.add_argument("--folder", type=Path, default=_FOLDER, help="where the files are written")
    given = parser.parse_args()
    if missing := measuring.wrk_is_missing():
        parser.error(missing)
    given.folder.mkdir(parents=True, exist_ok=True)
    with (
        server() as url,
        tempfile.TemporaryDirectory() as folder,
        ground(url, Path(folder), workers=1, million=ROWS) as place,
    ):
        prepare(place)
        with peers[given.peer].start(place) as at:
            for key in given.workloads:
                place.restore()
                place.changed()
                workload = by_key[key]
                stem = given.folder / f"{given.peer}-{key}"
                tell(f"\n{workload.title}, {peers[given.peer].title}")
                with load(at, workload, 2 * given.seconds + 4):
                    record(at, stem.with_suffix(".svg"), "flamegraph", given.seconds)
                    scope = stem.with_suffix(".speedscope.json")
                    record(at, scope, "speedscope", given.seconds)
                tell(most_met(scope, given.functions))
                tell(f"{stem}.svg and {scope}")


@contextlib.contextmanager
def load(at: Running, workload: Workload, seconds: int) -> Iterator[None]:
    """Have wrk ask for it meanwhile."""
    request = workload.requests[Dialect.DRG]
    process = subprocess.Popen(
        measuring.wrk_command(at.url, seconds),
        env=measuring.wrk_environment(at, request, workload.numbers),
        stdout=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def record(at: Running, file: Path, form: str, seconds: int) -> None:
    """Look at the worker with py-spy."""
    worker = processes.largest_children(at.pid, 1)[0]
    command = [
        str(Path(sys.executable).with_name("py-spy")),
        *("record", "--pid", str(worker), "--output", str(file), "--format", form),
        *("--duration", str(seconds), "--rate", str(RATE), "--gil"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    if done.returncode != 0:
        raise SystemExit(f"py-spy cannot look at the worker: {done.stderr.strip()}")


def most_met(file: Path, count: int) -> str:
    """The functions that most samples of requests were in, and those that they were in at the end.

    :param file: for speedscope.
    """
    document = json.loads(file.read_text())
    frames = [name_of(frame) for frame in document["shared"]["frames"]]
    inside: Counter[str] = Counter()
    at_end: Counter[str] = Counter()
    total = 0
    for profile in document["profiles"]:
        for stack in profile["samples"]:
            if _REQUEST not in {frames[index] for index in stack}:
                continue
            total += 1
            at_end[frames[stack[-1]]] += 1
            inside.update({frames[index] for index in stack})
    rows = [["of all samples", "at its end", "function"]]
    rows += [
        [f"{met / total:.1%}", f"{at_end[name] / total:.1%}", name]
        for name, met in inside.most_common(count)
    ]
    rows += [["", "at its end", ""], *_rows(at_end.most_common(count), total)]
    return printed(rows)


def _rows(counted: Iterable[tuple[str, int]], total: int) -> list[list[str]]:
    return [["", f"{met / total:.1%}", name] for name, met in counted]


def name_of(frame: dict[str, Any]) -> str:
    """A function and its file, without the folders that packages are in."""
    file = str(frame.get("file", "")).rpartition("site-packages/")[2].removeprefix(f"{ROOT}/")
    return f"{frame['name']} ({file})"


if __name__ == "__main__":
    main()

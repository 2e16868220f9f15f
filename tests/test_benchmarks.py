"""The benchmarks work, whatever their figures are here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import processes
from benchmarks.durations import Figure, growth
from benchmarks.measuring import Sample, Spread, WrongAnswer, check, ratio
from benchmarks.memory import largest
from benchmarks.page import BY_HAND, Measured, text, write
from benchmarks.peers import PEERS, Running
from benchmarks.plot import chart
from benchmarks.profile import most_met
from benchmarks.workloads import WORKLOADS, Request
from tests.service import ROOT, Service, clean_environment, entry, payload


def test_a_quick_run_writes_a_page_with_its_tables(tmp_path: Path, server_url: str) -> None:
    """This service and the hand-written one, side by side; without wrk, the page says so instead."""
    page = tmp_path / "page.md"
    page.write_text(f"old\n\n{BY_HAND}\n\nWritten by a person.\n")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks", "--quick", "--page", str(page)),
            *("--parts", "requests,deep"),
            *("--peers", "ours,ceiling", "--workloads", "one,post"),
        ],
        cwd=ROOT,
        env=clean_environment(DATABASE_URL=server_url),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    written = page.read_text()
    assert written.endswith(f"{BY_HAND}\n\nWritten by a person.\n")
    assert "old" not in written
    if shutil.which("wrk") is None:
        assert "requests: wrk is not installed" in written
        return
    for start in ("| GET one | ", "| POST | ", "| first page, times page 900 reached by `next` | "):
        assert start in written
    assert "Left out" not in done.stdout
    assert page.with_suffix(".svg").read_text().startswith("<svg")


def test_no_figure_is_taken_of_a_wrong_answer(service: Service) -> None:
    service.generate(payload(entry("people")))
    at = Running(service.url, os.getpid())
    with pytest.raises(WrongAnswer, match="404"):
        check(at, Request("/people/{n}"), "")
    with pytest.raises(WrongAnswer, match="200"):
        check(at, Request("/people"), '"nobody"')
    check(at, Request("/people"), '"links":[]')


def test_a_ratio_is_taken_within_each_round() -> None:
    """A slow minute meets both servers, and leaves their ratio as it is."""
    ours = [Sample(rate, 1, 1, None, None) for rate in (1000, 100, 1000)]
    theirs = [Sample(rate, 1, 1, None, None) for rate in (500, 50, 500)]
    assert ratio(ours, theirs) == Spread(2, 2, 2)


def test_a_page_of_nothing_measured_says_what_is_missing() -> None:
    measured = Measured(rounds=1, seconds=1, workers=2, postgresql="18", notices=["all of it"])
    assert "## Not measured here\n\n- all of it\n" in text(measured)


def test_a_page_keeps_nothing_by_hand_where_there_is_nothing(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    write(Measured(rounds=1, seconds=1, workers=2, postgresql="18"), page)
    assert BY_HAND not in page.read_text()


def test_the_chart_has_a_bar_for_each_server() -> None:
    results = {peer.key: [Sample(100, 1, 1, None, None)] for peer in PEERS}
    drawn = chart([("GET <one>", results)], {peer.key: peer.title for peer in PEERS})
    assert drawn.count("<rect") == len(PEERS) + 1
    assert "GET &lt;one&gt;" in drawn


def test_every_workload_is_known_to_this_service() -> None:
    ours = PEERS[0]
    assert [each.key for each in WORKLOADS if ours.dialect not in each.requests] == []


def test_a_profile_counts_what_happens_inside_requests(tmp_path: Path) -> None:
    names = ["_callback_wrapper.<locals>._runner", "view", "wait"]
    frames = [{"name": name, "file": "/x/site-packages/granian/wsgi.py"} for name in names]
    samples = [[0, 1], [0, 1], [0], [2], []]
    file = tmp_path / "profile.json"
    file.write_text(json.dumps({"shared": {"frames": frames}, "profiles": [{"samples": samples}]}))
    said = most_met(file, 10)
    assert "66.7%           66.7%       view (granian/wsgi.py)" in said
    assert "wait" not in said


def test_the_memory_of_a_worker_is_read(service: Service) -> None:
    assert service.process is not None
    if not processes.KNOWN:
        return
    found = largest(service.process.pid, 2)
    assert 10 < found.proportional <= found.resident <= found.peak < 1000


def test_processor_time_counts_processes_that_have_ended() -> None:
    busy = "import time; end = time.process_time() + 0.05\nwhile time.process_time() < end: pass"
    before = processes.cpu_seconds(os.getpid())
    subprocess.run([sys.executable, "-c", busy], check=True)
    after = processes.cpu_seconds(os.getpid())
    if not processes.KNOWN:
        assert before is after is None
        return
    assert before is not None
    assert after is not None
    assert after - before >= 0.04


def test_growth_is_the_time_for_each_table() -> None:
    figures = [Figure(10, True, (1.0,)), Figure(100, True, (5.0,)), Figure(200, True, (10.0,))]
    ((what, ratio),) = growth(figures)
    assert what == "generating 200 tables: time for each, times that of 100"
    assert ratio == 1.0

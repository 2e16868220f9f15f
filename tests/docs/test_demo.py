"""``make demo``: one command, a database and an API; Ctrl-C ends all of it; the data stay."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.docs.pages import URL, blocks, contains, steps
from tests.service import ROOT, clean_environment, free_port

DEADLINE = 60
WELCOME = "Ctrl-C stops the service"


class Demo:
    """A running demo, with folders of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.output_file = folder / "output"

    @contextmanager
    def running(self) -> Iterator[None]:
        environment = clean_environment(
            PORT=str(self.port),
            DRG_DATA_DIR=str(self.folder / "var"),
            DRG_STATIC_DIR=str(self.folder / "static"),
        )
        with self.output_file.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "examples/demo.py"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            deadline = time.monotonic() + DEADLINE
            while WELCOME not in self.output:
                assert self.process.poll() is None, self.output
                assert time.monotonic() < deadline, self.output
                time.sleep(0.05)
            yield
        finally:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(DEADLINE)

    @property
    def output(self) -> str:
        """What it has printed, as if it were on port 8081."""
        return self.output_file.read_text("utf-8").replace(self.url, URL)

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=30)

    def left_running(self) -> list[str]:
        """Command lines of processes that know this demo's folders or port."""
        marks = (str(self.folder), f"--port {self.port}")
        return [line for line in command_lines() if any(mark in line for mark in marks)]


def command_lines() -> list[str]:
    """Those of every process on this machine."""
    if not (processes := list(Path("/proc").glob("[0-9]*/cmdline"))):  # not Linux
        listed = subprocess.run(["ps", "-eww", "-o", "args="], capture_output=True, text=True)
        return listed.stdout.splitlines()
    found = []
    for file in processes:
        with contextlib.suppress(OSError):  # it has ended
            found.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return Demo(tmp_path_factory.mktemp("demo"))


def test_the_demo_shows_the_ui_and_its_rows_and_ctrl_c_ends_all_of_it(demo: Demo) -> None:
    with demo.running():
        page = demo.get("/ui/")
        assert page.status_code == 200
        assert page.headers["Content-Type"].startswith("text/html")
        assert len(demo.get("/provider").json()["provider"]) == 6
    assert demo.process.returncode == 0, demo.output
    assert demo.left_running() == []
    with pytest.raises(requests.ConnectionError):
        demo.get("/-/health")


def test_the_readme_shows_what_the_demo_prints(tmp_path: Path) -> None:
    shown = [block for block in blocks(ROOT / "README.md") if block.marks == "demo"]
    assert shown
    demo = Demo(tmp_path)
    with demo.running():
        pass
    for block in shown:
        for _, output in steps(block):
            assert contains(output, demo.output), demo.output


def test_a_second_demo_keeps_what_the_first_one_had(demo: Demo) -> None:
    with demo.running():
        changed = requests.patch(
            f"{demo.url}/provider/1", json={"name": "Renamed College"}, timeout=30
        )
        assert changed.status_code == 200, changed.text
    with demo.running():
        assert demo.get("/provider/1").json()["name"] == "Renamed College"
        assert "6 new" not in demo.output
    assert demo.process.returncode == 0, demo.output
    assert demo.left_running() == []

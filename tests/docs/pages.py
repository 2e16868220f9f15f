"""The documentation's pages, their fenced blocks, and how each block is run.

The first word after the fence is the language; what follows are marks, which readers do not see:

    console             each line that starts with "$ " is a command, what follows is its output
    console fails       … which ends with an exit status other than 0
    console stop        the page's service is stopped; the block shows what a person would do
    console start       … is started, and the output is what it has logged since; variables before
                        the command are its own, and of the page's drg commands from there on
    console tour        is part of what examples/workforce/tour.sh prints
    console demo        is part of what `make demo` prints
    console not-run: …  is not run, for this reason
    json file=NAME      is a file in the page's folder for the commands that follow; so are
                        python file=NAME and text file=NAME
    json entry          is an entry of a data dictionary, and compiles
    json field          is a field descriptor, and compiles
    json                parses
    sql                 is run on the page's database
    text, ini, yaml     are not run; they are neither commands nor code

In outputs "…" stands for anything. White space between JSON tokens does not count, so that an answer
can be wrapped. ``<!-- prepared: workforce -->`` at the top of a page gives it the example's rows.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.service import ROOT, Database, Service, clean_environment, workforce

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
URL = "http://127.0.0.1:8081"
DATABASE_URL = "postgresql+psycopg2://me:secret@localhost/bookshop"
ANYTHING = "…"

#: A page never stops a service sooner: every worker is ready by then, not only the first.
SETTLING_SECONDS = 2

RUN = {"console", "json", "python", "sql"}
TEXT = {"text", "ini", "yaml"}
DIRECTIVES = {"{toctree}"}

#: Commands that go to port 8081 unless told otherwise, and how they are told.
_DEFAULT_URL = {
    "drg generate ": " --url ",
    "drg import ": " --url ",
    "drg export ": " --url ",
    "python examples/workforce/load.py": " --url ",
    "examples/workforce/tour.sh": " ",
}
_PRELUDE = "curl() { command curl --silent --show-error --noproxy '*' --max-time 30 \"$@\"; }\n"


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a page; ``line`` is that of its first line of text."""

    page: Path
    line: int
    language: str
    marks: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def file(self) -> str | None:
        return self.marks.removeprefix("file=") if self.marks.startswith("file=") else None

    @property
    def needs_service(self) -> bool:
        return self.language == "sql" or (
            self.language == "console" and self.marks in ("", "fails", "stop", "start")
        )


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a page."""
    found = []
    fence = re.compile(r"^```(?P<info>\S[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
    text = page.read_text("utf-8")
    for match in fence.finditer(text):
        language, _, marks = match["info"].partition(" ")
        line = text.count("\n", 0, match.start("text")) + 1
        found.append(Block(page, line, language, marks.strip(), match["text"]))
    return found


def steps(block: Block) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with the output that is shown for it."""
    lines = block.text.splitlines()
    index = 0
    while index < len(lines):
        assert lines[index].startswith("$ "), f"{block.place}: {lines[index]!r} is no command"
        command = lines[index][2:]
        index += 1
        while not _is_complete(command):
            command += "\n" + lines[index]
            index += 1
        shown = []
        while index < len(lines) and not lines[index].startswith("$ "):
            shown.append(lines[index])
            index += 1
        yield command, "\n".join(shown)


def _is_complete(command: str) -> bool:
    if command.endswith("\\"):
        return False
    checked = subprocess.run(["bash", "-n", "-c", command], capture_output=True, check=False)
    return checked.returncode == 0 and not checked.stderr


def normal(text: str) -> str:
    """Output without what does not count: trailing white space, and any between JSON tokens."""
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").strip().split("\n")]
    text = "\n".join(lines)
    head, blank, body = text.partition("\n\n") if text.startswith("HTTP/") else ("", "", text)
    if re.match(r'\{|\[[\d"{\]…]', body):  # a log line may begin with "[INFO]"
        body = re.sub(r'("(?:[^"\\]|\\.)*")|\s+', lambda match: match[1] or "", body)
    return head + blank + body


def matches(shown: str, actual: str) -> bool:
    """Whether an output is the one that a page shows."""
    parts = (re.escape(part) for part in normal(shown).split(ANYTHING))
    return re.fullmatch(".*?".join(parts), normal(actual), re.DOTALL) is not None


def contains(shown: str, actual: str) -> bool:
    """Whether a page shows a part of an output; here JSON stands in single lines."""
    parts = (re.escape(part) for part in shown.strip().split(ANYTHING))
    return re.search(".*?".join(parts), actual, re.DOTALL) is not None


class PageRun:
    """Runs a page's blocks in order, in a folder where the project's files can be seen."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.folder = service.folder
        hidden = {"static", "var", ".git"}
        for path in ROOT.iterdir():
            if path.name not in hidden and not (self.folder / path.name).exists():
                (self.folder / path.name).symlink_to(path)
        path = f"{Path(sys.executable).parent}:{clean_environment()['PATH']}"
        self.settled = time.monotonic() + SETTLING_SECONDS
        # As in pyproject.toml: connexion imports something that warns about itself.
        warnings = "ignore:Using `httpx` with `starlette.testclient` is deprecated"
        self.environment = clean_environment(PATH=path, LC_ALL="C.UTF-8", PYTHONWARNINGS=warnings)

    @property
    def database(self) -> Database:
        assert self.service.database is not None
        return self.service.database

    def prepare(self, page: Path) -> None:
        """Do what the page's first lines say."""
        if "<!-- prepared: workforce -->" in page.read_text("utf-8"):
            self.service.generate(workforce())
            self.shell("python examples/workforce/load.py")

    def shell(self, command: str, *, fails: bool = False) -> str:
        """Run a command as a page writes it; return its output as a page would show it."""
        for known, option in _DEFAULT_URL.items():
            if command.startswith(known) and "http" not in command:
                command += option + URL
        done = subprocess.run(
            ["bash", "-c", _PRELUDE + self.real(command)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        shown = self.documented(done.stdout)
        assert (done.returncode != 0) is fails, f"$ {command}\n{shown}\nexit {done.returncode}"
        return shown

    def real(self, text: str) -> str:
        """What a page says, for this service and this database."""
        url = self.database.url.replace("postgresql://", "postgresql+psycopg2://")
        return text.replace(URL, self.service.url).replace(DATABASE_URL, url)

    def documented(self, text: str) -> str:
        """The other way round."""
        text = text.replace(f"{self.folder.resolve()}/", "").replace(f"{self.folder}/", "")
        return text.replace(self.service.url, URL).replace(
            f"127.0.0.1:{self.service.port}", URL[7:]
        )

    def _set_variables(self, command: str) -> None:
        """Those that stand before ``drg serve``: for it, and for the commands after it."""
        variables = dict(
            word.split("=", 1)
            for word in itertools.takewhile(lambda w: "=" in w, shlex.split(command))
        )
        if variables:
            self.service.environment |= variables
            kept = ("DATABASE_URL", "DRG_STATIC_DIR", "DRG_DATA_DIR")
            self.environment |= {name: self.service.environment[name] for name in kept} | variables

    def _wait_for_every_worker(self, before: int) -> None:
        """Until all have looked at what is stored: a late one would see what the page does next."""
        deadline = time.monotonic() + 60
        while "Serving on" not in self.service.log()[before:]:
            assert time.monotonic() < deadline, self.service.log()
            time.sleep(0.05)
        time.sleep(0.5)  # what is live is told after that

    def run(self, block: Block) -> list[tuple[str, str, str]]:
        """Run a block: each command, the output shown for it, and its real one."""
        if block.file is not None:
            (self.folder / block.file).write_text(self.real(block.text), "utf-8")
        elif block.language == "sql":
            self.database.execute(block.text)
        elif block.language == "console" and block.marks == "stop":
            time.sleep(max(0, self.settled - time.monotonic()))
            self.service.stop()
        elif block.language == "console" and block.marks == "start":
            ((command, shown),) = steps(block)
            self._set_variables(command)
            before = len(self.service.log())
            self.service.start()
            self._wait_for_every_worker(before)
            self.settled = time.monotonic() + SETTLING_SECONDS
            return [(command, shown, self.documented(self.service.log()[before:]))]
        elif block.language == "console" and block.marks in ("", "fails"):
            fails = block.marks == "fails"
            return [
                (command, shown, self.shell(command, fails=fails))
                for command, shown in steps(block)
            ]
        return []


def is_json(text: str) -> bool:
    """Whether this is a JSON text."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True

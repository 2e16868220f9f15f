"""Every command, request, answer and example of the documentation is run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from data_resource_api import compile_data_resource
from tests.docs.pages import (
    DIRECTIVES,
    PAGES,
    RUN,
    TEXT,
    Block,
    PageRun,
    blocks,
    contains,
    matches,
    steps,
)
from tests.service import ROOT, Database, Service, entry, payload, running, workforce

EVERY_BLOCK = [block for page in PAGES for block in blocks(page)]
RUN_PAGES = [page for page in PAGES if any(block.needs_service for block in blocks(page))]


def names(value: object) -> str:
    return value.place if isinstance(value, Block) else str(Path(str(value)).name)


def marked(language: str, *marks: str) -> list[Block]:
    return [item for item in EVERY_BLOCK if item.language == language and item.marks in marks]


@pytest.mark.parametrize("page", RUN_PAGES, ids=names)
def test_what_a_page_shows_is_what_happens(page: Path, tmp_path: Path, server_url: str) -> None:
    """The blocks of a page, in order, on a service and a database of its own."""
    with running(tmp_path, server_url) as service:
        run = PageRun(service)
        run.prepare(page)
        for block in blocks(page):
            for command, shown, actual in run.run(block):
                assert matches(shown, actual), f"{block.place}\n$ {command}\n{actual}"


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_no_block_escapes_being_run(page: Path) -> None:
    """A block that is not run says why, or is in a language that is not run anywhere."""
    text = page.read_text("utf-8")
    assert text.count("```") == 2 * len(blocks(page)), "a fence is indented, or has no language"
    known = {
        "console": ("", "fails", "stop", "start", "tour", "demo"),
        "json": ("", "entry", "field"),
        "python": (),
        "sql": ("",),
        **dict.fromkeys((*TEXT, *DIRECTIVES)),
    }
    for block in blocks(page):
        assert block.language in RUN | TEXT | DIRECTIVES, block.place
        reason = block.marks.removeprefix("not-run: ")
        if block.language not in RUN or block.file or reason != block.marks != "not-run:":
            continue
        assert block.marks in known[block.language], f"{block.place}: {block.marks}"


@pytest.mark.parametrize("block", marked("json", ""), ids=names)
def test_json_is_json(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", marked("json", "entry", "field"), ids=names)
def test_a_part_of_a_payload_compiles(block: Block) -> None:
    part = json.loads(block.text)
    stated = entry("example", part) if block.marks == "field" else part
    compile_data_resource(payload(stated))


def test_the_tour_goes_through_and_the_pages_quote_it(tmp_path: Path, server_url: str) -> None:
    with running(tmp_path, server_url) as service:
        run = PageRun(service)
        run.prepare(ROOT / "README.md")
        first, second = (run.shell("examples/workforce/tour.sh") for _ in range(2))
    assert second.count("\nHTTP ") == first.count("\nHTTP ") > 10
    quoted = marked("console", "tour")
    assert quoted
    for block in quoted:
        for command, shown in steps(block):
            assert contains(f"$ {command}\n{shown}", first), f"{block.place}\n{first}"


def test_flask_run_serves_too(tmp_path: Path, server_url: str) -> None:
    """Flask's own server finds wsgi.py, and is stopped like any other program."""
    database = Database(server_url)
    service = Service(tmp_path, database)
    (tmp_path / "wsgi.py").symlink_to(ROOT / "wsgi.py")
    try:
        with (tmp_path / "log").open("wb") as log:
            command = [Path(sys.executable).with_name("flask"), "run", "--port", str(service.port)]
            service.process = subprocess.Popen(
                command, cwd=tmp_path, env=service.environment, stdout=log, stderr=log
            )
        service.wait_until_alive()
        service.generate(workforce())
        assert service.get("/provider").json() == {"provider": [], "links": []}
    finally:
        service.stop()
        database.drop()

"""Write the real outputs into pages: ``python -m tests.docs.update docs/interacting.md``.

Only outputs that differ from what is shown are written. Read every one before committing: the contract
says what is right, not the program.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from data_resource_api.database.embedded import join
from tests.docs.pages import PageRun, blocks, is_json, matches
from tests.service import running

WIDTH = 100


class _Number(str):
    __slots__ = ()


def _wrapped(value: Any, indent: int = 0) -> str:
    """JSON on one line where it fits."""
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        items = [
            f"{json.dumps(key, ensure_ascii=False)}: {_wrapped(item, indent + 2)}"
            for key, item in value.items()
        ]
        ends = "{}"
    elif isinstance(value, list):
        items = [_wrapped(item, indent + 2) for item in value]
        ends = "[]"
    else:
        return json.dumps(value, ensure_ascii=False)
    line = f"{ends[0]}{', '.join(items)}{ends[1]}"
    if "\n" not in line and len(line) + indent <= WIDTH:
        return line
    inner = " " * (indent + 2)
    return (
        ends[0] + "".join(f"\n{inner}{item}," for item in items)[:-1] + f"\n{' ' * indent}{ends[1]}"
    )


def readable(output: str) -> str:
    """An output as a page shows it."""
    output = output.replace("\r\n", "\n").strip()
    head, blank, body = output.partition("\n\n") if output.startswith("HTTP/") else ("", "", output)
    if is_json(body) and body[:1] in "{[":
        body = _wrapped(json.loads(body, parse_float=_Number, parse_int=_Number))
    kept = (
        "http/",
        "location:",
        "allow:",
        "retry-after:",
        "etag:",
        "content-type: application/problem",
    )
    lines = [line if line.lower().startswith(kept) else "…" for line in head.split("\n")]
    lines = [line for index, line in enumerate(lines) if line != "…" or lines[index - 1] != "…"]
    return "\n".join(lines) + blank + body if head else body


def update(page: Path, server_url: str) -> None:
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), server_url) as service:
        run = PageRun(service)
        run.prepare(page)
        text = page.read_text("utf-8")
        for block in blocks(page):
            new = block.text
            for command, shown, actual in run.run(block):
                if not matches(shown, actual):
                    old = f"$ {command}\n{shown}".rstrip("\n") + "\n"
                    new = new.replace(
                        old, f"$ {command}\n{readable(actual)}".rstrip("\n") + "\n", 1
                    )
            if new != block.text:
                text = text.replace(f"\n{block.text}```", f"\n{new}```", 1)
                print(f"{block.place} updated")
        page.write_text(text, "utf-8")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        embedded = None if "DATABASE_URL" in os.environ else join(Path(folder))
        try:
            for name in sys.argv[1:]:
                update(
                    Path(name).resolve(), embedded.url if embedded else os.environ["DATABASE_URL"]
                )
        finally:
            if embedded:
                embedded.release()


if __name__ == "__main__":
    main()

"""How much memory a worker of this service holds."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from benchmarks import processes
from benchmarks.durations import tables
from benchmarks.ground import Ground
from benchmarks.peers import service as drg
from tests.service import Database, Service


def with_tables(server_url: str, folder: Path, count: int, workers: int = 2) -> processes.Memory:
    """The largest worker's memory when every table has been read from every worker."""
    database = Database(server_url)
    made = Service(folder, database, workers=workers)
    try:
        made.start()
        made.generate(tables(count))
        for _ in range(4 * workers):  # a connection meets one worker, whichever it is
            with requests.Session() as session:
                for number in range(count):
                    session.get(f"{made.url}/table_{number:04}", timeout=60).raise_for_status()
        assert made.process is not None
        found = largest(made.process.pid, workers)
        made.stop()
    finally:
        made.kill()
        database.drop()
    return found


def of_reading(ground: Ground, page: int = 10_000) -> tuple[processes.Memory, float, int]:
    """A worker's memory before a whole table is read in pages.

    :returns: it, by how many MiB its peak grew while reading, and the number of rows.
    """
    with drg(ground, "reading") as at:
        for _ in range(4 * ground.workers):
            requests.get(f"{at.url}/million?limit=20", timeout=60).raise_for_status()
        before = largest(at.pid, ground.workers)
        rows = sum(len(page["million"]) for page in followed(at.url, f"/million?limit={page}"))
        after = max(
            (processes.memory(pid).peak for pid in processes.largest_children(at.pid, 1)),
            default=before.peak,
        )
    return before, after - before.peak, rows


def largest(master: int, workers: int) -> processes.Memory:
    """The largest worker's."""
    found = map(processes.memory, processes.largest_children(master, workers))
    return max(found, key=lambda memory: memory.resident)


def followed(url: str, path: str) -> Iterator[dict[str, Any]]:
    """Pages, from a first one on, by their ``next`` links, on one connection."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
    try:
        while path:
            connection.request("GET", path)
            page = json.loads(connection.getresponse().read())
            yield page
            path = next((link["href"] for link in page["links"] if link["rel"] == "next"), "")
    finally:
        connection.close()

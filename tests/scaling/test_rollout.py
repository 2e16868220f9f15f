"""A change is rolled out under load over two hosts of two workers each: no request fails."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.scaling.load import load
from tests.service import Database, Service, entry, payload


def document(number: int) -> dict[str, Any]:
    """One of many payloads that the same tables go with."""
    people, team = (entry(name, {"name": "name", "type": "string"}) for name in ("people", "team"))
    made = payload(people, team, pairs=[("people", "team")])
    made["data_resource_schema"]["name"] = f"Version {number}"
    if number % 2:  # an operation that nobody uses comes and goes
        del made["data_resource_schema"]["api"]["apiSpec"]["paths"]["/team/query"]
    return {**made, "touch_database": False}


def roll_out(folder: Path, server_url: str, changes: int, pause: float) -> None:
    """Post so many payloads to one host and the other in turn, while both serve clients."""
    database = Database(server_url)
    hosts = [Service(folder / name, database, workers=2) for name in ("a", "b")]
    try:
        for host in hosts:
            host.start()
        hosts[0].generate({**document(0), "touch_database": True})
        time.sleep(2)  # what the other host may be behind
        assert hosts[1].post("/team", {"name": "Blue"}).status_code == 201
        versions = {hosts[0].get("/generator").json()["version"]}
        with load(*(host.url for host in hosts)) as running:
            for number in range(1, changes + 1):
                time.sleep(pause)
                hosts[number % 2].generate(document(number))
                versions.add(hosts[number % 2].get("/generator").json()["version"])
            time.sleep(2)
            last = hosts[changes % 2].get("/generator").json()["version"]
            for host in hosts * 4:
                assert host.get("/people").headers["DRG-Version"] == last
        assert running.failures() == []
        seen = {answer.version for answer in running.answers}
        assert len(versions) == changes + 1
        assert {last} < seen <= versions
        rows = database.execute("SELECT name FROM people")
        assert running.added() <= {name for (name,) in rows}
        print(f"{changes} changes: {running.statuses()}; the slowest: {running.slowest():.2f} s")
        for host in hosts:
            host.stop()
            assert "Traceback" not in host.log(), host.log()
    finally:
        for host in hosts:
            host.kill()
        database.drop()


def test_no_request_fails_while_payloads_are_rolled_out(tmp_path: Path, server_url: str) -> None:
    roll_out(tmp_path, server_url, changes=4, pause=0.3)


@pytest.mark.soak
def test_no_request_of_a_long_load_fails_while_payloads_are_rolled_out(
    tmp_path: Path, server_url: str
) -> None:
    roll_out(tmp_path, server_url, changes=40, pause=1)

"""The audit log: one line for each write and each refusal; who, what, which row, and no value."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from data_resource_api.audit import AuditLog
from data_resource_api.compiler.openapi import KINDS, Kind, Operation
from data_resource_api.rest.direct import OPERATION
from data_resource_api.rest.plan import READS
from tests.service import Database, Service, clean_environment, entry, payload, running

CANARY = "canary-value"

DOCUMENT = payload(
    entry("people", {"name": "name", "type": "string", "constraints": {"unique": True}}),
    entry("group"),
    entry(
        "place",
        {"name": "country", "type": "string"},
        {"name": "town", "type": "string"},
        key=["country", "town"],
    ),
    pairs=[("people", "group")],
)
del DOCUMENT["data_resource_schema"]["api"]["apiSpec"]["paths"]["/place/{id}"]


class Audited:
    """A service whose audit log is a file."""

    def __init__(self, service: Service, file: Path) -> None:
        self.service = service
        self.file = file

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def after(self, method: str, path: str, body: Any = None, **more: Any) -> list[dict[str, Any]]:
        """What one request adds to the log."""
        before = len(self.lines())
        self.answer = self.service.request(method, path, body, **more)
        return self.lines()[before:]


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Audited]:
    folder = tmp_path_factory.mktemp("audit")
    file = folder / "audit.jsonl"
    with running(folder, server_url, DRG_AUDIT_LOG=str(file)) as service:
        service.generate(DOCUMENT)
        service.post("/group", {})
        yield Audited(service, file)


def test_a_write_is_one_line_with_who_what_which_row_and_how_it_ended(audited: Audited) -> None:
    (line,) = audited.after("POST", "/people?", {"name": CANARY})
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line.pop("milliseconds") > 0
    assert line.pop("id") == audited.answer.headers["X-Request-Id"]
    assert line == {
        "trace": None,
        "subject": None,
        "client": None,
        "address": "127.0.0.1",
        "method": "POST",
        "path": "/people",
        "operation": "/people",
        "table": "people",
        "related": None,
        "key": audited.answer.json()["id"],
        "status": 201,
    }


@pytest.mark.parametrize(
    ("method", "path", "body", "operation", "table", "key", "status"),
    [
        ("PUT", "/people/77", {"name": "a"}, "/people/{id}", "people", 77, 201),
        ("PUT", "/people/77", {"name": "b"}, "/people/{id}", "people", "77", 200),
        ("PATCH", "/people/77", {"name": "c"}, "/people/{id}", "people", "77", 200),
        ("PUT", "/people/77/group", [1], "/people/{id}/group", "people", "77", 200),
        ("PATCH", "/people/77/group", [1], "/people/{id}/group", "people", "77", 200),
        ("POST", "/place", {"country": "x", "town": "y"}, "/place", "place", ["x", "y"], 201),
        ("POST", "/generator", DOCUMENT, "/generator", None, None, 204),
        (
            "PUT",
            "/tableschema/5",
            {"name": "t", "tableSchema": {"fields": [{"name": "f"}]}},
            "/tableschema/{id}",
            None,
            "5",
            200,
        ),
        ("DELETE", "/tableschema/5", None, "/tableschema/{id}", None, "5", 204),
    ],
)
def test_every_kind_of_write_is_in_the_log(
    audited: Audited,
    method: str,
    path: str,
    body: Any,
    operation: str,
    table: str | None,
    key: Any,
    status: int,
) -> None:
    (line,) = audited.after(method, path, body)
    assert (line["method"], line["path"], line["operation"]) == (method, path, operation)
    assert (line["table"], line["key"], line["status"]) == (table, key, status)


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("GET", "/people", None, {"Host": "example.org"}, 403),
        ("GET", "/generator", None, {"Host": "example.org"}, 403),
        ("GET", "/nothing", None, {"Host": "example.org"}, 403),
        ("GET", "/people", None, {"Origin": "https://example.org"}, 403),
        ("POST", "/people/query", {"name": "x"}, {"Host": "example.org"}, 403),
        ("POST", "/people", {"unknown": CANARY}, {}, 400),
        ("POST", "/people", "{", {}, 400),
        ("POST", "/people", "{}", {"Content-Type": "text/plain"}, 415),
        ("POST", "/people", {"name": CANARY}, {}, 409),
        ("PATCH", "/people/99999", {"name": CANARY}, {}, 404),
        ("PATCH", f"/people?{CANARY}=1", {"name": CANARY}, {}, 405),
        ("PUT", f"/people/78?{CANARY}={CANARY}", {"name": CANARY}, {}, 400),
        ("DELETE", "/people/1", None, {}, 405),
        ("POST", "/nothing", {}, {}, 404),
        ("POST", "/generator", {"name": CANARY}, {}, 400),
        ("POST", "/-/health", {}, {}, 405),
    ],
)
def test_every_refusal_of_a_write_and_every_403_is_in_the_log(
    audited: Audited, method: str, path: str, body: Any, headers: dict[str, str], status: int
) -> None:
    (line,) = audited.after(method, path, body, headers=dict(headers))
    assert audited.answer.status_code == status
    assert (line["status"], line["method"]) == (status, method)
    assert line["path"] == path.partition("?")[0]
    assert line["id"] == audited.answer.headers["X-Request-Id"]


def test_reads_are_not_in_the_log(audited: Audited) -> None:
    for path in ("/people", "/people/1", "/people/99999", "/nothing", "/people?x=1", "/generator"):
        assert audited.after("GET", path) == [], path
        assert audited.after("HEAD", path) == [], path
    assert audited.after("POST", "/people/query", {"name": CANARY}) == []
    assert audited.after("POST", "/people/query", {"unknown": 1}) == []
    assert audited.after("OPTIONS", "/people") == []


def test_which_kinds_are_reads_is_decided_for_every_kind() -> None:
    """A new operation that changes something must not be taken for a read."""
    log = AuditLog(enabled=True)
    recorded = {
        kind
        for (shape, verb), kind in KINDS.items()
        if log.concerns(
            {
                "REQUEST_METHOD": verb.upper(),
                OPERATION: Operation(kind, shape, "/t", verb, "t", None),
            },
            200,
        )
    }
    assert recorded == set(Kind) - READS
    assert {Kind.LIST, Kind.READ, Kind.QUERY, Kind.RELATED, Kind.CHILDREN} == READS


def test_no_line_holds_a_value_or_a_query_string(audited: Audited) -> None:
    """The tests above have sent the canary in bodies, in query strings and as names."""
    secret = f"Bearer {CANARY}"
    audited.after("POST", f"/people?{CANARY}", {CANARY: 1}, headers={"Authorization": secret})
    assert audited.answer.status_code == 400
    assert len(audited.lines()) > 3
    assert CANARY not in audited.file.read_text()


def test_a_line_cannot_be_forged(audited: Audited) -> None:
    forged = '/people/1%0A{"status":200}%0D%22'
    before = audited.file.read_text().count("\n")
    (line,) = audited.after("PATCH", forged, {"name": "x"})
    assert audited.file.read_text().count("\n") == before + 1
    assert line["key"] == '1\n{"status":200}\r"'
    (line,) = audited.after("POST", "/people", {}, headers={"X-Request-Id": 'x","status":"200'})
    assert re.fullmatch("[0-9a-f]{32}", line["id"])


def test_lines_of_several_workers_are_whole(audited: Audited) -> None:
    """Two processes append at once; every line is one request's."""
    before = len(audited.lines())

    def write(number: int) -> str:
        key = f"{number}-" + "k" * 900
        return audited.service.post(f"/nothing/{key}", {}).headers["X-Request-Id"]

    with ThreadPoolExecutor(8) as pool:
        sent = sorted(pool.map(write, range(200)))
    assert sorted(line["id"] for line in audited.lines()[before:]) == sent


def test_the_log_can_be_rotated_by_renaming_it(audited: Audited) -> None:
    kept = audited.lines()
    moved = audited.file.with_name("audit.jsonl.1")
    audited.file.rename(moved)
    for _ in range(20):  # each worker sees it with its next line
        assert audited.service.post("/nothing", {}).status_code == 404
    assert len(audited.lines()) == 20
    assert [json.loads(line) for line in moved.read_text().splitlines()] == kept
    assert audited.file.stat().st_mode & 0o777 == 0o600


def test_a_line_that_cannot_be_written_is_an_error_in_the_log_and_the_answer_goes_out(
    tmp_path: Path, server_url: str
) -> None:
    file = tmp_path / "logs" / "audit.jsonl"
    file.parent.mkdir()
    with running(tmp_path, server_url, workers=1, DRG_AUDIT_LOG=str(file)) as service:
        service.generate(payload(entry("people")))
        file.unlink()
        file.parent.rmdir()
        answer = service.post("/people", {})
        assert answer.status_code == 201
        (error,) = [line for line in service.log().splitlines() if " ERROR " in line]
        assert "DRG_AUDIT_LOG" in error
        assert answer.headers["X-Request-Id"] in error


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_error_in_the_log(tmp_path: Path, server_url: str) -> None:
    with running(tmp_path, server_url, workers=1, DRG_AUDIT_LOG="/dev/full") as service:
        service.generate(payload(entry("people")))
        assert service.post("/people", {}).status_code == 201
        assert "No space left on device" in service.log()


@pytest.mark.parametrize("target", ["{}/missing/audit.jsonl", "{}"])
def test_a_file_that_cannot_be_appended_to_stops_the_start(
    tmp_path: Path, database: Database, target: str
) -> None:
    name = target.format(tmp_path)
    program = Path(sys.executable).with_name("drg")
    done = subprocess.run(
        [program, "serve", "--port", "1"],
        env=clean_environment(DATABASE_URL=database.url, DRG_AUDIT_LOG=name),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"drg: DRG_AUDIT_LOG: {name} cannot be appended to: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("target", "count"), [("-", 1), ("off", 0), ("", 0)])
def test_the_log_may_be_standard_error_or_off(
    tmp_path: Path, server_url: str, target: str, count: int
) -> None:
    """TEST and LOCAL keep none unless it is asked for."""
    with running(tmp_path, server_url, workers=1, DRG_AUDIT_LOG=target) as service:
        service.post("/nothing", {})
    found = [line for line in service.log().splitlines() if line.startswith('{"time":')]
    assert len(found) == count
    assert not [name for name in (path.name for path in tmp_path.iterdir()) if name in ("-", "off")]

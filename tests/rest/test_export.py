"""Rows in other forms than JSON: CSV that is valid against the Table Schema, and JSON lines, as streams."""

from __future__ import annotations

import csv
import io
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.rest.test_csv_in import memory
from tests.service import Database, Service, entry, payload, running

KEY = {"key": "DRG_EXPORT_KEY", "type": "AES_256_GCM"}
CSV = {"Accept": "text/csv"}
NDJSON = {"Accept": "application/x-ndjson"}

#: Each field, and a value of it as JSON that is not usual.
FIELDS: dict[str, tuple[dict[str, Any], Any]] = {
    "text": ({"type": "string"}, 'a "b", c;\r\nd = 1 % é 日本'),
    "formula": ({"type": "string"}, "=1+1"),
    "blank": ({"type": "string"}, " "),
    "mail": ({"type": "string", "format": "email"}, "a@example.org"),
    "anything": ({"type": "any"}, "x"),
    "whole": ({"type": "integer"}, -5),
    "year": ({"type": "year"}, 79),
    "number": ({"type": "number"}, "12345678901234567890.50"),
    "comma": ({"type": "number", "decimalChar": ","}, 1.25),
    "yes": ({"type": "boolean"}, True),
    "ja": ({"type": "boolean", "trueValues": ["ja", "j"], "falseValues": ["nein, nie"]}, False),
    "object": ({"type": "object"}, {"a": [1, "b,c", None], "d": '"'}),
    "array": ({"type": "array"}, [1, "a", {"b": 2}]),
    "geojson": ({"type": "geojson"}, {"type": "Point", "coordinates": [1.5, 2]}),
    "point": ({"type": "geopoint"}, "90.50, 45.50"),
    "duration": ({"type": "duration"}, "P1Y2M"),
    "month": ({"type": "yearmonth"}, "2012-04"),
    "date": ({"type": "date"}, "2012-04-23"),
    "day": ({"type": "date", "format": "%d/%m/%Y"}, "0812-04-03"),
    "time": ({"type": "time"}, "18:25:43Z"),
    "clock": ({"type": "time", "format": "%H.%M.%S"}, "18:25:43Z"),
    "moment": ({"type": "datetime"}, "2012-04-23T18:25:43Z"),
    "second": ({"type": "datetime", "format": "%d.%m.%Y %H:%M:%S"}, "2012-04-23T18:25:43Z"),
}
PROTECTED = [name for name in FIELDS if name not in ("geojson", "anything")]
BIG = 15_000


def _entry(name: str, *, protected: bool) -> dict[str, Any]:
    fields = [
        {"name": field, **descriptor, **({"protected": True} if protected else {})}
        for field, (descriptor, _) in FIELDS.items()
        if not protected or field in PROTECTED
    ]
    made = entry(name, *fields)
    return {**made, "encryptionSchema": {"*": KEY}} if protected else made


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    text = {"name": "text", "type": "string"}
    entries = [
        _entry("every", protected=False),
        _entry("secret", protected=True),
        entry("nothing", text),
        entry(
            "marked", text, {"name": "size", "type": "number"}, missingValues=["n/a, sorry", "-"]
        ),
        entry("keyless", text, key=None),
        entry("big", text),
        entry("Odd näme", text),
    ]
    folder = tmp_path_factory.mktemp("export")
    settings = {"DRG_EXPORT_KEY": "s3cret", "DRG_STREAM_TIMEOUT": "1000", "DRG_POOL_SIZE": "4"}
    with running(folder, server_url, workers=1, **settings) as service:
        service.generate(payload(*entries))
        row = {name: value for name, (_, value) in FIELDS.items()}
        for table, names in (("every", FIELDS), ("secret", PROTECTED)):
            for body in ({name: row[name] for name in names}, {}, {"text": ""}):
                assert service.post(f"/{table}", body).status_code == 201
        for body in ({"text": "", "size": 1.5}, {"text": None, "size": None}, {"text": "-"}):
            service.post("/marked", body)
        for word in ("b", "a"):
            service.post("/keyless", {"text": word})
        database(service).execute(
            f"INSERT INTO big SELECT n, repeat('x', 2500) || n FROM generate_series(1, {BIG}) n"
        )
        yield service


def database(service: Service) -> Database:
    assert service.database is not None
    return service.database


def rows(response: requests.Response) -> list[list[str]]:
    assert response.status_code == 200, response.text
    return [*csv.reader(io.StringIO(response.content.decode(), newline=""), strict=True)]


def connections(service: Service) -> list[tuple[Any, ...]]:
    """The service's connections that are in a transaction."""
    return database(service).execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'data-resource-generator' AND state LIKE '%transaction%'"
    )


def wait_until_idle(service: Service) -> None:
    deadline = time.monotonic() + 20
    while connections(service):
        assert time.monotonic() < deadline, "a connection is still held"
        time.sleep(0.05)


# ── what is sent ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV", "text/csv"),
        ("text/*", "text/csv"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/*", "application/json"),
        ("text/csv;q=0.5, application/json;q=0.4", "text/csv"),
        ("text/csv;q=0.5, application/json", "application/json"),
        ("text/csv;q=0", "application/json"),
        ("text/html, */*;q=0.1", "application/json"),
        ("image/png", "application/json"),
        ("text/csv;q=nonsense, é", "application/json"),
    ],
)
def test_the_form_is_the_one_that_accept_prefers(
    service: Service, accept: str, media_type: str
) -> None:
    response = service.get("/every", headers={"Accept": accept.encode()})
    assert response.headers["Content-Type"].partition(";")[0] == media_type
    assert "Accept" in response.headers["Vary"]


def test_a_csv_is_a_file_with_a_name(service: Service) -> None:
    response = service.get("/every", headers=CSV)
    assert response.headers["Content-Disposition"] == 'attachment; filename="every.csv"'
    assert response.headers["DRG-Version"]
    response = service.get("/Odd n%C3%A4me", headers=NDJSON)
    name = "filename*=UTF-8''odd%20n%C3%A4me.ndjson"
    assert response.headers["Content-Disposition"] == f"attachment; {name}"


@pytest.mark.parametrize("table", ["every", "secret"])
def test_values_have_the_lexical_form_of_their_field(service: Service, table: str) -> None:
    """What PostgreSQL writes, and what Python writes of a protected value, is the same."""
    header, full, empty, blank = rows(service.get(f"/{table}", headers=CSV))
    shown = dict(zip(header, full, strict=True))
    assert shown["text"] == FIELDS["text"][1]
    assert shown["formula"] == "=1+1"
    assert (shown["year"], shown["comma"]) == ("0079", "1,25")
    assert shown["number"] == "12345678901234567890.50"
    assert (shown["yes"], shown["ja"]) == ("true", "nein, nie")
    assert json.loads(shown["object"]) == FIELDS["object"][1]
    assert (shown["date"], shown["day"]) == ("2012-04-23", "03/04/0812")
    assert (shown["time"], shown["clock"]) == ("18:25:43", "18.25.43")
    assert (shown["moment"], shown["second"]) == ("2012-04-23T18:25:43Z", "23.04.2012 18:25:43")
    assert empty[1:] == [""] * (len(header) - 1)
    assert blank[1:] == [""] * (len(header) - 1)


def test_both_ways_of_writing_a_value_agree(service: Service) -> None:
    plain = rows(service.get("/every", headers=CSV))
    secret = rows(service.get("/secret", headers=CSV))
    shared = [plain[0].index(name) for name in secret[0]]
    normal = [[_normal(row[place]) for place in shared] for row in plain]
    assert normal == [[_normal(cell) for cell in row] for row in secret]


def _normal(cell: str) -> Any:
    """White space and the order of keys are nothing in JSON."""
    return json.loads(cell) if cell.startswith(("{", "[")) else cell


def test_an_empty_text_is_in_quotes_and_null_is_not(service: Service) -> None:
    lines = service.get("/marked", headers=CSV).content.decode().split("\r\n")
    assert lines == [
        "id,text,size",
        '1,"",1.5',
        '2,"n/a, sorry","n/a, sorry"',
        '3,"-","n/a, sorry"',
        "",
    ]


def test_a_table_without_rows_is_a_header(service: Service) -> None:
    assert service.get("/nothing", headers=CSV).content == b"id,text\r\n"
    assert service.get("/nothing", headers=NDJSON).content == b""


@pytest.mark.parametrize("table", ["every", "secret", "marked", "big"])
def test_frictionless_finds_a_csv_valid_against_the_table_schema(
    service: Service, folder: Path, table: str
) -> None:
    live = {entry["name"]: entry for entry in _entries()}
    (folder / "schema.json").write_text(json.dumps(live[table]["tableSchema"]))
    (folder / "rows.csv").write_bytes(service.get(f"/{table}", headers=CSV).content)
    report = validated(folder)
    assert report["valid"], json.dumps(report, indent=2)[:3000]


def _entries() -> list[dict[str, Any]]:
    text = {"name": "text", "type": "string"}
    return [
        _entry("every", protected=False),
        _entry("secret", protected=True),
        entry(
            "marked", text, {"name": "size", "type": "number"}, missingValues=["n/a, sorry", "-"]
        ),
        entry("big", text),
    ]


def validated(folder: Path) -> dict[str, Any]:
    """What ``frictionless validate`` says of ``rows.csv``."""
    program = str(Path(sys.executable).with_name("frictionless"))
    ran = subprocess.run(
        [program, "validate", "rows.csv", "--schema", "schema.json", "--json"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    report: dict[str, Any] = json.loads(ran.stdout)
    return report


def test_json_lines_are_the_rows_of_the_json(service: Service) -> None:
    for table in ("every", "secret"):
        lines = service.get(f"/{table}", headers=NDJSON).content
        listed = service.get(f"/{table}").content
        assert b"[" + lines.replace(b"\n", b",")[:-1] + b"]" in listed


def test_one_row_and_a_query_come_in_every_form_too(service: Service) -> None:
    assert rows(service.get("/marked/1", headers=CSV)) == [["id", "text", "size"], ["1", "", "1.5"]]
    assert service.get("/marked/9", headers=CSV).status_code == 404
    found = service.post("/marked/query", {"text": "-"}, headers={**NDJSON})
    assert found.text == '{"id":3,"text":"-","size":null}\n'
    assert service.post("/marked/query", {"text": "9"}, headers={**CSV}).status_code == 404
    assert service.post("/marked/query", {"x": 1}, headers={**CSV}).status_code == 400


# ── how much of it ───────────────────────────────────────────────────────────────────────────────


def test_every_row_is_sent_in_the_order_of_the_key(service: Service) -> None:
    for accept in (CSV, NDJSON):
        response = service.get("/big", headers=accept)
        ids = [int(found) for found in re.findall(r'^(?:\{"id":)?(\d+)', response.text, re.M)]
        assert ids == [*range(1, BIG + 1)]
    assert connections(service) == []


def test_a_limit_is_honoured_whatever_the_greatest_page(service: Service) -> None:
    def ids(query: str) -> list[int]:
        return [int(row[0]) for row in rows(service.get(f"/big?{query}", headers=CSV))[1:]]

    assert len(ids("limit=12000")) == 12_000
    assert ids("limit=2&offset=3") == [4, 5]
    assert ids("after=14998") == [14_999, 15_000]
    assert ids("before=3") == [1, 2]
    assert ids("before=9&limit=2") == [7, 8]
    assert ids("from=end&limit=2") == [14_999, 15_000]
    assert service.get("/big?limit=0", headers=CSV).status_code == 400


def test_head_has_the_headers_and_holds_nothing(service: Service) -> None:
    response = service.request("HEAD", "/big", headers=CSV)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/csv")
    assert connections(service) == []


# ── what goes wrong on the way ───────────────────────────────────────────────────────────────────


def _begin(service: Service, path: str = "/big") -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", service.port))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/csv\r\n\r\n".encode())
    assert client.recv(12) == b"HTTP/1.1 200"
    return client


def test_a_client_that_goes_away_holds_no_connection(service: Service) -> None:
    for _ in range(6):  # more often than there are connections
        with _begin(service):
            pass
        wait_until_idle(service)
    assert service.get("/big?limit=1", headers=CSV).status_code == 200


def test_a_client_that_stops_reading_loses_its_connection_to_others(service: Service) -> None:
    with _begin(service) as client, _begin(service):
        refused = service.get("/big", headers=CSV)
        assert refused.status_code == 503, "half of the connections are for streams"
        assert service.get("/big").status_code == 200
        wait_until_idle(service)
        assert service.get("/big").status_code == 200
        end = b""
        while read := client.recv(2**20):
            end = (end + read)[-200:]
            if b"rows are missing" in end:
                break
        assert b"rows are missing" in end
    assert "took nothing for 1 s (DRG_STREAM_TIMEOUT)" in service.log()


def _broken_off(service: Service, accept: dict[str, str], name: str) -> str:
    """What arrives of a stream whose connection to the database is cut."""
    headers = {**accept, "X-Request-Id": name}
    with requests.get(f"{service.url}/big", headers=headers, stream=True, timeout=60) as response:
        chunks = response.iter_content(2**12)
        text = next(chunks)
        while not (held := connections(service)):  # it is sending until nobody takes any more
            time.sleep(0.01)
        for pid, *_ in held:
            database(service).execute("SELECT pg_terminate_backend(%s)", [pid])
        return (text + b"".join(chunks)).decode()


def _read(text: str, accept: dict[str, str]) -> list[Any]:
    if accept is CSV:
        return [*csv.reader(io.StringIO(text, newline=""), strict=True)]
    return [*map(json.loads, text.splitlines())]


def test_a_stream_that_fails_ends_with_its_connection(service: Service) -> None:
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        _broken_off(service, CSV, "broken-1")
    assert "failed: broken-1: OperationalError" in service.log()


@pytest.mark.parametrize("accept", [CSV, NDJSON])
def test_a_stream_that_fails_cannot_be_read_to_its_end(
    service: Service, accept: dict[str, str]
) -> None:
    """The client's connection is not to be told from another one of its address here."""
    with socket.create_connection(("127.0.0.1", service.port)) as other:
        other.sendall(b"GET /-/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert other.recv(12) == b"HTTP/1.1 200"
        text = _broken_off(service, accept, "broken-2")
        with pytest.raises((csv.Error, ValueError), match=r"unexpected end|Unterminated"):
            _read(text, accept)
        other.sendall(b"GET /-/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert other.recv(2**16), "the other connection is not touched"
    assert "failed: broken-2: OperationalError" in service.log()


@pytest.mark.parametrize("count", [100_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
def test_memory_stays_flat_whatever_is_sent(tmp_path: Path, server_url: str, count: int) -> None:
    """Seven fields of seven types; time and memory are printed."""
    types = {"name": "string", "born": "date", "size": "number", "at": "datetime", "ok": "boolean"}
    fields = [{"name": name, "type": kind} for name, kind in types.items()]
    with running(tmp_path, server_url, workers=1) as service:
        service.generate(payload(entry("many", *fields, {"name": "n", "type": "integer"})))
        database(service).execute(
            "INSERT INTO many SELECT n, 'Person \"' || n || '\", é', date '1950-01-01' + n % 20000, "
            "n / 7.0, timestamp '2020-01-01' + n * interval '1 second', n % 2 = 0, n % 1000 "
            f"FROM generate_series(1, {count}) n"
        )
        for accept in (CSV, NDJSON):
            service.get("/many?limit=2000", headers=accept)
            before, began, lines = memory(service), time.monotonic(), 0
            with requests.get(
                f"{service.url}/many", headers=accept, stream=True, timeout=60
            ) as response:
                for chunk in response.iter_content(2**18):
                    lines += chunk.count(b"\n")
            seconds, grown = time.monotonic() - began, memory(service) - before
            rate = count / seconds
            print(f"{accept['Accept']}: {seconds:.1f} s, {rate:,.0f} rows/s, {grown:+.1f} MiB")
            assert lines == count + (accept is CSV)
            assert grown <= 32

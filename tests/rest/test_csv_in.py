"""CSV and NDJSON in: read as they come, checked row by row, added together or not at all."""

from __future__ import annotations

import csv
import io
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.service import Service, entry, payload, running

GOODS = entry(
    "goods",
    {"name": "name", "type": "string", "constraints": {"required": True, "maxLength": 40}},
    {"name": "price", "type": "number", "constraints": {"minimum": 0}},
    {"name": "stock", "type": "integer", "constraints": {"minimum": 0, "maximum": 1_000_000}},
    {"name": "since", "type": "date"},
    {"name": "sold", "type": "boolean", "trueValues": ["yes"], "falseValues": ["no"]},
    {"name": "more", "type": "object"},
    missingValues=["", "NA"],
)
KINDS = entry(
    "kinds",
    {"name": "text", "type": "string"},
    {"name": "number", "type": "number", "decimalChar": ",", "groupChar": "."},
    {"name": "whole", "type": "integer", "bareNumber": False},
    {"name": "day", "type": "date", "format": "%d.%m.%Y"},
    {"name": "clock", "type": "time"},
    {"name": "moment", "type": "datetime"},
    {"name": "list", "type": "array"},
    {"name": "object", "type": "object"},
    {"name": "any", "type": "any"},
    {"name": "year", "type": "year"},
    {"name": "month", "type": "yearmonth"},
    {"name": "span", "type": "duration"},
    {"name": "point", "type": "geopoint"},
    {"name": "shape", "type": "geojson"},
    {"name": "choice", "type": "string", "constraints": {"enum": ["a", "b"]}},
)
SECRETS = {
    **entry(
        "secrets",
        {"name": "ssn", "type": "string", "protected": True, "searchable": True},
        {"name": "pin", "type": "integer", "protected": True},
    ),
    "encryptionSchema": {"*": {"type": "AES_256_GCM", "key": "GOODS_KEY"}},
}
CODES = entry(
    "codes", {"name": "code", "type": "string"}, {"name": "n", "type": "integer"}, key="code"
)

LIMIT = 3_000_000


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("csv")
    key = "c2l4dGVlbiBieXRlcyBzaXh0ZWVuIGJ5dGVzIDMyISE="
    settings = {"GOODS_KEY": key, "DRG_MAX_IMPORT_BYTES": str(LIMIT)}
    with running(folder, server_url, workers=1, **settings) as service:
        service.generate(payload(GOODS, KINDS, SECRETS, CODES))
        yield service


@pytest.fixture(autouse=True)
def _empty_tables(service: Service) -> None:
    rows(service, "TRUNCATE goods, kinds, secrets, codes RESTART IDENTITY")


def rows(service: Service, sql: str) -> list[tuple[Any, ...]]:
    return service.execute(sql)


def send(
    service: Service, path: str, body: Any, media_type: str = "text/csv", **headers: str
) -> requests.Response:
    return requests.post(
        service.url + path,
        data=body.encode() if isinstance(body, str) else body,
        headers={"Content-Type": media_type, **headers},
        timeout=120,
    )


def faults(response: requests.Response) -> list[str]:
    assert response.status_code == 400, response.text
    errors: list[str] = response.json()["errors"]
    return errors


def test_a_csv_is_added(service: Service) -> None:
    response = send(
        service,
        "/goods",
        "name,price,stock,since,sold,more\r\n"
        'Tea,1.50,7,2020-02-29,yes,"{""a"": [1.10]}"\r\n'
        '"Two\r\nlines, and ""quotes"" \\ \t",NA,,,no,\r\n'
        "\r\n"
        "Ünïcode,0,0,2021-01-01,,NA\r\n",
    )
    assert response.status_code == 201, response.text
    assert response.json() == {"message": "Successfully added new resources.", "count": 3}
    assert rows(service, "SELECT * FROM goods ORDER BY id") == [
        (
            1,
            "Tea",
            pytest.approx(1.5),
            *rows(service, "SELECT 7, date '2020-02-29', true")[0],
            {"a": [1.1]},
        ),
        (2, 'Two\r\nlines, and "quotes" \\ \t', None, None, None, False, None),
        (3, "Ünïcode", 0, 0, rows(service, "SELECT date '2021-01-01'")[0][0], None, None),
    ]


def test_every_type_is_read_as_the_table_schema_says(service: Service) -> None:
    row = {
        "text": "007",
        "number": "1.234,50",
        "whole": "12 EUR",
        "day": "29.02.2020",
        "clock": "18:25:43Z",
        "moment": "2020-02-29T01:00:00+02:00",
        "list": "[1, 2.50]",
        "object": '{"a": null}',
        "any": "x",
        "year": "2020",
        "month": "2020-02",
        "span": "P1Y",
        "point": "90.5, 45.5",
        "shape": '{"type": "Point", "coordinates": [1, 2]}',
        "choice": "a",
    }
    text = io.StringIO()
    writer = csv.DictWriter(text, [*row])
    writer.writeheader()
    writer.writerow(row)
    response = send(service, "/kinds", text.getvalue())
    assert response.status_code == 201, response.text
    assert service.get("/kinds/1").json() == {
        "id": 1,
        "text": "007",
        "number": 1234.5,
        "whole": 12,
        "day": "2020-02-29",
        "clock": "18:25:43Z",
        "moment": "2020-02-28T23:00:00Z",
        "list": [1, 2.5],
        "object": {"a": None},
        "any": "x",
        "year": 2020,
        "month": "2020-02",
        "span": "P1Y",
        "point": "90.5, 45.5",
        "shape": {"type": "Point", "coordinates": [1, 2]},
        "choice": "a",
    }


def test_every_fault_is_told_with_its_row_and_field(service: Service) -> None:
    body = (
        b"name,stock,sold,more\n"
        b"ok,1,yes,\n"
        b",1,no,\n"
        b"x,1.5,true,\n"
        b"x,1000001,no,x\n"
        b"x,1\n"
        b"x,1,no,,5\n"
        b"\xff\xfe,1,no,\n"
        b"a\0b,1,no,\n" + b"y" * 41 + b",-1,no,\n"
    )
    assert faults(send(service, "/goods", body)) == [
        "row 2: name: is required, and is empty here.",
        'row 3: stock: must be a whole number, not "1.5".',
        'row 3: sold: must be true or false, not "true".',
        "row 4: stock: must be at most 1000000.",
        "row 4: more: the text is not JSON: Expecting value (line 1, column 1).",
        "row 5: has 2 values, and the header 4.",
        "row 6: has 5 values, and the header 4.",
        "row 7: name: is not UTF-8.",
        "row 8: name: holds the character U+0000, which cannot be stored.",
        "row 9: name: must have a length of at most 40.",
        "row 9: stock: must be at least 0.",
    ]
    assert rows(service, "SELECT count(*) FROM goods") == [(0,)]


def test_one_bad_row_far_down_is_named(service: Service) -> None:
    lines = ["name,stock", *(f"n{n},{n}" for n in range(50_000))]
    lines[43_210] = "n,x"
    assert faults(send(service, "/goods", "\n".join(lines))) == [
        'row 43210: stock: must be a whole number, not "x".'
    ]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("", "must name fields of goods"),
        ("nmae\nx\n", 'did you mean "name"?'),
        ("name,name\nx,y\n", "name: is named twice."),
        ("stock\n1\n", "name: is required."),
        ("name\n", "There are no rows to add."),
        ('name\nx\n"open\n', "row 2: cannot be read, and what follows neither"),
        ('name\n"x"y\n', "row 1: cannot be read, and what follows neither"),
    ],
)
def test_a_csv_that_makes_no_sense_is_refused(service: Service, body: str, told: str) -> None:
    response = send(service, "/goods", body)
    assert response.status_code == 400, response.text
    assert told in json.loads(response.text).get("errors", [""])[0] + response.json()["error"]


def test_a_byte_order_mark_is_no_part_of_the_first_name(service: Service) -> None:
    assert send(service, "/goods", b"\xef\xbb\xbfname\nx\n").json()["count"] == 1


def test_ndjson_is_added_and_its_faults_are_told(service: Service) -> None:
    body = '{"name": "a", "price": 1.10}\n\n{"name": "b", "stock": 2}\n'
    response = send(service, "/goods", body, "application/x-ndjson")
    assert response.json() == {"message": "Successfully added new resources.", "count": 2}
    assert [row[:4] for row in rows(service, "SELECT id, name, price::text, stock FROM goods")] == [
        (1, "a", "1.10", None),
        (2, "b", None, 2),
    ]
    bad = send(service, "/goods", '{"name": 1}\n{"na\n[]\n\xff\n', "application/x-ndjson")
    assert faults(bad)[0] == "row 1: name: must be a string, not a number."
    assert faults(bad)[1].startswith("row 2: the line is not JSON")
    assert faults(bad)[2] == "row 3: must be a JSON object, not a list."


def test_clashes_are_told_with_their_rows_and_merging_is_for_csv_too(service: Service) -> None:
    assert send(service, "/codes", "code,n\na,1\nb,2\n").status_code == 201
    clash = send(service, "/codes", "code,n\nc,1\na,2\nc,5\n")
    assert clash.status_code == 409
    assert clash.json()["errors"] == [
        "row 2: code: a exists already.",
        "row 3: code: is in row 1 already.",
    ]
    merged = send(service, "/codes", "code,n\nc,3\na,9\n", Prefer="resolution=merge-duplicates")
    assert merged.json() == {
        "message": "Successfully added new resources.",
        "added": 1,
        "updated": 1,
        "count": 2,
    }
    assert rows(service, "SELECT * FROM codes ORDER BY 1") == [("a", 9), ("b", 2), ("c", 3)]


def test_protected_values_are_encrypted_each_on_its_own(service: Service) -> None:
    response = send(service, "/secrets", "ssn,pin\n1-2,7\n1-2,7\n,\n")
    assert response.status_code == 201, response.text
    assert service.get("/secrets/1").json() == {"id": 1, "ssn": "1-2", "pin": 7}
    assert len(service.post("/secrets/query", {"ssn": "1-2"}).json()["results"]) == 2
    assert rows(service, "SELECT count(DISTINCT pin) FROM secrets") == [(2,)]
    told = send(service, "/secrets", "pin\nhidden\n")
    assert "hidden" not in told.text


def test_a_body_in_chunks_is_read_to_its_end(service: Service) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"name,sto"
        for number in range(3_000):
            yield b"ck\n" if number == 0 else f"n{number},{number}\n".encode()

    response = send(service, "/goods", chunks())
    assert response.status_code == 201, response.text
    assert response.json()["count"] == 2_999


def test_a_body_that_breaks_off_adds_nothing(service: Service) -> None:
    for head, body in (
        (b"Content-Length: 10000", b"name\n" + b"x\n" * 500),
        (b"Transfer-Encoding: chunked", b"5\r\nname\n\r\n" + b"2\r\nx\n\r\n" * 500),
    ):
        with socket.create_connection(("127.0.0.1", service.port)) as client:
            client.sendall(
                b"POST /goods HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\n"
                + head
                + b"\r\n\r\n"
            )
            client.sendall(body)
            time.sleep(0.3)
    time.sleep(1)
    assert rows(service, "SELECT count(*) FROM goods") == [(0,)]
    # And the connections that were used are free again.
    assert service.get("/goods").status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_413(service: Service, chunked: bool) -> None:
    body = b"name\n" + b"x\n" * (LIMIT // 2)
    response = send(service, "/goods", iter([body[:LIMIT], body[LIMIT:]]) if chunked else body)
    assert response.status_code == 413
    assert "DRG_MAX_IMPORT_BYTES" in response.json()["error"]
    assert rows(service, "SELECT count(*) FROM goods") == [(0,)]


@pytest.mark.parametrize("count", [150_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
def test_memory_stays_flat_whatever_comes(tmp_path: Path, server_url: str, count: int) -> None:
    """Five fields of five types, checked; a bad row among them is named."""
    names = [f"name {number % 977}" for number in range(997)]
    with running(tmp_path, server_url, workers=1) as service:
        service.generate(payload(GOODS))

        def lines(bad: int = 0) -> Iterator[bytes]:
            yield b"name,price,stock,since,sold\n"
            for start in range(0, count, 1_000):
                block = [
                    f"{names[n % 997]},{n / 100:.2f},{n % 1000},{1900 + n % 200}-02-{1 + n % 28:02},yes"
                    for n in range(start, start + 1_000)
                ]
                if start < bad <= start + 1_000:
                    block[bad - start - 1] = "x,1,x,,"
                yield ("\n".join(block) + "\n").encode()

        assert send(service, "/goods", "name\nx\n").status_code == 201
        before = memory(service)
        began = time.monotonic()
        response = send(service, "/goods", lines())
        seconds = time.monotonic() - began
        assert response.json()["count"] == count, response.text
        assert rows(service, "SELECT count(*) FROM goods") == [(count + 1,)]
        grown = memory(service) - before
        print(f"{count:,} rows in {seconds:.1f} s, {count / seconds:,.0f} rows/s, {grown:+.1f} MiB")
        assert grown <= 32
        bad = send(service, "/goods", lines(bad=count - 7))
        assert faults(bad) == [f'row {count - 7}: stock: must be a whole number, not "x".']
        assert memory(service) - before <= 32


def memory(service: Service) -> float:
    """The most that a worker has held in memory, in MiB."""
    assert service.process is not None
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text()
    peaks = [
        int(found[1]) / 1024
        for child in children.split()
        if (found := re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{child}/status").read_text()))
    ]
    return max(peaks)


def test_only_rows_that_are_added_come_as_csv(service: Service) -> None:
    assert send(service, "/goods/query", "name\nx\n").status_code == 415
    assert send(service, "/goods", "name\nx\n", "text/tsv").status_code == 415


def slowly(parts: int, *, rows: int, seconds: float) -> Iterator[bytes]:
    """A CSV that comes in parts of so many rows, so many seconds apart."""
    yield b"name\n"
    for _ in range(parts):
        yield b"x\n" * rows
        time.sleep(seconds)


def test_an_import_ends_in_time(tmp_path: Path, server_url: str) -> None:
    with running(tmp_path, server_url, workers=1, DRG_IMPORT_TIMEOUT="1") as service:
        service.generate(payload(GOODS))
        response = send(service, "/goods", slowly(30, rows=200_000, seconds=0.1))
        assert response.status_code == 503, response.text
        assert "DRG_IMPORT_TIMEOUT" in response.json()["error"]
        assert rows(service, "SELECT count(*) FROM goods") == [(0,)]


def test_an_import_may_take_longer_than_a_statement(tmp_path: Path, server_url: str) -> None:
    with running(tmp_path, server_url, workers=1, DRG_STATEMENT_TIMEOUT="300") as service:
        service.generate(payload(GOODS))
        body = slowly(4, rows=5_000, seconds=0.5)
        assert send(service, "/goods", body).json() == {
            "message": "Successfully added new resources.",
            "count": 20_000,
        }

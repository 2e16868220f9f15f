"""``drg export``, as a shell runs it, against a running service."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service import Service, clean_environment, entry, free_port, payload, running

DRG = Path(sys.executable).with_name("drg")
FIELDS = (
    {"name": "title", "type": "string"},
    {"name": "size", "type": "number"},
    {"name": "at", "type": "datetime"},
    {"name": "about", "type": "object"},
    {"name": "flag", "type": "boolean", "trueValues": ["yes"], "falseValues": ["no"]},
)
ROWS = [
    {"title": 'a "b",\r\nc', "size": 1.50, "at": "2012-04-23T18:25:43.511Z", "about": {"a": [1]}},
    {"title": "é", "flag": True},
    {"flag": False, "about": {}},
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("export")
    with running(folder, server_url, workers=1) as service:
        service.generate(payload(entry("book", *FIELDS), entry("copy", *FIELDS)))
        for row in ROWS:
            service.post("/book", row)
        yield service


def drg(
    command: str, url: str, *arguments: str | Path, **settings: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [DRG, command, *arguments, "--url", url],
        env=clean_environment(**settings),
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", ["rows.csv", "rows.ndjson", "rows.jsonl"])
def test_what_is_exported_can_be_imported_and_is_the_same(
    service: Service, tmp_path: Path, name: str
) -> None:
    service.execute("TRUNCATE copy")
    done = drg("export", service.url, "book", tmp_path / name)
    assert done.returncode == 0, done.stderr
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert drg("import", service.url, "copy", tmp_path / name).returncode == 0
    assert service.get("/copy").json()["copy"] == service.get("/book").json()["book"]


def test_rows_go_to_standard_output_without_a_file(service: Service) -> None:
    done = drg("export", service.url, "book", "--where", "limit=1&offset=1")
    assert done.stdout.decode() == 'id,title,size,at,about,flag\r\n2,"é",,,,yes\r\n'
    done = drg("export", service.url, "book", "-", "--format", "ndjson", "--where", "limit=1")
    assert done.stdout == service.get("/book/1").content + b"\n"


def test_a_refusal_leaves_what_was_there(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("before")
    done = drg("export", service.url, "book", file, "--where", "limit=x")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"limit: must be a whole number" in done.stderr
    assert drg("export", service.url, "boook", file).returncode == 1
    assert drg("export", f"http://127.0.0.1:{free_port()}", "book", file).returncode == 1
    assert drg("export", service.url, "book", tmp_path / "no" / "rows.csv").returncode == 1
    assert drg("export", service.url, "book", tmp_path / "rows.txt").returncode == 2
    assert file.read_text() == "before"
    assert [*tmp_path.iterdir()] == [file]


@pytest.mark.parametrize(
    "end",
    [b"", b"40\r\n1,2\r\n", b'4\r\n"The\r\n0\r\n\r\n'],
    ids=["no end", "half a chunk", "a line that no quote ends"],
)
def test_a_stream_that_breaks_off_is_an_error_and_leaves_no_file(
    tmp_path: Path, end: bytes
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                client.recv(65536)
                client.sendall(head + b"4\r\na\r\n\r\n\r\n"[:-2] + end)

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        done = drg("export", url, "book", tmp_path / "rows.csv")
        thread.join()
    assert done.returncode == 1
    assert b"broke off" in done.stderr
    assert [*tmp_path.iterdir()] == []


def test_the_token_is_sent(tmp_path: Path) -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                heard.append(client.recv(65536))
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\n\r\na\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        done = drg("export", url, "a b", tmp_path / "t.csv", "--select", "a,b", DRG_TOKEN="abc")
        thread.join()
    assert done.returncode == 0, done.stderr
    assert b"Authorization: Bearer abc" in heard[0]
    assert b"GET /a%20b?select=a,b HTTP/1.1" in heard[0]

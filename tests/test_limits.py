"""What a client may send at most: each limit gives a 4xx of its own, or a 503, and no traceback."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from data_resource_api.database import admin_schema
from data_resource_api.database.engine import create_engine
from tests.service import Database, Service, entry, payload, running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    with running(
        tmp_path_factory.mktemp("limits"),
        server_url,
        workers=1,
        DRG_MAX_NESTING="20",
        DRG_MAX_BODY_BYTES="65536",
        DRG_MAX_PAGE_SIZE="3",
        DRG_POOL_SIZE="4",
        DRG_STATEMENT_TIMEOUT="1000",
    ) as service:
        service.generate(
            payload(entry("thing", {"name": "any", "type": "array"}), entry("part"))
            | {"ignore_validation": True}
        )
        yield service


def nested(levels: int) -> str:
    """A row whose body is nested this deep, the row itself counted."""
    return '{"any":' + "[" * (levels - 1) + "]" * (levels - 1) + "}"


def test_a_body_may_be_nested_as_deep_as_the_setting_says(service: Service) -> None:
    assert service.post("/thing", nested(20)).status_code == 201
    refused = service.post("/thing", nested(21))
    assert refused.status_code == 400
    assert refused.json() == {
        "error": "The body is nested deeper than 20 levels (DRG_MAX_NESTING)."
    }


def test_so_may_a_payload_and_a_draft(service: Service) -> None:
    for method, path in (("POST", "/generator"), ("PUT", "/tableschema/1")):
        refused = service.request(method, path, '{"a":' * 21 + "1" + "}" * 21)
        assert refused.status_code == 400
        assert "DRG_MAX_NESTING" in refused.json()["error"]


@pytest.mark.parametrize(
    "text", ["[" * 60_000, '{"a":' * 10_000, "[{" * 30_000, '"' + "[" * 60_000]
)
def test_nesting_without_end_is_400(service: Service, text: str) -> None:
    for path in ("/thing", "/thing/query", "/generator"):
        assert service.post(path, text).status_code == 400


def test_brackets_in_a_text_are_no_nesting(service: Service) -> None:
    assert service.post("/thing", {"any": ["[" * 100, '{"' * 100]}).status_code == 201


def test_a_body_that_is_too_long_is_413(service: Service) -> None:
    for path in ("/thing", "/thing/query", "/generator"):
        refused = service.post(path, json.dumps({"any": ["x" * 70_000]}))
        assert refused.status_code == 413
        assert "DRG_MAX_BODY_BYTES" in refused.json()["error"]


def test_so_is_one_that_does_not_say_how_long_it_is(service: Service) -> None:
    head = (
        f"POST /thing HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"2710\r\n" + b"[" * 10_000 + b"\r\n"
    # In one go: the service answers, and closes the connection, before it has read the end.
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.sendall(head.encode() + chunk * 10 + b"0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_list_of_ids_is_bounded_by_the_body(tmp_path: Path, server_url: str) -> None:
    """A list that fits into a body is one statement with one array, not one statement for each."""
    with running(tmp_path, server_url, workers=1, DRG_MAX_BODY_BYTES="1048576") as service:
        service.generate(payload(entry("a"), entry("b"), pairs=[("a", "b")]))
        service.post("/a", {})
        service.post("/b", {})
        most = "[" + ",".join(["1"] * 500_000) + "]"
        assert service.put("/a/1/b", most).json() == [1]
        assert service.put("/a/1/b", "[" + "1," * 600_000 + "1]").status_code == 413


def test_a_page_is_cut_and_says_so(service: Service) -> None:
    for _ in range(5):
        service.post("/part", {})
    page = service.get("/part?limit=1000").json()
    assert len(page["part"]) == 3
    assert page["links"][0]["href"] == "/part?offset=0&limit=3"


# ── the server's own limits: docs/security.md, "Limits" ──────────────────────────────────────────


def exchange(service: Service, request: bytes) -> bytes:
    """The first line of the answer to these bytes."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(request)
        return connection.makefile("rb").readline().strip()


HEAD = b"Host: 127.0.0.1\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "answer"),
    [
        (b"GET /thing?x=" + b"a" * 60_000 + b" HTTP/1.1\r\n" + HEAD, b"400"),  # no such parameter
        (b"GET /" + b"a" * 65_535 + b" HTTP/1.1\r\n" + HEAD, b"414"),
        (b"GET /-/health HTTP/1.1\r\nX-Long: " + b"a" * 200_000 + b"\r\n" + HEAD, b"200"),
        (b"GET /-/health HTTP/1.1\r\nX-Long: " + b"a" * 600_000 + b"\r\n" + HEAD, b"431"),
        (b"GET /-/health HTTP/1.1\r\n" + b"X-A: b\r\n" * 90 + HEAD, b"200"),
        (b"GET /-/health HTTP/1.1\r\n" + b"X-A: b\r\n" * 120 + HEAD, b"431"),
        (b"GET /a b HTTP/1.1\r\n" + HEAD, b"400"),
        (b"GET /-/health HTTP/1.1\r\nBad Header: x\r\n" + HEAD, b"400"),
        (b"GET /-/health HTTP/9.9\r\n" + HEAD, b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00", b"400"),  # TLS to a port that speaks none
        (b"POST /thing HTTP/1.1\r\nContent-Length: -1\r\n" + HEAD, b"400"),
        (b"POST /thing HTTP/1.1\r\nContent-Length: 9x\r\n" + HEAD, b"400"),
        (b"POST /thing HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n" + HEAD, b"400"),
    ],
)
def test_a_request_that_is_no_request_or_too_large_is_a_4xx(
    service: Service, request_bytes: bytes, answer: bytes
) -> None:
    assert exchange(service, request_bytes + b"\r\n").split()[1] == answer
    assert service.get("/-/health").status_code == 200


def test_a_body_that_never_ends_leaves_the_other_threads_free(service: Service) -> None:
    """And a client that goes away in the middle of one leaves no traceback."""
    start = (
        b"POST /thing HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100\r\n\r\n{"
    )
    slow = []
    for _ in range(3):  # of four threads
        connection = socket.create_connection(("127.0.0.1", service.port))
        connection.sendall(start)
        slow.append(connection)
    assert service.get("/thing").status_code == 200
    for connection in slow:
        connection.close()
    assert service.get("/thing").status_code == 200


def test_who_is_refused_cannot_hold_a_thread_with_a_body(service: Service) -> None:
    """The refusal does not wait for the body."""
    start = b"POST /thing HTTP/1.1\r\nHost: example.org\r\nContent-Length: 100\r\n\r\n{"
    assert exchange(service, start).split()[1] == b"403"


def test_generation_has_a_time_limit_of_its_own(database: Database) -> None:
    """DDL on a large existing database may take longer than a request's statement, and not for ever."""
    engine = create_engine(
        database.url.replace("postgresql://", "postgresql+psycopg2://"),
        pool_size=2,
        statement_timeout=1000,
    )
    with admin_schema.transaction(engine) as connection:
        assert connection.scalar(sa.text("SHOW statement_timeout")) == "10min"
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SHOW statement_timeout")) == "1s"
    engine.dispose()

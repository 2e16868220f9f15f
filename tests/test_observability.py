"""Metrics of all workers together, JSON logs with ids, and traces: none of them with a client's values."""

from __future__ import annotations

import http.server
import json
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from data_resource_api.logs import RequestContext
from tests.service import Database, Service, entry, payload, running

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
PEOPLE = payload(entry("people", {"name": "name", "type": "string"}))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("observability")
    with running(folder, server_url, workers=2, DRG_LOG_FORMAT="JSON") as service:
        service.generate(PEOPLE)
        yield service


# ── metrics ──────────────────────────────────────────────────────────────────────────────────────


def counted(service: Service) -> dict[tuple[str, str, str], float]:
    """(method, operation, status) → how many requests."""
    response = service.get("/-/metrics")
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.labels["method"], sample.labels["operation"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
        if sample.name == "drg_request_duration_seconds_count"
    }


def test_the_requests_of_all_workers_are_counted_together(service: Service) -> None:
    before = counted(service)
    for _ in range(40):  # on connections of their own: they reach both workers
        assert service.get("/people/4711").status_code == 404
    assert service.post("/people", {"name": "Zwicky"}).status_code == 201
    after = counted(service)
    item, created = ("GET", "/people/{id}", "404"), ("POST", "/people", "201")
    assert after[item] - before.get(item, 0) == 40
    assert after[created] - before.get(created, 0) == 1


def test_no_key_and_nothing_that_a_client_invents_is_a_label(service: Service) -> None:
    service.get("/people/4711?secret=4711")
    service.get("/nowhere/4711")
    service.request("BREW4711", "/people/4711")
    names = counted(service)
    assert ("GET", "unmatched", "404") in names
    assert any(method == "other" for method, _, _ in names)
    assert "4711" not in service.get("/-/metrics").text


def test_the_metrics_name_the_version_and_what_is_live(service: Service) -> None:
    live = service.get("/generator").json()["version"]
    (info,) = (
        sample
        for family in text_string_to_metric_families(service.get("/-/metrics").text)
        for sample in family.samples
        if sample.name == "drg_info"
    )
    assert info.labels["digest"] == live


# ── logs ─────────────────────────────────────────────────────────────────────────────────────────


def test_every_line_of_the_log_is_json_and_a_failure_has_the_ids_of_its_request(
    tmp_path: Path, database: Database
) -> None:
    service = Service(tmp_path, database, workers=1, DRG_LOG_FORMAT="JSON").start()
    try:
        service.generate(PEOPLE)
        database.execute("DROP TABLE people")
        headers = {"traceparent": TRACEPARENT, "X-Request-Id": "order-7"}
        response = service.get("/people/1", headers=headers)
        assert response.status_code == 500
        assert response.headers["X-Request-Id"] == "order-7"
        lines = [json.loads(line) for line in service.log().splitlines()]
        (failure,) = (line for line in lines if line["level"] == "ERROR")
        assert failure["request_id"] == "order-7"
        assert (failure["trace_id"], failure["parent_span_id"]) == (TRACE, SPAN)
        assert "UndefinedTable" in failure["exception"]
    finally:
        service.kill()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TRACEPARENT, (TRACE, SPAN)),
        (f"01-{TRACE}-{SPAN}-01-what-comes-later", (TRACE, SPAN)),
        (f"00-{TRACE}-{SPAN}-01-more", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        ('00-x"}', None),
        (None, None),
    ],
)
def test_only_a_valid_traceparent_names_a_trace(
    text: str | None, expected: tuple[str, str] | None
) -> None:
    assert RequestContext("id", text).trace() == expected


# ── traces ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def collector() -> Iterator[tuple[str, queue.Queue[Any]]]:
    """An OTLP collector: its address, and the spans that it receives."""
    spans: queue.Queue[Any] = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = ExportTraceServiceRequest.FromString(body)
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        spans.put(span)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", spans
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_request_is_a_span_of_the_callers_trace_without_its_values(
    tmp_path: Path, server_url: str, collector: tuple[str, queue.Queue[Any]]
) -> None:
    address, spans = collector
    telemetry = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": address,
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with running(tmp_path, server_url, workers=1, **telemetry) as service:
        service.generate(PEOPLE)
        headers = {"traceparent": TRACEPARENT}
        assert service.get("/people/4711?x=4711", headers=headers).status_code == 400
        while (span := spans.get(timeout=30)).name != "GET /people/{id}":
            pass
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, SPAN)
    attributes = {item.key: item.value for item in span.attributes}
    assert attributes["http.response.status_code"].int_value == 400
    assert attributes["http.route"].string_value == "/people/{id}"
    assert "4711" not in str(span)

"""Tables for batches, and how a batch is sent."""

from __future__ import annotations

from typing import Any

import requests

from tests.rest.tables import PLACE
from tests.service import Service, entry, payload

PROVIDER = entry(
    "provider",
    {"name": "name", "type": "string", "constraints": {"required": True, "unique": True}},
    {"name": "notes", "type": "object"},
)
PROGRAM = entry(
    "program",
    {"name": "title", "type": "string"},
    {"name": "fee", "type": "number"},
    {"name": "provider_id", "type": "integer"},
    foreignKeys=[{"fields": "provider_id", "reference": {"resource": "provider", "fields": "id"}}],
)
CODE = entry(
    "code", {"name": "code", "type": "string"}, {"name": "label", "type": "string"}, key="code"
)
LABEL = entry("label")
DOCUMENT = payload(PROVIDER, PROGRAM, CODE, LABEL, PLACE, pairs=[("program", "label")])


def operation(method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
    stated = {"method": method, "path": path, **more}
    return stated if body is None else {**stated, "body": body}


def send(service: Service, *operations: Any, **more: Any) -> requests.Response:
    return service.post("/-/batch", {"operations": list(operations)}, **more)


def done(service: Service, *operations: Any) -> list[dict[str, Any]]:
    """The results of a batch that is done."""
    answer = send(service, *operations)
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    assert len(results) == len(operations)
    return results


def refused(service: Service, *operations: Any) -> tuple[int, dict[str, Any]]:
    """The status and the body of a refusal, after which there is nothing in any table."""
    answer = send(service, *operations)
    assert answer.status_code >= 400, answer.text
    for table in ("provider", "program", "code"):
        assert service.get(f"/{table}").json()[table] == []
    return answer.status_code, answer.json()


ADA = operation("POST", "/provider", {"name": "Ada"}, id="p")

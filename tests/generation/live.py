"""What is live: as clients see it, and as it is stored."""

from __future__ import annotations

from pathlib import Path

from tests.service import Service

NAME = {"name": "name", "type": "string"}
AGE = {"name": "age", "type": "integer"}


def answers(service: Service, path: str, times: int = 200, method: str = "GET") -> set[int]:
    """The statuses of many requests in a row, each over a fresh connection."""
    return {service.request(method, path).status_code for _ in range(times)}


def copy_of(service: Service) -> Path:
    """The file that keeps the payload."""
    return service.static / "data_resource_generation_payload.json"


def stored(service: Service) -> bytes:
    """The payload as it is kept."""
    return copy_of(service).read_bytes()


def restart(service: Service) -> None:
    """Stop the service and start it again, on the same files."""
    service.stop()
    service.start()

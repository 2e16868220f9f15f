"""Tables for tests of rows, and what these tests ask of a page."""

from __future__ import annotations

import requests

from tests.service import Service, entry

PEOPLE = entry(
    "people",
    {"name": "name", "type": "string", "constraints": {"required": True, "maxLength": 20}},
    {"name": "email", "type": "string", "constraints": {"unique": True}},
    {"name": "age", "type": "integer", "constraints": {"minimum": 0, "maximum": 150}},
    {"name": "tags", "type": "array"},
)
CODES = entry(
    "codes",
    {"name": "code", "type": "string", "constraints": {"minLength": 1}},
    {"name": "label", "type": "string"},
    key="code",
)


def add_people(service: Service, count: int) -> None:
    service.execute(
        "INSERT INTO people (name) SELECT 'person ' || n FROM generate_series(1, %s) n", (count,)
    )


def links(response: requests.Response) -> dict[str, str]:
    return {link["rel"]: link["href"] for link in response.json()["links"]}

"""No secret and no value is seen where it does not belong: canaries are planted and looked for."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.canaries import leaks, operators_secrets, processes, service_with, shown
from tests.service import Database, Service, entry, payload

#: Secrets of the operator's.
SECRETS = operators_secrets()
TOKEN = f"canary.token.{secrets.token_hex(8)}"
#: A value of a row: it is in the database and in answers about that row, and nowhere else.
VALUE = f"canary-value-{secrets.token_hex(8)}"
OTHER_VALUE = f"canary-other-value-{secrets.token_hex(8)}"

DOCUMENT = payload(
    entry(
        "patient",
        {"name": "name", "type": "string", "constraints": {"unique": True, "maxLength": 60}},
        {"name": "age", "type": "integer", "constraints": {"maximum": 150}},
        {"name": "born", "type": "date"},
        {"name": "notes", "type": "object"},
        {"name": "ward", "type": "integer"},
        foreignKeys=[{"fields": "ward", "reference": {"resource": "ward", "fields": "id"}}],
    ),
    entry("ward"),
    pairs=[("patient", "ward")],
)

#: Requests that are refused, each with somebody's values in it.
PROVOCATIONS: list[tuple[str, str, Any]] = [
    ("POST", "/patient", {"name": VALUE, "age": "many"}),
    ("POST", "/patient", {"name": VALUE, "age": 151}),
    ("POST", "/patient", {"name": VALUE, "age": 2**70}),
    ("POST", "/patient", {"name": VALUE, "born": "yesterday"}),
    ("POST", "/patient", {"name": VALUE, "notes": 1}),
    ("POST", "/patient", {"name": VALUE, "unknown": 1}),
    ("POST", "/patient", {"name": VALUE, "ward": 999}),
    ("POST", "/patient", f'{{"name": "{VALUE}"'),
    ("POST", "/patient", f'["{VALUE}"]'),
    ("PUT", "/patient/1", {"id": 2, "name": VALUE}),
    ("PATCH", "/patient/1", {"age": "many", "name": VALUE}),
    ("PATCH", "/patient/999", {"name": VALUE}),
    ("PATCH", "/patient/1/ward", [999]),
    ("POST", "/patient/query", {"name": VALUE, "age": "many"}),
    ("POST", f"/patient/query?{VALUE}=1", {"name": VALUE}),
    ("DELETE", "/patient/1", None),
    ("POST", "/generator", {"name": VALUE}),
    ("PUT", "/tableschema/1", {"name": "t", "tableSchema": {"fields": []}}),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    """At DEBUG, with an audit log, and with a secret in each variable that may hold one."""
    database = Database(server_url)
    service = service_with(SECRETS, tmp_path_factory.mktemp("secrets"), database)
    try:
        service.start()
        service.generate(DOCUMENT)
        yield service
        service.stop()
    finally:
        service.kill()
        database.drop()


def send(service: Service, method: str, path: str, body: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return service.request(method, path, body, headers=headers)


def answers(service: Service) -> dict[str, bytes]:
    """What every provoked refusal says, its headers included."""
    found = {}
    for method, path, body in PROVOCATIONS:
        response = send(service, method, path, body)
        assert 400 <= response.status_code < 500, (method, path, response.text)
        place = f"answer {response.status_code} of {method} {path} {str(body)[:40]}"
        found[place] = f"{response.headers}\n{response.text}".encode()
    return found


def test_the_canaries_are_where_they_belong(service: Service) -> None:
    """Else the tests below would look for nothing."""
    assert service.post("/patient", {"name": OTHER_VALUE}).status_code == 201
    assert OTHER_VALUE in service.get("/patient").text
    assert service.process is not None
    given = Path(f"/proc/{service.process.pid}/environ").read_text()
    assert all(secret in given for secret in SECRETS.values())
    assert len(processes(service)) >= 3
    assert b"postgres" not in b"".join(processes(service).values())


def test_no_secret_of_the_operators_is_shown_anywhere(service: Service) -> None:
    """Dump, log at DEBUG, audit log, stored payload, settings, process list, refusals."""
    refusals = answers(service)
    assert leaks(SECRETS, shown(service) | refusals) == []


def test_no_token_is_shown_anywhere(service: Service) -> None:
    refusals = answers(service)
    assert leaks({"the token": TOKEN}, shown(service) | refusals) == []


def test_no_value_of_a_row_is_in_a_log_or_a_stored_file(service: Service) -> None:
    answers(service)
    places = {name: text for name, text in shown(service).items() if name != "pg_dump"}
    assert {"service.log", "audit.jsonl"} <= places.keys()
    assert leaks({"a value": VALUE, "another row's": OTHER_VALUE}, places) == []


def test_no_refusal_shows_a_value_of_another_row(service: Service) -> None:
    assert leaks({"another row's value": OTHER_VALUE}, answers(service)) == []


@pytest.mark.parametrize(
    "raised",
    [
        "RAISE EXCEPTION 'no %', NEW.name",
        "RAISE EXCEPTION 'no' USING DETAIL = NEW.name, HINT = NEW.name",
        "PERFORM 1 / (length(NEW.name) - length(NEW.name))",
        "EXECUTE format('SELECT %I', NEW.name)",
        "PERFORM NEW.name::integer",
    ],
)
def test_a_failure_that_is_not_the_clients_shows_no_value(service: Service, raised: str) -> None:
    """A trigger of the database's owner: the answer names an id, the log the cause, neither a value."""
    service.execute(
        f"""CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN {raised}; RETURN NEW; END $$;
            CREATE OR REPLACE TRIGGER fail BEFORE INSERT ON patient
            FOR EACH ROW EXECUTE FUNCTION fail();"""
    )
    try:
        response = send(service, "POST", "/patient", {"name": VALUE})
    finally:
        service.execute("DROP TRIGGER fail ON patient")
    assert response.status_code in (400, 500)
    if response.status_code == 500:
        identity = response.headers["X-Request-Id"]
        assert identity in response.json()["error"]
        assert f"failed: {identity}" in service.log()
        assert "SQLSTATE" in service.log()
        assert VALUE not in response.text
    places = {name: text for name, text in shown(service).items() if name != "pg_dump"}
    assert leaks({"a value": VALUE}, places) == []

"""A PRODUCTION service's canaries: tokens, a client's secret, keys, and what protected fields hold."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.canaries import leaks, operators_secrets, processes, service_with, shown
from tests.provider import Provider
from tests.service import Database, Service, entry, payload

SECRETS = operators_secrets()
#: What protected fields hold, or are sent: in answers about that row, and nowhere else.
PROTECTED = {
    "a protected text": f"canary-diagnosis-{secrets.token_hex(8)}",
    "a protected text that is looked for": f"canary-number-{secrets.token_hex(8)}",
    "a protected object's text": f"canary-object-{secrets.token_hex(8)}",
    "a protected number": "271828182845904523536",
}
DIAGNOSIS, NUMBER, OBJECT, AMOUNT = PROTECTED.values()
ROW = {"diagnosis": DIAGNOSIS, "number": NUMBER, "notes": {"x": OBJECT}, "amount": int(AMOUNT)}

DOCUMENT = payload(
    entry(
        "patient",
        {
            "name": "diagnosis",
            "type": "string",
            "protected": True,
            "constraints": {"maxLength": 60, "pattern": "canary.*"},
        },
        {
            "name": "number",
            "type": "string",
            "protected": True,
            "searchable": True,
            "constraints": {"unique": True},
        },
        {"name": "notes", "type": "object", "protected": True},
        {"name": "amount", "type": "number", "protected": True},
        {"name": "day", "type": "date", "protected": True},
        {"name": "age", "type": "integer"},
    )
)
DOCUMENT["data_resource_schema"]["data"]["encryptionSchema"] = {
    "*": {"type": "AES_256_GCM", "key": "HEALTH_DATA_KEY"}
}

#: Refused by the rules of protected fields, or of others beside them.
PROVOCATIONS: list[tuple[str, str, Any]] = [
    ("POST", "/patient", ROW),  # the number exists
    ("POST", "/patient", {"diagnosis": DIAGNOSIS * 3}),
    ("POST", "/patient", {"diagnosis": f"not {DIAGNOSIS}"}),
    ("POST", "/patient", {"amount": DIAGNOSIS}),
    ("POST", "/patient", {"day": DIAGNOSIS}),
    ("POST", "/patient", {"notes": [OBJECT]}),
    ("POST", "/patient", {"diagnosis": {"x": OBJECT}}),
    ("POST", "/patient", {"diagnosis": DIAGNOSIS, "age": "many"}),
    ("POST", "/patient", {"diagnosis": DIAGNOSIS, "age": 2**70}),
    ("PUT", "/patient/1", {"id": 2, "diagnosis": DIAGNOSIS}),
    ("PATCH", "/patient/1", {"amount": NUMBER}),
    ("PATCH", "/patient/999", {"diagnosis": DIAGNOSIS}),
    ("POST", "/patient/query", {"diagnosis": DIAGNOSIS}),
    ("POST", "/patient/query", {"number": NUMBER, "age": "many"}),
]


@pytest.fixture(scope="module")
def tokens(provider: Provider) -> dict[str, str]:
    return {
        "an operator's token": provider.token("drg:admin"),
        "a reader's token": provider.token("read"),
        "an expired token": provider.token("drg:admin", exp=1),
        "a token that is none": f"canary.token.{secrets.token_hex(8)}",
    }


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory,
    server_url: str,
    provider: Provider,
    tokens: dict[str, str],
) -> Iterator[Service]:
    database = Database(server_url)
    folder = tmp_path_factory.mktemp("production")
    service = service_with(SECRETS, folder, database, **provider.settings())
    try:
        service.start()
        assert send(service, tokens, "POST", "/generator", DOCUMENT).status_code == 204
        assert send(service, tokens, "POST", "/patient", ROW).status_code == 201
        yield service
        service.stop()
    finally:
        service.kill()
        database.drop()


def send(
    service: Service,
    tokens: dict[str, str],
    method: str,
    path: str,
    body: Any = None,
    *,
    token: str = "an operator's token",
) -> requests.Response:
    headers = {"Authorization": f"Bearer {tokens[token]}"}
    return service.request(method, path, body, headers=headers)


def refusals(service: Service, tokens: dict[str, str]) -> dict[str, bytes]:
    """What every refusal says: of wrong bodies, and of wrong tokens."""
    found = {}
    for method, path, body in PROVOCATIONS:
        response = send(service, tokens, method, path, body)
        assert 400 <= response.status_code < 500, (method, path, body, response.text)
        place = f"answer {response.status_code} of {method} {path} {sorted(body)}"
        found[place] = f"{response.headers}\n{response.text}".encode()
    for token, status in (
        ("a reader's token", 403),
        ("an expired token", 401),
        ("a token that is none", 401),
    ):
        response = send(service, tokens, "POST", "/generator", DOCUMENT, token=token)
        assert response.status_code == status
        found[f"answer {status} of {token}"] = f"{response.headers}\n{response.text}".encode()
    return found


def config(service: Service) -> bytes:
    """What ``drg config`` prints of the service's settings."""
    done = subprocess.run(
        [Path(sys.executable).with_name("drg"), "config"],
        env=service.environment,
        cwd=service.folder,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"DRG_LOG_LEVEL" in done.stdout
    return done.stdout + done.stderr


def places(service: Service, tokens: dict[str, str]) -> dict[str, bytes]:
    """Everywhere: dump, logs, files, settings, process list, refusals, ``drg config``."""
    answers = refusals(service, tokens)
    return shown(service) | answers | {"drg config": config(service)}


def test_the_canaries_are_where_they_belong(service: Service, tokens: dict[str, str]) -> None:
    row = send(service, tokens, "GET", "/patient/1").text
    assert all(canary in row for canary in PROTECTED.values())
    found = send(service, tokens, "POST", "/patient/query", {"number": NUMBER})
    assert found.json()["results"][0]["diagnosis"] == DIAGNOSIS
    assert len(processes(service)) >= 3


def test_no_secret_key_token_or_protected_value_is_shown_anywhere(
    service: Service, tokens: dict[str, str]
) -> None:
    seen = places(service, tokens)
    assert {"pg_dump", "service.log", "audit.jsonl", "drg config"} <= seen.keys()
    assert leaks(SECRETS | PROTECTED | tokens, seen) == []


def test_the_parts_of_a_token_are_shown_nowhere_either(
    service: Service, tokens: dict[str, str]
) -> None:
    parts = {
        f"part {index} of {name}": part
        for name, token in tokens.items()
        for index, part in enumerate(token.split("."))
        if index and len(part) > 10
    }
    assert leaks(parts, places(service, tokens)) == []


def test_the_audit_log_says_who_it_was(service: Service, tokens: dict[str, str]) -> None:
    file = service.folder / "audit.jsonl"
    before = len(file.read_text().splitlines())
    written = send(service, tokens, "PATCH", "/patient/1", {"age": 7})
    denied = send(service, tokens, "POST", "/generator", {}, token="a reader's token")
    unknown = send(service, tokens, "GET", "/patient/1", token="a token that is none")
    lines = [json.loads(line) for line in file.read_text().splitlines()[before:]]
    assert [line["status"] for line in lines] == [200, 403, 401]
    assert [line["subject"] for line in lines] == ["somebody", "somebody", None]
    assert [line["operation"] for line in lines] == ["/patient/{id}", "/generator", "/patient/{id}"]
    ids = [answer.headers["X-Request-Id"] for answer in (written, denied, unknown)]
    assert [line["id"] for line in lines] == ids


def test_another_key_is_a_500_that_shows_nothing_and_a_log_that_names_the_column(
    service: Service, tokens: dict[str, str]
) -> None:
    """Runs last: the service is another one afterwards."""
    service.stop()
    wrong = f"canary-wrong-key-{secrets.token_hex(8)}"
    service.environment["HEALTH_DATA_KEY"] = wrong
    service.start()
    before = len(service.log())
    response = send(service, tokens, "GET", "/patient/1")
    assert response.status_code == 500
    assert response.headers["X-Request-Id"] in response.json()["error"]
    logged = service.log()[before:]
    assert "patient" in logged
    assert "diagnosis" in logged
    canaries = SECRETS | PROTECTED | tokens | {"the wrong key": wrong}
    answer = {"the 500": response.content}
    assert leaks(canaries, shown(service) | answer) == []

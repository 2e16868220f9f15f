"""What is refused before a row is looked at, and how it is told."""

from __future__ import annotations

import pytest

from tests.service import Service


def test_a_path_that_is_not_in_the_document_is_404_in_json(service: Service) -> None:
    for path in ("/nothing", "/people/1/pets", "/people/1/2/3", "/people//1"):
        response = service.get(path)
        assert response.status_code == 404, path
        assert response.headers["Content-Type"] == "application/json"


def test_a_verb_that_is_not_in_the_document_is_405_with_allow(service: Service) -> None:
    response = service.request("DELETE", "/people")
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD, POST"
    assert "error" in response.json()
    assert service.request("OPTIONS", "/people").status_code == 405


def test_head_is_get_without_a_body(service: Service) -> None:
    response = service.request("HEAD", "/people")
    assert response.status_code == 200
    assert response.content == b""


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b'{"name": "Ada"}', "text/plain", 415),
        (b'{"name": "Ada"}', "application/x-www-form-urlencoded", 415),
        (b'{"name": "Ada"}', "", 415),
        (b'{"name": "Ada"}', "application/vnd.api+json", 201),
        (b'{"name": "Ada"}', "Application/JSON; charset=utf-8", 201),
        (b'{"name": "Ada"', "application/json", 400),
        (b"", "application/json", 400),
        (b'{"name": NaN}', "application/json", 400),
        (b'{"name": "\xff"}', "application/json", 400),
        (b'{"name": "a\\u0000b"}', "application/json", 400),
        (b'{"name": "\\ud800"}', "application/json", 400),
        (b'{"name": "A", "tags": ["\\ud83d\\ude00"]}', "application/json", 201),
        (b"[" * 100_000, "application/json", 400),
        (b'{"name": "A", "tags": ' + b"[" * 150 + b"]" * 150 + b"}", "application/json", 201),
        (b'{"name": "A", "age": ' + b"9" * 100_000 + b"}", "application/json", 400),
        (b'{"name": "A", "age": 1e99999999999999999999}', "application/json", 400),
        (b"[]", "application/json", 400),
        (b"null", "application/json", 400),
    ],
)
def test_a_body_that_is_not_a_json_object_is_refused(
    service: Service, body: bytes, media_type: str, status: int
) -> None:
    response = service.post("/people", body, headers={"Content-Type": media_type})
    assert response.status_code == status, response.text


def test_a_body_that_is_too_large_is_413(service: Service) -> None:
    response = service.post("/people", b'{"name": "' + b"x" * (17 * 2**20) + b'"}')
    assert response.status_code == 413
    assert "DRG_MAX_BODY_BYTES" in response.json()["error"]


def test_a_value_that_an_index_cannot_hold_is_the_clients_fault(service: Service) -> None:
    import base64
    import os

    value = base64.b64encode(os.urandom(9000)).decode()
    response = service.post("/people", {"name": "Ada", "email": value})
    assert response.status_code == 400


def test_a_problem_document_is_sent_to_those_who_prefer_it(service: Service) -> None:
    headers = {"Accept": "application/problem+json"}
    response = service.get("/people/9", headers=headers)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["status"] == 404
    assert response.json()["title"] == "Not Found"
    refused = service.post("/people", {}, headers=headers)
    assert refused.json()["errors"] == ["name: is required."]

"""What is answered without Flask is answered as Flask would."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from data_resource_api.app import create_app
from data_resource_api.generator import Generator
from data_resource_api.rest.flask_app import GeneratedApi
from data_resource_api.settings import Settings
from tests.service import Database, entry, payload

#: (method, path as WSGI has it, query string, body)
REQUESTS: list[tuple[str, str, str, Any]] = [
    ("GET", "/People", "", None),
    ("GET", "/people", "", None),
    ("GET", "/PEOPLE", "", None),
    ("GET", "/people/", "", None),
    ("GET", "//people", "", None),
    ("GET", "/people", "offset=1&limit=1", None),
    ("GET", "/people", "limit=%ff&x=%2", None),
    ("GET", "/people", "after=1+1", None),
    ("GET", "/people", "offset=1&offset=2;limit=1", None),
    ("GET", "/people", "limit=\xc3\xa9", None),
    ("GET", "/People/1", "", None),
    ("GET", "/people/1", "x=1", None),
    ("GET", "/people/99", "", None),
    ("GET", "/people/x", "", None),
    ("GET", "/people/a b", "", None),
    ("GET", "/people/\xc3\xa9", "", None),
    ("GET", "/people/<key>", "", None),
    ("GET", "/people/{id}", "", None),
    ("GET", "/people/1/", "", None),
    ("GET", "/people//1", "", None),
    ("GET", "/people/1/teams", "", None),
    ("GET", "/People/1/Teams", "", None),
    ("GET", "/people/9/teams", "", None),
    ("GET", "/people/1/people", "", None),
    ("GET", "/people/query", "", None),
    ("GET", "/odd <name>", "", None),
    ("GET", "/odd <name>/1", "", None),
    ("GET", "/nothing", "", None),
    ("GET", "/", "", None),
    ("GET", "", "", None),
    ("HEAD", "/people", "", None),
    ("HEAD", "/people/1", "", None),
    ("OPTIONS", "/people", "", None),
    ("BREW", "/people", "", None),
    ("get", "/people", "", None),
    ("DELETE", "/people", "", None),
    ("DELETE", "/people/1", "", None),
    ("PUT", "/people/1", "", {"name": "One"}),
    ("PATCH", "/people/1", "", {"name": "One"}),
    ("PATCH", "/people/1", "", {"name": 1, "x": 2}),
    ("PATCH", "/people/99", "", {"name": "One"}),
    ("PATCH", "/people/1", "", b"{"),
    ("PATCH", "/people/1", "", b""),
    ("PATCH", "/people/1", "", b"\xff"),
    ("POST", "/people", "", []),
    ("POST", "/people", "", {"id": 1}),
    ("POST", "/people", "", {"name": "x" * 5000}),
    ("POST", "/people/query", "", {"name": "One"}),
    ("POST", "/people/query", "limit=1", {"name": "None"}),
    ("POST", "/people/1", "", {}),
    ("PUT", "/people/1/teams", "", [1]),
    ("PATCH", "/people/1/teams", "", 7),
]
HEADERS: list[dict[str, str]] = [
    {},
    {"HTTP_ACCEPT": "application/problem+json"},
    {"HTTP_ACCEPT": "application/json;q=0.5, application/problem+json"},
    {"HTTP_ACCEPT": "text/html, */*;q=0.1"},
    {"HTTP_ACCEPT": "q=,;;"},
    {"HTTP_DRG_POSITION": "x"},
    {"HTTP_IF_NONE_MATCH": "*"},
    {"HTTP_IF_MATCH": "*"},
    {"HTTP_IF_MATCH": '"x"'},
    {"HTTP_IF_MATCH": "x"},
    {"CONTENT_TYPE": "text/plain"},
    {"CONTENT_TYPE": "Application/Merge-Patch+JSON; charset=utf-8"},
    {"CONTENT_TYPE": ""},
    {"CONTENT_LENGTH": "x"},
    {"CONTENT_LENGTH": "-1"},
    {"CONTENT_LENGTH": "٣"},
    {"CONTENT_LENGTH": ""},
]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[GeneratedApi]:
    """A generated API, as the service has it in a worker."""
    database = Database(server_url)
    settings = Settings(
        database_url=database.url.replace("postgresql://", "postgresql+psycopg2://"),
        static_dir=tmp_path_factory.mktemp("direct"),
        max_body_bytes=4096,
    )
    generator: Generator = create_app(settings).extensions["data_resource_api"]
    people = entry("People", {"name": "name", "type": "string"})
    odd = entry("odd <name>", {"name": "name", "type": "string"})
    generator.generate(payload(people, entry("Teams"), odd, pairs=[("People", "Teams")]))
    database.execute(
        "INSERT INTO people VALUES (1, 'One'), (2, 'Two'); INSERT INTO teams VALUES (1)"
    )
    assert generator.current.api is not None
    yield generator.current.api
    generator.engine.dispose()
    database.drop()


def ask(
    app: Any, request: tuple[str, str, str, Any], headers: dict[str, str]
) -> tuple[str, list[tuple[str, str]], bytes]:
    method, path, query, body = request
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(sent if body is not None else b""),
    }
    if body is not None:
        environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(sent))}
    answered: list[tuple[str, list[tuple[str, str]]]] = []
    chunks = app(environ | headers, lambda status, told, *_: answered.append((status, told)))
    whole = b"".join(chunks)
    ((status, told),) = answered
    return status, sorted((name.lower(), value) for name, value in told), whole


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: " ".join(map(str, request[:3])))
def test_both_ways_give_the_same_answer(
    api: GeneratedApi, request_: tuple[str, str, str, Any]
) -> None:
    for headers in HEADERS:
        directly = ask(api, request_, headers)
        by_flask = ask(api.flask, request_, headers)
        assert directly == by_flask, headers


def test_operations_are_answered_directly(api: GeneratedApi) -> None:
    """Or the test above compares Flask with itself."""
    for method, path in (
        ("GET", "/People"),
        ("GET", "/people/1"),
        ("GET", "/people/1/teams"),
        ("GET", "/odd <name>/1"),
        ("PUT", "/people/1"),
        ("POST", "/people/query"),
    ):
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "CONTENT_LENGTH": "0",
            "wsgi.input": io.BytesIO(),
        }
        assert api._direct.answer(environ, lambda *_: None) is not None, path


def test_a_body_that_ends_early_is_refused(api: GeneratedApi) -> None:
    headers = {"CONTENT_LENGTH": "100"}
    status, _, body = ask(api, ("POST", "/people", "", {}), headers)
    assert status == "400 BAD REQUEST"
    assert json.loads(body)["error"] == "The body ends before its Content-Length."

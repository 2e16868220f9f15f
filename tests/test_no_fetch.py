"""A document makes the service ask nobody: no ``$ref`` and no address in it is ever fetched (SSRF)."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from tests.service import Service, entry, payload


class Listener:
    """A port of this machine's that counts who connects, and answers with a JSON document."""

    def __init__(self) -> None:
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            body = b'{"type":"object"}'
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
                connection.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture(autouse=True)
def _fresh(service: Service) -> None:
    service.reset()


def test_the_listener_counts(listener: Listener) -> None:
    before = listener.connections
    assert requests.get(listener.url, timeout=10).json() == {"type": "object"}
    assert listener.connections == before + 1


def _in_spec(change: Callable[[dict[str, Any], str], Any]) -> Callable[[str], dict[str, Any]]:
    def document(url: str) -> dict[str, Any]:
        posted = payload(entry("t", {"name": "f", "type": "string"}))
        change(posted["data_resource_schema"], url)
        return posted

    return document


def _spec(schema: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = schema["api"]["apiSpec"]
    return spec


def _table(schema: dict[str, Any]) -> dict[str, Any]:
    table: dict[str, Any] = schema["data"]["dataDictionary"][0]["tableSchema"]
    return table


#: Where a document can hold an address.
DOCUMENTS = {
    "OpenAPI, component": lambda schema, url: _spec(schema).update(
        components={"schemas": {"x": {"$ref": url}}}
    ),
    "OpenAPI, response": lambda schema, url: _spec(schema)["paths"]["/t"]["get"].update(
        responses={"200": {"$ref": f"{url}/#/x"}}
    ),
    "OpenAPI, path item": lambda schema, url: _spec(schema)["paths"].update(
        {"/t/{id}": {"$ref": f"{url}/item.json"}}
    ),
    "OpenAPI, parameters": lambda schema, url: _spec(schema)["paths"]["/t/{id}"].update(
        parameters=[{"$ref": url}]
    ),
    "OpenAPI, nested in a schema": lambda schema, url: _spec(schema).update(
        components={"schemas": {"x": {"allOf": [{"properties": {"y": {"$ref": url}}}]}}}
    ),
    "OpenAPI, example": lambda schema, url: _spec(schema).update(
        components={"schemas": {"x": {"example": {"$ref": url}}}}
    ),
    "OpenAPI, externalValue": lambda schema, url: _spec(schema).update(
        components={"examples": {"x": {"externalValue": url}}}
    ),
    "OpenAPI, link": lambda schema, url: _spec(schema).update(
        components={"links": {"x": {"operationRef": f"{url}/#/paths/x"}}}
    ),
    "OpenAPI, servers": lambda schema, url: _spec(schema).update(servers=[{"url": url}]),
    "OpenAPI, the provider of a security scheme": lambda schema, url: _spec(schema).update(
        components={
            "securitySchemes": {"x": {"type": "openIdConnect", "openIdConnectUrl": url}},
        }
    ),
    "OpenAPI, the whole document": lambda schema, url: schema["api"].update(apiSpec={"$ref": url}),
    "Table Schema": lambda schema, url: _table(schema).update({"$ref": url}),
    "Table Schema, $schema": lambda schema, url: _table(schema).update({"$schema": url}),
    "Table Schema, profile": lambda schema, url: _table(schema).update(profile=url),
    "Table Schema, as an address": lambda schema, url: schema["data"]["dataDictionary"][0].update(
        tableSchema=url
    ),
    "Table Schema, field": lambda schema, url: _table(schema)["fields"][1].update(
        {"$ref": url, "rdfType": url, "format": "uri"}
    ),
    "Table Schema, constraint": lambda schema, url: _table(schema)["fields"][1].update(
        constraints={"enum": [{"$ref": url}], "jsonSchema": {"$ref": url}}
    ),
    "Table Schema, foreign key": lambda schema, url: _table(schema).update(
        foreignKeys=[{"fields": "f", "reference": {"resource": url, "fields": "id"}}]
    ),
    "payload, JSON-LD context": lambda schema, url: schema.update({"@context": url, "@id": url}),
    "payload, $ref": lambda schema, url: schema.update({"$ref": url}),
    "payload, $schema": lambda schema, url: schema.update({"$schema": url}),
    "payload, regulations": lambda schema, url: schema.update(privacyRegulations=[url]),
    "payload, dictionary": lambda schema, url: schema["data"].update(dataDictionary=url),
}


@pytest.mark.parametrize("place", DOCUMENTS)
def test_generation_connects_to_nobody(service: Service, listener: Listener, place: str) -> None:
    before = listener.connections
    document = _in_spec(DOCUMENTS[place])
    for more in ({}, {"ignore_validation": True}):
        service.reset()
        response = service.post("/generator", document(listener.url) | more)
        assert response.status_code in (204, 400), response.text
        if response.status_code == 204:
            for path in ("/generator", "/static/swagger.json", "/ui/", "/", "/t"):
                assert service.get(path).status_code in (200, 404)
    assert listener.connections == before


def test_a_draft_and_a_value_connect_to_nobody(service: Service, listener: Listener) -> None:
    before = listener.connections
    url = listener.url
    for draft in (
        {"$ref": url},
        {"name": "t", "tableSchema": url},
        {"name": "t", "tableSchema": {"$ref": url, "fields": [{"name": "f", "$ref": url}]}},
        {"tableschema": {"api": {"$ref": url}, "datastore": {"tablename": "t", "schema": url}}},
    ):
        assert service.put("/tableschema/1", draft).status_code in (200, 400)
        assert service.get("/swagger").status_code == 200
    service.request("DELETE", "/tableschema/1")
    fields = [
        {"name": "uri", "type": "string", "format": "uri"},
        {"name": "o", "type": "object"},
        {"name": "g", "type": "geojson", "format": "topojson"},
    ]
    service.generate(payload(entry("t", *fields)))
    topology = {"type": "Topology", "objects": {}, "arcs": [], "$ref": url}
    row = {"uri": url, "o": {"$ref": url, "$schema": url}, "g": topology}
    assert service.post("/t", row).status_code in (201, 400)
    assert service.post("/t", {"uri": url, "o": {"$ref": url}}).status_code == 201
    assert listener.connections == before

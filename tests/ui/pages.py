"""The pages' paths, and how tests look at them."""

from __future__ import annotations

import html
import http.client
import re

from tests.service import Service

PAGES = ("/", "/ui/")


def raw(service: Service, path: str, method: str = "GET") -> tuple[int, bytes]:
    """A request whose path nobody normalises on the way."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    try:
        connection.putrequest(method, path)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def text_of(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", " ", page))

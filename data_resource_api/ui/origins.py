"""Whom Swagger UI may ask for tokens: the origins of the token URLs that a document names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

#: The OAuth flows that Swagger UI's dialog can go through on one page; ``swagger.js`` has the same.
FLOWS: Final = ("clientCredentials", "password")

#: A host as a Content-Security-Policy writes it: nothing that could end the source or the directive.
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


def token_origins(api: Mapping[str, Any]) -> tuple[str, ...]:
    """``https://id.example.org`` for each, sorted; a relative URL is this service's own origin.

    :param api: a document that nobody may have checked.
    """
    return tuple(sorted({origin for url in _token_urls(api) if (origin := _origin(url))}))


def _token_urls(api: Mapping[str, Any]) -> Iterator[str]:
    for scheme in _members(_member(_member(api, "components"), "securitySchemes")):
        if _member(scheme, "type") != "oauth2":
            continue
        for flow in FLOWS:
            url = _member(_member(_member(scheme, "flows"), flow), "tokenUrl")
            if isinstance(url, str):
                yield url


def _origin(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        return None
    return f"{parts.scheme}://{host}" + ("" if port is None else f":{port}")


def _member(value: object, key: str) -> object:
    return value.get(key) if isinstance(value, Mapping) else None


def _members(value: object) -> Iterator[object]:
    yield from value.values() if isinstance(value, Mapping) else ()

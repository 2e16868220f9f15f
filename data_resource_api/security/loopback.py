"""Without authorization, only clients on this machine are served.

In TEST and LOCAL authorization is off: a web page in somebody's browser, a proxy or a neighbour on the
network is refused. ``DRG_ALLOW_ANONYMOUS=1`` says otherwise.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from data_resource_api.compiler.security import Security
from data_resource_api.errors import Forbidden

#: Addresses and names whose answer is kept: a client sends the same ones with every request.
_KEPT: Final = 256

_FORWARDING: Final = frozenset(
    {
        "HTTP_FORWARDED",
        "HTTP_X_FORWARDED_FOR",
        "HTTP_X_FORWARDED_HOST",
        "HTTP_X_FORWARDED_PROTO",
        "HTTP_X_REAL_IP",
        "HTTP_VIA",
    }
)


class Anyone:
    """Serves every client: something else keeps strangers out."""

    def check(self, environ: Mapping[str, Any]) -> None:
        """Let it pass."""

    def authorize(self, environ: dict[str, Any], security: Security) -> None:
        """Authorization is off."""


class LoopbackOnly:
    """Serves clients on this machine that know it by a loopback name.

    The ``Host`` is checked because a web page can point a name of its own at 127.0.0.1.
    """

    def check(self, environ: Mapping[str, Any]) -> None:
        """Let requests of this machine's pass."""
        remedy = "Without authorization only this machine is served; see DRG_ALLOW_ANONYMOUS."
        if not is_loopback(str(environ.get("REMOTE_ADDR") or "")):
            raise Forbidden(f"The client is not on the loopback address. {remedy}")
        if not _FORWARDING.isdisjoint(environ):
            raise Forbidden(f"The request came through a proxy. {remedy}")
        host = str(environ.get("HTTP_HOST") or environ.get("SERVER_NAME") or "")
        if not is_loopback_host(host):
            raise Forbidden(f"The Host is not a loopback name. {remedy}")

    def authorize(self, environ: dict[str, Any], security: Security) -> None:
        """Authorization is off."""


@lru_cache(_KEPT)
def is_loopback(address: str) -> bool:
    """Whether an IP address is a loopback address; a unix socket's client has none and is local."""
    if not address:
        return True
    try:
        ip = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return bool((mapped or ip).is_loopback)


@lru_cache(_KEPT)
def is_loopback_host(host: str) -> bool:
    """Whether a ``Host`` header names this machine: localhost, 127.0.0.1, [::1], any port."""
    name = host.strip().lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1:
        name, _, port = name.partition(":")
        if not port.isdecimal():
            return False
    return name.rstrip(".") == "localhost" or (bool(name) and is_loopback(name))

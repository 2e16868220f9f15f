"""What a web page in somebody's browser may do, by the page's origin.

Three cases. A page of this service's own origin may do what its user may. A page of an origin in
``DRG_CORS_ORIGINS`` may use the API (CORS, Fetch standard <https://fetch.spec.whatwg.org/#http-cors-protocol>).
Any other page may not: it cannot read an answer, since there is no CORS header, and where authorization is
off it is refused altogether, so that a form, an image or a script on it does not reach a service that
trusts this machine.

There is no credentials mode: a bearer token is put into a request by the page's own script.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from data_resource_api.errors import Forbidden
from data_resource_api.settings import Settings

#: What a preflight is told. The same for each path, so that it tells nothing of which paths exist.
METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
REQUEST_HEADERS: Final = (
    "Authorization, Content-Type, Accept, Prefer, If-Match, If-None-Match, Idempotency-Key, "
    "X-Request-Id"
)
RESPONSE_HEADERS: Final = (
    "Allow, Content-Location, ETag, Link, Location, Preference-Applied, Retry-After, "
    "WWW-Authenticate, X-Request-Id"
)
#: Seconds for which a browser may remember a preflight; Chromium takes two hours at most.
MAX_AGE: Final = 600

Headers = list[tuple[str, str]]


class CrossOrigin:
    """The rules for requests that a web page has made.

    :param allowed: the origins whose pages may use the API.
    :param refuse_others: whether pages of other origins are refused, reading or not.
    """

    def __init__(self, allowed: Collection[str], *, refuse_others: bool) -> None:
        self._allowed = frozenset(allowed)
        self._refuse_others = refuse_others

    def check(self, environ: Mapping[str, Any]) -> None:
        """Let a request pass, or refuse it for the page that it comes from.

        Chromium, Firefox and Safari send ``Sec-Fetch-Site`` to loopback addresses; a page cannot change
        it. Without it, ``Origin`` tells: browsers send it with everything but plain reads.

        :raises Forbidden: it comes from a page of another origin.
        """
        if not self._refuse_others:
            return
        site = environ.get("HTTP_SEC_FETCH_SITE")
        origin = environ.get("HTTP_ORIGIN")
        if site is None and origin is None:
            return
        if site in ("same-origin", "none") or origin in self._allowed:
            return
        if site is None and _is_own(str(origin), environ):
            return
        if _is_visit(environ):
            return
        raise Forbidden(
            "The request comes from a web page of another origin. Without authorization such pages "
            "are not served; see DRG_CORS_ORIGINS."
        )

    def preflight(self, environ: Mapping[str, Any]) -> Headers | None:
        """The headers of a preflight's answer; ``None`` where the request is none, or not allowed."""
        if (
            environ["REQUEST_METHOD"] != "OPTIONS"
            or "HTTP_ACCESS_CONTROL_REQUEST_METHOD" not in environ
            or environ.get("HTTP_ORIGIN") not in self._allowed
        ):
            return None
        return [
            ("Access-Control-Allow-Methods", METHODS),
            ("Access-Control-Allow-Headers", REQUEST_HEADERS),
            ("Access-Control-Max-Age", str(MAX_AGE)),
        ]

    def headers(self, environ: Mapping[str, Any]) -> Headers:
        """What every answer to this request says of origins; nothing where none is allowed."""
        if not self._allowed:
            return []
        origin = environ.get("HTTP_ORIGIN")
        if origin not in self._allowed:
            return [("Vary", "Origin")]
        return [
            ("Vary", "Origin"),
            ("Access-Control-Allow-Origin", str(origin)),
            ("Access-Control-Expose-Headers", RESPONSE_HEADERS),
        ]


def cross_origin_for(settings: Settings) -> CrossOrigin:
    """The rules that the settings ask for.

    PRODUCTION refuses nobody here: a page without a token gets a 401 like everyone else.
    """
    return CrossOrigin(settings.cors_origins, refuse_others=not settings.production)


def _is_own(origin: str, environ: Mapping[str, Any]) -> bool:
    """Whether an origin is the one that the request was sent to, by http or https."""
    return origin.partition("://")[2] == environ.get("HTTP_HOST")


def _is_visit(environ: Mapping[str, Any]) -> bool:
    """Whether somebody follows a link to here: the page that had it sees nothing of the answer."""
    return (
        environ["REQUEST_METHOD"] in ("GET", "HEAD")
        and environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
        and environ.get("HTTP_SEC_FETCH_DEST") == "document"
    )

"""Pages for people: the landing page and Swagger UI, both working offline.

Templates and assets are in ``pages/``; Swagger UI itself comes from ``swagger_ui_bundle``. Nothing on a
page is fetched from elsewhere or runs inline, and the Content-Security-Policy says so.

Where the docs are not public, Swagger UI's page is an empty shell: it names nothing of what is live, asks
for a token and loads the document with it. Who opens the landing page without a token is sent there.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, Flask, Response, render_template, request

from data_resource_api.compiler.data_resource import DataResource
from data_resource_api.compiler.openapi import disabled
from data_resource_api.errors import DrgError, NotLoaded, Unavailable
from data_resource_api.generator import Generator
from data_resource_api.generator.live import Live
from data_resource_api.json_text import write_json
from data_resource_api.ui.assets import ASSETS, PAGES, read_asset
from data_resource_api.ui.origins import token_origins
from data_resource_api.ui.sections import TOKEN_HEADER, sections_of

_SECURITY_HEADERS: Final = {
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
_NONE: Final[Mapping[str, str]] = {}
_NOWHERE: Final = "base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
_READ_ONLY: Final = f"default-src 'none'; style-src 'self'; img-src 'self' data:; {_NOWHERE}"
#: Swagger UI's scripts are files, and React sets styles through the DOM, which needs no permission.
_SWAGGER_UI: Final = f"{_READ_ONLY}; script-src 'self'; connect-src 'self'"


def register_pages(app: Flask, generator: Generator, *, public_docs: bool) -> None:
    """Add the pages to an application.

    :param public_docs: whether strangers may see what is live; else Swagger UI's page is empty.
    """
    routes = Blueprint("pages", __name__, template_folder=str(PAGES))

    @routes.get("/")
    def landing() -> Response:
        """What is live, or what to do next."""
        return _page(generator, "landing.html", _READ_ONLY)

    @routes.get("/ui")
    def swagger_ui_without_slash() -> Response:
        """The target is relative, so that it holds behind a proxy that adds a prefix."""
        return Response(status=308, headers={"Location": "ui/", **_SECURITY_HEADERS})

    @routes.get("/ui/")
    def swagger_ui() -> Response:
        """Swagger UI of the live OpenAPI document."""
        if not public_docs:
            html = _render("swagger.html", assets="", home="../", resource=None)
            return _html(html, 200, _SWAGGER_UI)
        return _page(generator, "swagger.html", _SWAGGER_UI, assets="", home="../")

    @routes.get(f"/ui/<any{ASSETS}:name>")
    def asset(name: str) -> Response:
        """A style sheet, a script or an image; other names are no route."""
        found = read_asset(name)
        response = Response(found.body, content_type=found.media_type, headers=_SECURITY_HEADERS)
        response.set_etag(found.digest)
        current = request.args.get("v") == found.version
        response.headers["Cache-Control"] = (
            "public, max-age=31536000, immutable" if current else "no-cache"
        )
        response.make_conditional(request)
        return response

    app.register_blueprint(routes)


# ── pages ────────────────────────────────────────────────────────────────────────────────────────


def _page(
    generator: Generator, template: str, policy: str, *, assets: str = "ui/", home: str = "./"
) -> Response:
    """A page about what is live; another one where nothing is, or where it cannot be served.

    :param assets: where the assets are, as the page's own address sees it.
    :param home: where the landing page is.
    """
    live, problem = _look(generator)
    locked = generator.settings.production
    if problem is not None:
        template, context = "problem.html", _about_problem(problem)
    elif live.resource is None:
        template, context = "empty.html", _about_nothing()
    else:
        context = {"resource": live.resource}
        if template == "landing.html":
            context |= _about(live.resource, request.url_root, locked)
        if template == "swagger.html":
            policy = " ".join((policy, *token_origins(live.resource.openapi)))
    html = _render(template, assets=assets, home=home, locked=locked, **context)
    if problem is not None:
        return _html(html, problem.status, policy, problem.headers)
    return _html(html, 200, policy)


def locked_landing(refusal: DrgError) -> Response:
    """The landing page for somebody whose browser sends no token: it only tells where to go.

    :param refusal: why the page is not shown; its status and headers are kept.
    """
    html = _render("locked.html", assets="ui/", home="./")
    return _html(html, refusal.status, _READ_ONLY, refusal.headers)


def wants_landing_page() -> bool:
    """Whether the request is a browser's for the landing page; other clients are refused in JSON."""
    accepted = request.accept_mimetypes
    page = accepted.best_match(("application/json", "text/html")) == "text/html"
    return request.path == "/" and request.method in ("GET", "HEAD") and page


def _render(template: str, **context: Any) -> str:
    return render_template(
        template,
        version=lambda name: read_asset(name).version,
        base_url=request.url_root,
        shell=shlex.quote,
        token_header=TOKEN_HEADER,
        **context,
    )


def _html(html: str, status: int, policy: str, headers: Mapping[str, str] = _NONE) -> Response:
    response = Response(html, status, mimetype="text/html")
    response.headers.extend(_SECURITY_HEADERS | dict(headers))
    response.headers["Content-Security-Policy"] = policy
    response.headers["Cache-Control"] = "no-store"
    return response


def _look(generator: Generator) -> tuple[Live, Unavailable | None]:
    try:
        live = generator.keep_up()
    except Unavailable as error:
        return Live(), error
    return live, live.problem


def _about_problem(problem: Unavailable) -> dict[str, Any]:
    return {"problem": problem, "stored": isinstance(problem, NotLoaded)}


def _about_nothing() -> dict[str, Any]:
    """The payload that is shown is a whole one: a test posts it."""
    return {"payload": (PAGES / "first-payload.json").read_text("utf-8").rstrip()}


def _about(resource: DataResource, base_url: str, locked: bool) -> dict[str, Any]:
    pairs = resource.payload.pairs
    return {
        "sections": tuple(sections_of(resource, base_url, locked=locked)),
        "disabled": tuple(disabled(resource.operations, resource.tables, pairs)),
        "text": lambda value: value if isinstance(value, str) else write_json(value).decode(),
    }

"""Pages for people: the landing page and Swagger UI, both working offline.

Templates and assets are in ``pages/``; Swagger UI itself comes from ``swagger_ui_bundle``. Nothing on a
page is fetched from elsewhere or runs inline, and the Content-Security-Policy says so.
"""

from __future__ import annotations

import shlex
from typing import Any, Final

from flask import Blueprint, Flask, Response, render_template, request

from data_resource_api.compiler.data_resource import DataResource
from data_resource_api.compiler.openapi import disabled
from data_resource_api.errors import NotLoaded, Unavailable
from data_resource_api.generator import Generator, Live
from data_resource_api.json_text import write_json
from data_resource_api.ui.assets import ASSETS, PAGES, read_asset
from data_resource_api.ui.sections import sections_of

_SECURITY_HEADERS: Final = {
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
_NOWHERE: Final = "base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
_READ_ONLY: Final = f"default-src 'none'; style-src 'self'; img-src 'self' data:; {_NOWHERE}"
#: Swagger UI's scripts are files, and React sets styles through the DOM, which needs no permission.
_SWAGGER_UI: Final = f"{_READ_ONLY}; script-src 'self'; connect-src 'self'"


def register_pages(app: Flask, generator: Generator) -> None:
    """Add the pages to an application."""
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
    if problem is not None:
        template, context = "problem.html", _about_problem(problem)
    elif live.resource is None:
        template, context = "empty.html", _about_nothing()
    else:
        context = {"resource": live.resource}
        if template == "landing.html":
            context |= _about(live.resource, request.url_root)
    html = render_template(
        template,
        assets=assets,
        home=home,
        version=lambda name: read_asset(name).version,
        base_url=request.url_root,
        shell=shlex.quote,
        **context,
    )
    response = Response(html, problem.status if problem else 200, mimetype="text/html")
    response.headers.extend(_SECURITY_HEADERS | dict(problem.headers if problem else {}))
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


def _about(resource: DataResource, base_url: str) -> dict[str, Any]:
    pairs = resource.payload.pairs
    return {
        "sections": tuple(sections_of(resource, base_url)),
        "disabled": tuple(disabled(resource.operations, resource.tables, pairs)),
        "text": lambda value: value if isinstance(value, str) else write_json(value).decode(),
    }

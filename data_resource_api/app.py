"""The composition root: settings, engine, storage and guard become a Flask application."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import sqlalchemy as sa
from flask import Flask, Response

from data_resource_api.admin import register_admin
from data_resource_api.audit import open_audit_log
from data_resource_api.compiler.openapi import BATCH_PATH
from data_resource_api.compiler.security import ANY_TOKEN
from data_resource_api.cors import CrossOrigin, cross_origin_for
from data_resource_api.database import credentials
from data_resource_api.database.engine import create_engine, transaction_prologue
from data_resource_api.errors import DrgError, Unauthorized, Unavailable
from data_resource_api.generator import Generator
from data_resource_api.logs import configure_logging
from data_resource_api.metrics import Metrics
from data_resource_api.perimeter import Perimeter
from data_resource_api.rest.flask_app import (
    answer_errors,
    ask_before_all,
    refuse_request,
    to_response,
)
from data_resource_api.rest.refusals import refuse
from data_resource_api.rest.servers import Server, Servers
from data_resource_api.security import Guard, OwnRoutes, guard_for
from data_resource_api.settings import Settings
from data_resource_api.storage import storage_for
from data_resource_api.tracing import traced
from data_resource_api.ui import locked_landing, register_pages, wants_landing_page

#: First path segments of the service's own routes; everything else is the generated API's.
OWN_SEGMENTS: Final = frozenset({"", "generator", "tableschema", "swagger", "ui", "static", "-"})

#: Bytes of a body that are read although the request is refused.
_SMALL_BODY: Final = 2**16

#: Probes are for anybody: they tell whether the service can be used, and nothing of what is in it.
PUBLIC_PATHS: Final = frozenset({"/-/health", "/-/ready"})


def create_app(settings: Settings | None = None) -> Flask:
    """The service as a WSGI application.

    :param settings: from the environment by default.
    :raises ConfigurationError: a setting is wrong or missing.
    """
    settings = settings or Settings.from_environment()
    configure_logging(settings)
    guard = guard_for(settings)
    settings = credentials.resolve(settings)
    engine = create_engine(
        settings.sqlalchemy_url or _embedded_url(settings),
        pool_size=settings.pool_size,
        statement_timeout=settings.statement_timeout,
        pooler=settings.pooler,
    )
    credentials.follow(engine, settings)
    servers = _servers(settings, engine)
    generator = Generator(settings, servers, storage_for(settings), guard.authorize)
    app = Flask("data_resource_api", static_folder=None)
    app.url_map.merge_slashes = False
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.extensions["data_resource_api"] = generator
    ask_before_all(app, OwnRoutes(settings).asks, guard.authorize)
    answer_errors(app)
    app.register_error_handler(Unauthorized, _locked)
    app.register_error_handler(sa.exc.OperationalError, _database_away)
    metrics = Metrics()
    register_admin(app, generator)
    register_metrics(app, generator, metrics)
    register_pages(app, generator, public_docs=settings.docs_are_public)
    cross_origin = cross_origin_for(settings)
    dispatcher = Dispatcher(app, generator, guard, cross_origin)
    perimeter = Perimeter(traced(dispatcher), cross_origin, open_audit_log(settings), metrics)
    app.wsgi_app = perimeter  # type: ignore[method-assign]
    generator.restore()
    return app


def register_metrics(app: Flask, generator: Generator, metrics: Metrics) -> None:
    """Add ``/-/metrics`` to an application."""

    @app.get("/-/metrics")
    def tell_metrics() -> Response:
        """What every worker has counted."""
        body, media_type = metrics.exposition(generator.current.digest)
        return Response(body, content_type=media_type)


def _servers(settings: Settings, primary: sa.Engine) -> Servers:
    """The primary and the replicas, each with what its transactions need."""
    prologue = transaction_prologue(settings.statement_timeout) if settings.pooler else ""
    replicas = [
        create_engine(
            url,
            pool_size=settings.pool_size,
            statement_timeout=settings.statement_timeout,
            pooler=settings.pooler,
        )
        for url in settings.database_read_url or ()
    ]
    return Servers(Server(primary, prologue), [Server(engine, prologue) for engine in replicas])


def _embedded_url(settings: Settings) -> str:
    from data_resource_api.database.embedded import join

    return join(settings.data_dir).url


def _locked(error: Unauthorized) -> Response:
    """Who opens the landing page in a browser is shown where to go."""
    return locked_landing(error) if wants_landing_page() else refuse_request(error)


def _database_away(_: sa.exc.OperationalError) -> Response:
    return refuse_request(Unavailable("The database cannot be reached."))


def _read_to_end(environ: dict[str, Any]) -> None:
    """Take in the body of a request that is refused unread, if it is not large.

    The server would close the connection in the middle of it, and the client's next request on that
    connection would break. Strangers get no thread to keep waiting.
    """
    length = environ.get("CONTENT_LENGTH") or ""
    if length.isascii() and length.isdecimal() and 0 < int(length) <= _SMALL_BODY:
        environ["wsgi.input"].read(int(length))


class Dispatcher:
    """Sends a request to the service's own routes or to the generated API that is live."""

    def __init__(
        self, app: Flask, generator: Generator, guard: Guard, cross_origin: CrossOrigin
    ) -> None:
        self._app = app
        self._own = app.wsgi_app
        self._generator = generator
        self._guard = guard
        self._cross_origin = cross_origin

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one WSGI request."""
        admitted = False
        try:
            path = environ.get("PATH_INFO", "")
            if path not in PUBLIC_PATHS:
                self._cross_origin.check(environ)
                self._guard.check(environ)
            admitted = True
            segment = path.lstrip("/").partition("/")[0]
            if segment in OWN_SEGMENTS and path != BATCH_PATH:
                return self._own(environ, start_response)
            try:
                live = self._generator.keep_up()
                if live.problem is not None:
                    raise live.problem
            except DrgError:
                self._guard.authorize(environ, ANY_TOKEN)  # why it is down is not for anybody
                raise
        except DrgError as error:
            if admitted and isinstance(error, Unavailable):
                _read_to_end(environ)
            return to_response(refuse(error, environ))(environ, start_response)
        if live.api is None:
            return self._own(environ, start_response)
        return live.api(environ, start_response)

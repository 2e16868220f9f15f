"""The composition root: settings, engine, storage and guard become a Flask application."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable
from typing import Any, Final

import sqlalchemy as sa
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from data_resource_api.admin import register_admin
from data_resource_api.database.engine import create_engine, transaction_prologue
from data_resource_api.errors import DrgError, Unavailable
from data_resource_api.generator import Generator
from data_resource_api.rest.flask_app import answer_errors, refuse
from data_resource_api.rest.servers import Server, Servers
from data_resource_api.security import Guard, guard_for
from data_resource_api.settings import Settings
from data_resource_api.storage import storage_for
from data_resource_api.ui import register_pages

#: First path segments of the service's own routes; everything else is the generated API's.
OWN_SEGMENTS: Final = frozenset({"", "generator", "tableschema", "swagger", "ui", "static", "-"})

#: Bytes of a body that are read although the request is refused.
_SMALL_BODY: Final = 2**16

LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(message)s"

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
    engine = create_engine(
        settings.sqlalchemy_url or _embedded_url(settings),
        pool_size=settings.pool_size,
        statement_timeout=settings.statement_timeout,
        pooler=settings.pooler,
    )
    generator = Generator(settings, _servers(settings, engine), storage_for(settings))
    app = Flask("data_resource_api", static_folder=None)
    app.url_map.merge_slashes = False
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.extensions["data_resource_api"] = generator
    answer_errors(app)
    app.register_error_handler(sa.exc.OperationalError, _database_away)
    register_admin(app, generator)
    register_pages(app, generator)
    app.wsgi_app = Dispatcher(app, generator, guard)  # type: ignore[method-assign]
    generator.restore()
    return app


def configure_logging(settings: Settings) -> None:
    """Log to standard error, unless the process has its own logging already."""
    logger = logging.getLogger("data_resource_api")
    logger.setLevel(settings.log_level)
    if not logger.handlers and not logging.getLogger().handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(LOG_FORMAT))
        logger.addHandler(handler)


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


def _database_away(_: sa.exc.OperationalError) -> Response:
    return refuse(Unavailable("The database cannot be reached."))


def _read_to_end() -> None:
    """Take in the body of a request that is refused unread, if it is not large.

    The server would close the connection in the middle of it, and the client's next request on that
    connection would break. Strangers get no thread to keep waiting.
    """
    length = request.content_length or 0
    if 0 < length <= _SMALL_BODY:
        with contextlib.suppress(HTTPException):  # it is larger than allowed, or the client is gone
            request.stream.read()


class Dispatcher:
    """Sends a request to the service's own routes or to the generated API that is live."""

    def __init__(self, app: Flask, generator: Generator, guard: Guard) -> None:
        self._app = app
        self._own = app.wsgi_app
        self._generator = generator
        self._guard = guard

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one WSGI request."""
        admitted = False
        try:
            path = environ.get("PATH_INFO", "")
            if path not in PUBLIC_PATHS:
                self._guard.check(environ)
            admitted = True
            segment = path.lstrip("/").partition("/")[0]
            if segment in OWN_SEGMENTS:
                return self._own(environ, start_response)
            live = self._generator.keep_up()
            if live.problem is not None:
                raise live.problem
        except DrgError as error:
            with self._app.request_context(environ):
                if admitted:
                    _read_to_end()
                return refuse(error)(environ, start_response)
        if live.app is None:
            return self._own(environ, start_response)
        return live.app(environ, start_response)

"""A ``DataResource`` as a Flask application: one URL rule per operation, nothing else."""

from __future__ import annotations

import functools
import logging
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.routing import BaseConverter, Rule

from data_resource_api.compiler.data_resource import DataResource
from data_resource_api.compiler.openapi import BATCH_PATH, Kind, Operation, Shape
from data_resource_api.compiler.security import ANY_TOKEN, PUBLIC, Security
from data_resource_api.errors import (
    BadRequest,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    UnsupportedMediaType,
)
from data_resource_api.json_text import read_json
from data_resource_api.rest.api_request import RawRequest, is_json
from data_resource_api.rest.batch.running import Batch
from data_resource_api.rest.context import OperationContext
from data_resource_api.rest.direct import (
    BATCH,
    KEY,
    OPERATION,
    Authorize,
    DirectRoutes,
    body_stream,
    note_outcome,
    path_forms,
)
from data_resource_api.rest.output.sending import Sending
from data_resource_api.rest.pipeline import answer
from data_resource_api.rest.refusals import refuse
from data_resource_api.rest.response import VERSION_HEADER, Reply
from data_resource_api.rest.servers import Servers, read_position
from data_resource_api.rest.statements import TableStatements

if TYPE_CHECKING:
    from data_resource_api.settings import Settings

logger = logging.getLogger("data_resource_api")


class GeneratedApi:
    """The generated API of one data resource, as a WSGI application.

    Every operation is a rule of a Flask application, which is made when it is first needed: what is plainly
    a request for an operation is answered without it. Flask takes no rules after its first request, so each
    data resource has another one.
    """

    def __init__(
        self, resource: DataResource, servers: Servers, settings: Settings, authorize: Authorize
    ) -> None:
        self._version = resource.digest
        self._servers = servers
        self._authorize = authorize
        self._max_body_bytes = settings.max_body_bytes
        self._max_nesting = settings.max_nesting
        self._max_batch = settings.max_batch
        self._max_import_bytes = settings.max_import_bytes
        self._contexts = tuple(_contexts(resource, settings))
        self._direct = DirectRoutes(
            self._contexts,
            servers,
            authorize,
            max_body_bytes=settings.max_body_bytes,
            max_import_bytes=settings.max_import_bytes,
            headers=[(VERSION_HEADER, resource.digest)],
        )

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one WSGI request."""
        answered = self._direct.answer(environ, start_response)
        return self.flask(environ, start_response) if answered is None else answered

    @functools.cached_property
    def flask(self) -> Flask:
        """The Flask application that has every operation as a rule."""
        app = Flask("data_resource_api.generated", static_folder=None)
        app.url_rule_class = _Rule
        app.config["MAX_CONTENT_LENGTH"] = self._max_body_bytes
        app.url_map.strict_slashes = False
        app.url_map.merge_slashes = False
        operations: dict[str | None, Operation] = {}

        def asks(endpoint: str | None) -> Security:
            if endpoint == BATCH_PATH:
                return self._batch_security
            return operations[endpoint].security if endpoint in operations else ANY_TOKEN

        _note_operations(app, operations)
        ask_before_all(app, asks, self._authorize)
        answer_errors(app)
        app.after_request(_name_version(self._version))
        for context in self._contexts:
            operation = context.operation
            for index, rule in enumerate(_rules(app, operation)):
                endpoint = f"{operation.place}{' (lower case)' if index else ''}"
                operations[endpoint] = operation
                app.add_url_rule(
                    rule,
                    endpoint=endpoint,
                    view_func=_view(
                        context, self._servers, self._authorize, self._max_import_bytes
                    ),
                    methods=[operation.verb.upper()],
                    provide_automatic_options=False,
                )
        app.add_url_rule(
            BATCH_PATH,
            endpoint=BATCH_PATH,
            view_func=self._answer_batch,
            methods=["POST"],
            provide_automatic_options=False,
        )
        return app

    @property
    def _batch_security(self) -> Security:
        """What is asked before a batch is read: no more than its operations can ask."""
        public = any(context.operation.public for context in self._contexts)
        return PUBLIC if public else ANY_TOKEN

    def _answer_batch(self) -> Response:
        """Several operations, all or none."""
        if not is_json(request.mimetype):
            raise UnsupportedMediaType("The body of a batch must be application/json.")
        read_position(request.environ.get("HTTP_DRG_POSITION", ""))
        batch = Batch(
            read_json(request_body(), max_depth=self._max_nesting),
            self._direct,
            functools.partial(self._authorize, request.environ),
            most=self._max_batch,
            max_answer_bytes=self._max_body_bytes,
        )
        request.environ[BATCH] = batch
        return to_response(batch.run(self._servers))


def _contexts(resource: DataResource, settings: Settings) -> Iterator[OperationContext]:
    statements = {name: TableStatements(table) for name, table in resource.tables.items()}
    # Half of the connections stay for everybody else, whatever slow clients send.
    slots = threading.Semaphore(max(1, settings.pool_size // 2))
    verbs: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for operation in resource.operations:
        verbs[_shape_of_path(operation)].append(operation.verb.upper())
    readable = {
        operation.table: operation.security
        for operation in resource.operations
        if operation.kind is Kind.LIST
    }
    reading = {
        _shape_of_path(operation): operation.security
        for operation in resource.operations
        if operation.verb == "get"
    }
    for operation in resource.operations:
        allowed = [verb for verb in verbs[_shape_of_path(operation)] if verb != "DELETE"]
        if "GET" in allowed:
            allowed.append("HEAD")
        yield OperationContext(
            resource,
            operation,
            statements,
            allowed=allowed,
            max_page_size=settings.max_page_size,
            max_nesting=settings.max_nesting,
            exact_count_limit=settings.exact_count_limit,
            readable=readable,
            patience=settings.stream_timeout / 1000,
            max_body_bytes=settings.max_body_bytes,
            import_timeout=settings.import_timeout,
            import_slots=slots,
            require_if_match=settings.require_if_match,
            reading=reading.get(_shape_of_path(operation)),
        )


def ask_before_all(
    app: Flask, asks: Callable[[str | None], Security], authorize: Authorize
) -> None:
    """Have every request authorized before anything else is done with it.

    :param asks: what an endpoint asks for; that of a path without one is ``None``, and who may not know
        learns neither 404 nor 405.
    """

    @app.before_request
    def authorize_request() -> None:
        authorize(request.environ, asks(request.endpoint))


def _name_version(digest: str) -> Callable[[Response], Response]:
    """Every answer says which data resource gave it, so that a client can tell a change."""

    def name(response: Response) -> Response:
        response.headers[VERSION_HEADER] = digest
        return response

    return name


class _Rule(Rule):
    """A rule that only matches: nobody builds URLs with it, and preparing that is most of its cost."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., Any]:
        return _no_url


def _note_operations(app: Flask, operations: Mapping[str | None, Operation]) -> None:
    """Write into the WSGI environment what a request is for, before anything can refuse it."""

    @app.url_value_preprocessor
    def note(endpoint: str | None, arguments: dict[str, Any] | None) -> None:
        if endpoint in operations:
            environ = request.environ
            environ[OPERATION] = operations[endpoint]
            environ[KEY] = arguments.get("key") if arguments else None


def _no_url(*_: object) -> None:
    return None


def _shape_of_path(operation: Operation) -> tuple[str, ...]:
    return (operation.shape, operation.table, operation.related or "")


def _view(
    context: OperationContext, servers: Servers, authorize: Authorize, max_import_bytes: int
) -> Callable[..., Response]:
    def view(key: str = "", **_: str) -> Response:
        environ = request.environ
        stream = body_stream(context, environ, request.mimetype, max_import_bytes)
        raw = RawRequest(
            key=key,
            parameters=request.args.items(multi=True),
            media_type=request.mimetype,
            body=b"" if stream is not None else request_body(),
            position=environ.get("HTTP_DRG_POSITION", ""),
            accept=environ.get("HTTP_ACCEPT", ""),
            prefer=environ.get("HTTP_PREFER", ""),
            stream=stream,
            authorize=functools.partial(authorize, environ),
            if_match=environ.get("HTTP_IF_MATCH", ""),
            if_none_match=environ.get("HTTP_IF_NONE_MATCH", ""),
        )
        reply = answer(context, servers, raw)
        note_outcome(environ, reply)
        return to_response(reply)

    return view


def _rules(app: Flask, operation: Operation) -> list[str]:
    """The rule of each form of an operation's path."""
    keyed = operation.shape in (Shape.ROW, Shape.RELATED)
    return [
        "/"
        + "/".join(
            "<key>" if keyed and index == 1 else _segment(app, name)
            for index, name in enumerate(segments)
        )
        for segments in path_forms(operation)
    ]


def _segment(app: Flask, name: str) -> str:
    """A path segment as part of a rule; werkzeug reads ``<`` and ``>`` as its own."""
    if "<" not in name and ">" not in name:
        return name
    converters: Mapping[str, Any] = app.url_map.converters
    converter = f"name{len(converters)}"
    app.url_map.converters[converter] = type(
        converter, (BaseConverter,), {"regex": re.escape(name), "part_isolating": True}
    )
    return f"<{converter}:{converter}>"


# ── answers, for both applications ───────────────────────────────────────────────────────────────


def to_response(reply: Reply) -> Response:
    """An answer as Flask sends it."""
    body: bytes | Sending = reply.body
    if reply.stream is not None:
        if request.method == "HEAD":
            reply.stream.close()
        else:
            body = Sending(reply.stream, request.environ)
    response = Response(body, reply.status, content_type=reply.media_type)
    for name, value in reply.headers.items():
        response.headers[name] = value
    return response


def request_body() -> bytes:
    """The body of the request that is being answered.

    werkzeug cuts a body that comes in chunks at the limit, and says nothing.

    :raises RequestEntityTooLarge: it is longer than ``MAX_CONTENT_LENGTH``.
    """
    body = request.get_data(cache=False)
    if request.content_length is None and len(body) == request.max_content_length:
        raise RequestEntityTooLarge
    return body


def answer_errors(app: Flask) -> None:
    """Answer everything that goes wrong in JSON, and log what is our own fault under an id."""
    app.register_error_handler(Exception, refuse_request)
    app.register_error_handler(HTTPException, _http_error)


def refuse_request(error: Exception) -> Response:
    """The answer to the request at hand, which ended in an error."""
    return to_response(refuse(error, request.environ))


def _http_error(error: HTTPException) -> Response:
    """What Flask and werkzeug refuse, in our own words."""
    if error.response is not None:  # a redirect of the router's
        return error.get_response(request.environ)  # type: ignore[return-value]
    match error.code:
        case 404:
            return refuse_request(NotFound(f"There is nothing at {request.path}."))
        case 405:
            allowed = getattr(error, "valid_methods", None) or ()
            return refuse_request(
                MethodNotAllowed(f"{request.method} is not enabled at {request.path}.", allowed)
            )
        case 413 if isinstance(error, RequestEntityTooLarge):
            limit = request.max_content_length
            return refuse_request(
                TooLarge(f"The body is larger than {limit} bytes (DRG_MAX_BODY_BYTES).")
            )
        case int(status) if status >= 500:
            return refuse_request(error)
        case _:
            return refuse_request(BadRequest(error.description or "The request cannot be read."))

"""Operations answered straight from WSGI, without what Flask does around a view.

Contexts, sessions, signals, hooks and routing by patterns are most of what a request costs in Flask, and no
operation needs them. A request that is not plainly one of the operations (another method, a path that is
not ASCII, a body in chunks …) is left to Flask, whose routes give the same answers; a test compares them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import parse_qsl

from werkzeug.http import HTTP_STATUS_CODES

from data_resource_api.compiler.openapi import Kind, Operation, Shape
from data_resource_api.compiler.security import Security
from data_resource_api.errors import BadRequest
from data_resource_api.rest.api_request import TAKES_BODY, RawRequest
from data_resource_api.rest.context import OperationContext
from data_resource_api.rest.intake.peers import sent_to_its_end
from data_resource_api.rest.intake.streams import STREAMED, BodyStream
from data_resource_api.rest.output.sending import Sending
from data_resource_api.rest.pipeline import answer
from data_resource_api.rest.refusals import refuse
from data_resource_api.rest.response import Reply
from data_resource_api.rest.servers import Servers

#: Lets a request (its WSGI environment) do what asks for this, or raises Unauthorized, Forbidden or
#: Unavailable.
Authorize = Callable[[dict[str, Any], Security], None]

#: In the WSGI environment: the ``Operation`` that answers, and the key of its row, where there is one.
OPERATION: Final = "drg.operation"
KEY: Final = "drg.key"

#: In the WSGI environment: how many rows a write took in, where it takes in many.
ROWS: Final = "drg.rows"

#: In the WSGI environment: the ``Batch`` that is being answered.
BATCH: Final = "drg.batch"

#: Stands for a key in a path, whatever the document calls it.
KEY_SEGMENT: Final = "{id}"

_NOT_MODIFIED: Final = 304

_STATUS_LINES: Final = {
    status: f"{status} {phrase.upper()}" for status, phrase in HTTP_STATUS_CODES.items()
}


def path_forms(operation: Operation) -> tuple[tuple[str, ...], ...]:
    """The segments of an operation's path: as the document writes them, and in lower case."""
    stated, lower = operation.segments, (operation.table, *operation.segments[1:])
    if operation.shape in (Shape.ROW, Shape.RELATED):
        related = (operation.related,) if operation.related else ()
        stated = (stated[0], KEY_SEGMENT, *stated[2:])
        lower = (operation.table, KEY_SEGMENT, *related)
    return tuple(dict.fromkeys((stated, lower)))


class DirectRoutes:
    """Finds the operation of a request, and answers it.

    :param contexts: of every operation.
    :param authorize: lets a request do what its operation asks for, or raises.
    :param max_body_bytes: a longer body is Flask's to refuse.
    :param max_import_bytes: the most of a body that is read as it comes.
    :param headers: of every answer.
    """

    def __init__(
        self,
        contexts: Iterable[OperationContext],
        servers: Servers,
        authorize: Authorize,
        *,
        max_body_bytes: int,
        max_import_bytes: int,
        headers: Iterable[tuple[str, str]],
    ) -> None:
        self._servers = servers
        self._authorize = authorize
        self._max_body_bytes = max_body_bytes
        self._max_import_bytes = max_import_bytes
        self._headers = tuple(headers)
        #: (method, path) → what answers, of the paths without a key.
        self._plain: dict[tuple[str, str], OperationContext] = {}
        #: (method, first segment, third segment or nothing) → what answers, of those with one.
        self._keyed: dict[tuple[str, str, str], OperationContext] = {}
        for context in contexts:
            self._add(context)

    def _add(self, context: OperationContext) -> None:
        """Answer an operation, at every form of its path."""
        method = context.operation.verb.upper()
        keyed = context.operation.shape in (Shape.ROW, Shape.RELATED)
        for first, *rest in path_forms(context.operation):
            if keyed:
                self._keyed[method, first, rest[1] if len(rest) > 1 else ""] = context
            else:
                self._plain[method, "/".join(("", first, *rest))] = context

    def find(self, method: str, path: str) -> tuple[OperationContext, str] | None:
        """What answers at a decoded path, and the key in it."""
        context = self._plain.get((method, path))
        if context is not None:
            return context, ""
        match path.split("/"):
            case ["", first, key] if key:
                context = self._keyed.get((method, first, ""))
            case ["", first, key, third] if key:
                context = self._keyed.get((method, first, third))
            case _:
                return None
        return None if context is None else (context, key)

    def answer(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes] | None:
        """Answer one WSGI request, or give ``None`` where Flask has to."""
        path, query = environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", "")
        if not (path.isascii() and query.isascii()):
            return None
        found = self.find(environ["REQUEST_METHOD"], path)
        if found is None:
            return None
        context, key = found
        length = 0
        media_type = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        streamed = media_type in STREAMED and context.operation.kind is Kind.CREATE
        if context.operation.kind in TAKES_BODY and not streamed:
            stated = environ.get("CONTENT_LENGTH") or ""
            if not (stated.isascii() and stated.isdecimal()):
                return None
            length = int(stated)
            if length > self._max_body_bytes:
                return None
        environ[OPERATION], environ[KEY] = context.operation, key or None
        try:
            self._authorize(environ, context.operation.security)
            raw = RawRequest(
                key=key,
                parameters=_parameters(query) if query else (),
                media_type=media_type,
                body=_body(environ, length) if length else b"",
                position=environ.get("HTTP_DRG_POSITION", ""),
                accept=environ.get("HTTP_ACCEPT", ""),
                prefer=environ.get("HTTP_PREFER", ""),
                stream=body_stream(context, environ, media_type, self._max_import_bytes)
                if streamed
                else None,
                authorize=functools.partial(self._authorize, environ),
                if_match=environ.get("HTTP_IF_MATCH", ""),
                if_none_match=environ.get("HTTP_IF_NONE_MATCH", ""),
            )
            reply = answer(context, self._servers, raw)
        except Exception as error:  # noqa: BLE001 (every request is answered; what is our fault is logged)
            reply = refuse(error, environ)
        note_outcome(environ, reply)
        if reply.stream is not None:
            told = [
                ("Content-Type", reply.media_type),
                *reply.headers.items(),
                *self._headers,
            ]
            start_response(_STATUS_LINES[reply.status], told)
            return Sending(reply.stream, environ)
        headers = [
            ("Content-Type", reply.media_type),
            ("Content-Length", str(len(reply.body))),
            *reply.headers.items(),
            *self._headers,
        ]
        if reply.status == _NOT_MODIFIED:
            del headers[:2]  # it has no body, and says nothing of the one that it stands for
        start_response(_STATUS_LINES[reply.status], headers)
        return [reply.body]  # a list: granian sends that at once, and anything else piece by piece


def note_outcome(environ: dict[str, Any], reply: Reply) -> None:
    """Write what a write has made into the WSGI environment, where the audit log finds it."""
    if reply.created is not None:
        environ[KEY] = reply.created
    if reply.rows is not None:
        environ[ROWS] = reply.rows


def body_stream(
    context: OperationContext, environ: dict[str, Any], media_type: str, most: int
) -> BodyStream | None:
    """The body of a request where it is read as it comes.

    :raises BadRequest: its length is none.
    :raises TooLarge: it is longer than ``most`` bytes.
    """
    if media_type not in STREAMED or context.operation.kind is not Kind.CREATE:
        return None
    stated = environ.get("CONTENT_LENGTH") or ""
    if stated and not (stated.isascii() and stated.isdecimal()):
        raise BadRequest("Content-Length must be a whole number.")
    length = int(stated) if stated else None
    is_whole = functools.partial(sent_to_its_end, environ)
    return BodyStream(environ["wsgi.input"], length, most, is_whole)


def _parameters(query: str) -> list[tuple[str, str]]:
    """The names and values of a query string, as werkzeug reads them."""
    return parse_qsl(query, keep_blank_values=True, errors="werkzeug.url_quote")


def _body(environ: dict[str, Any], length: int) -> bytes:
    body: bytes = environ["wsgi.input"].read(length)
    if len(body) < length:
        raise BadRequest("The body ends before its Content-Length.")
    return body

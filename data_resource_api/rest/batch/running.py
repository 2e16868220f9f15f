"""Runs a batch: every operation allowed on its own, then all of them in one transaction, or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, quote

import orjson
import psycopg2

from data_resource_api.compiler.description.batch import METHODS
from data_resource_api.compiler.faults import MAX_FAULTS
from data_resource_api.compiler.openapi import Kind, Operation
from data_resource_api.compiler.security import ANY_TOKEN, Security
from data_resource_api.errors import BadRequest, DrgError, MethodNotAllowed, NotFound
from data_resource_api.json_text import read_json, write_json
from data_resource_api.rest.api_request import TAKES_BODY, ApiRequest, RawRequest
from data_resource_api.rest.batch.reading import Step, read_batch
from data_resource_api.rest.batch.references import (
    Dangling,
    path_references,
    references_of,
    resolved,
    resolved_path,
)
from data_resource_api.rest.context import OperationContext, Plan
from data_resource_api.rest.intake.plan import Refused, take_in
from data_resource_api.rest.intake.transaction import refused_rows
from data_resource_api.rest.keys import write_key
from data_resource_api.rest.pipeline import completed, intake_of, read_request
from data_resource_api.rest.plan import PLANS, READS
from data_resource_api.rest.questions.refusals import refused_question
from data_resource_api.rest.response import Reply, json_reply
from data_resource_api.rest.servers import Servers
from data_resource_api.rest.transaction import DatabaseFailed, refused, run_together

_JSON: Final = "application/json"


class Routes(Protocol):
    """Finds the operation at a path."""

    def find(self, method: str, path: str) -> tuple[OperationContext, str] | None:
        """What answers at a decoded path, and the key in it."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one operation, for the audit log.

    :ivar path: as it is in the batch, without the query.
    :ivar status: of its own answer; ``None`` where it was not reached.
    :ivar rows: how many it took in, where it takes in many.
    """

    operation: Operation
    method: str
    path: str
    key: object
    status: int | None = None
    rows: int | None = None


class Batch:
    """One batch on its way.

    :param document: the body of the request.
    :param authorize: lets this caller do what asks for this, or refuses.
    :param most: operations that one batch can have.
    :raises DrgError: it is refused, before anything is done.
    """

    def __init__(
        self,
        document: object,
        routes: Routes,
        authorize: Callable[[Security], None],
        *,
        most: int,
        max_answer_bytes: int,
    ) -> None:
        self._authorize = authorize
        self._max_answer_bytes = max_answer_bytes
        self._steps = read_batch(document, most=most)
        self._routes = routes
        self._contexts = self._allowed()
        self._at = 0
        #: Whether the present one asks a question, in which PostgreSQL may find a fault.
        self._asks = False
        self._kept = self._referred()
        #: What became of each operation, in their order.
        self.done: list[Done] = [
            Done(context.operation, step.method, "/" + "/".join(step.segments), None)
            for step, (context, _) in zip(self._steps, self._contexts, strict=True)
        ]

    def _allowed(self) -> Sequence[tuple[OperationContext, str]]:
        """What answers each operation, and the key in its path; all of them are allowed."""
        found: list[tuple[OperationContext, str]] = []
        refusals: list[DrgError] = []
        for step in self._steps:
            match = self._routes.find(step.method, step.shape)
            with_place = _Placed(step.place)
            with with_place:
                # Who may not know learns neither 404 nor 405.
                self._authorize(ANY_TOKEN if match is None else match[0].operation.security)
            if match is None:
                refusals.append(with_place.told(self._unknown(step)))
                continue
            found.append(match)
            takes_body = match[0].operation.kind in TAKES_BODY
            if step.has_body is not takes_body:
                needs = "needs a body" if takes_body else "takes no body"
                refusal = BadRequest(f"{step.method} {match[0].operation.path} {needs}.")
                refusals.append(with_place.told(refusal))
        if refusals:
            first = refusals[0]
            if len(refusals) > 1:
                first.errors = tuple(refusal.detail for refusal in refusals[:MAX_FAULTS])
            raise first
        return found

    def _unknown(self, step: Step) -> DrgError:
        path = "/" + "/".join(step.segments)
        allowed = [method for method in METHODS if self._routes.find(method, step.shape)]
        if allowed:
            return MethodNotAllowed(f"{step.method} is not enabled at {path}.", allowed)
        return NotFound(f"There is nothing at {path}.")

    def _referred(self) -> frozenset[str]:
        """The names of the operations whose answers are referred to."""
        texts: set[object] = set()
        for step in self._steps:
            texts.update(text for _, text in references_of(step.body, ""))
            for part in (*step.segments, step.query):
                texts.update(path_references(part))
        return frozenset(str(text).partition("#")[0] for text in texts)

    def run(self, servers: Servers) -> Reply:
        """Do everything, or nothing.

        :raises DrgError: what the operation at fault, or the database, refuses; it names the operation.
        """
        with _Placed("", lambda: self._steps[self._at].place):
            return run_together(servers, self._plan(), self._refused)

    def _refused(self, error: psycopg2.Error) -> Exception:
        context, _ = self._contexts[self._at]
        if context.operation.kind is Kind.CREATE:
            return refused_rows(error, context)
        refusal = refused(error, context.operation.kind, context.index_fields)
        if self._asks and isinstance(refusal, DatabaseFailed):
            return refused_question(refusal)
        return refusal

    def _plan(self) -> Plan:
        answers: dict[str, Any] = {}
        results: list[dict[str, Any]] = []
        size = 0
        for place, (step, (context, key)) in enumerate(
            zip(self._steps, self._contexts, strict=True)
        ):
            self._at = place
            raw = self._raw(step, key, answers)
            self._note(key=raw.key or None)
            request = read_request(context, raw)
            self._asks = request.question is not None
            reply = completed(request, (yield from _one(context, raw, request)))
            size += len(reply.body)
            if size > self._max_answer_bytes:
                raise BadRequest(
                    f"The answers are longer than {self._max_answer_bytes} bytes "
                    "(DRG_MAX_BODY_BYTES); ask for less in one batch."
                )
            if step.name in self._kept:
                answers[step.name] = read_json(reply.body) if reply.body else None
            results.append(_result(reply))
            self._note(status=reply.status, rows=reply.rows)
            if reply.created is not None:
                self._note(key=reply.created)
        return json_reply(200, {"results": results})

    def _raw(self, step: Step, key: str, answers: dict[str, Any]) -> RawRequest:
        """The request that an operation would be on its own."""
        try:
            if any(map(path_references, step.segments)):
                key = resolved_path(step.segments[1], answers, _as_key)
            query = resolved_path(step.query, answers, _as_text)
            body = write_json(resolved(step.body, answers)) if step.has_body else b""
        except Dangling as error:
            raise BadRequest(str(error)) from None
        return RawRequest(
            key=key,
            parameters=parse_qsl(query, keep_blank_values=True) if query else (),
            media_type=_JSON,
            body=body,
            position="",
            accept=_JSON,
            authorize=self._authorize,
            if_match=step.headers.get("if-match", ""),
            if_none_match=step.headers.get("if-none-match", ""),
            prefer=step.headers.get("prefer", ""),
        )

    def _note(self, **outcome: Any) -> None:
        self.done[self._at] = replace(self.done[self._at], **outcome)

    @property
    def changes(self) -> list[Done]:
        """What became of the operations that are no reads."""
        return [done for done in self.done if done.operation.kind not in READS]


def _one(context: OperationContext, raw: RawRequest, request: ApiRequest) -> Plan:
    """What one operation does."""
    intake = intake_of(context, raw, request)
    if intake is None:
        return (yield from PLANS[context.operation.kind](context, request))
    if intake.preferences.rollback:
        raise BadRequest("Prefer: tx=rollback cannot be had for one operation of a batch.")
    try:
        return (yield from take_in(context, intake))
    except Refused as refusal:
        raise refused_rows(refusal.error, context) from None


def _result(reply: Reply) -> dict[str, Any]:
    body = orjson.Fragment(reply.body) if reply.body else None
    return {"status": reply.status, "headers": dict(reply.headers), "body": body}


def _as_key(value: Any) -> str:
    """A value in the place of a key."""
    return write_key(value if isinstance(value, list) else [value])


def _as_text(value: Any) -> str:
    """A value in a query string."""
    return quote(_as_key(value) if isinstance(value, list) else str(value), safe="")


class _Placed:
    """Names the operation in whatever refusal leaves the block."""

    def __init__(self, place: str, found: Callable[[], str] | None = None) -> None:
        self._place = found or (lambda: place)

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, DrgError):
            self.told(error)

    def told(self, error: DrgError) -> DrgError:
        """The refusal, with the place of its operation."""
        place = self._place()
        error.detail = f"{place}: {error.detail}"
        error.errors = tuple(f"{place}: {line}" for line in error.errors)
        return error

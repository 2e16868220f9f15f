"""Changes that are made only to what the client has seen: ``If-Match``, ``If-None-Match`` on a write.

What is there is locked, compared and changed in one transaction, so that nothing comes between. A tag is a
hash of what is there, and so it is for those alone who may read it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Protocol

from data_resource_api.compiler.openapi import Kind
from data_resource_api.errors import (
    Forbidden,
    PreconditionFailed,
    PreconditionRequired,
    Unauthorized,
)
from data_resource_api.json_text import write_json
from data_resource_api.rest.api_request import ApiRequest
from data_resource_api.rest.conditions import ANY, NONE, entity_tag
from data_resource_api.rest.context import OperationContext, Plan
from data_resource_api.rest.response import with_headers
from data_resource_api.rest.statements import Rows, Statement, keyed

MakePlan = Callable[[OperationContext, ApiRequest], Plan]


class State(Protocol):
    """How the tag of what an operation changes is found."""

    def __call__(
        self, context: OperationContext, request: ApiRequest, *, lock: bool
    ) -> Generator[Statement, Rows, str | None]:
        """The tag of the GET of the same path, or ``None`` where there is nothing.

        :param lock: whether it has to stay so until the transaction ends.
        """


def conditional(change: MakePlan, state: State) -> MakePlan:
    """A change, made on the conditions that its request states.

    Its answer carries the tag of the new state.
    """

    def plan(context: OperationContext, request: ApiRequest) -> Plan:
        conditions = request.conditions
        if context.require_if_match:
            _refuse_unconditional(request)
        if conditions is NONE:
            return (yield from change(context, request))
        if conditions.compares:
            _refuse_strangers(context, request)
        told = _may_read(context, request)
        before = yield from state(context, request, lock=True)
        if before is None and request.operation.kind is not Kind.REPLACE:
            return (yield from change(context, request))  # which says that there is nothing
        conditions.refuse(before, told=told)
        reply = yield from change(context, request)
        if before is None and reply.status != 201:
            raise PreconditionFailed("Somebody else has just created the row. GET it.")
        after = (yield from state(context, request, lock=False)) if told else None
        return reply if after is None else with_headers(reply, {"ETag": after})

    return plan


def row_state(
    context: OperationContext, request: ApiRequest, *, lock: bool
) -> Generator[Statement, Rows, str | None]:
    """The tag of a row; see :class:`State`."""
    sql = context.statements.read_locked if lock else context.statements.read
    rows = yield Statement(sql, keyed(context.key(request.key)))
    return entity_tag(write_json(context.writer.write(rows[0]))) if rows else None


def _refuse_unconditional(request: ApiRequest) -> None:
    """Refuse a change that could undo what its client has not seen.

    What only adds to a list undoes nothing.
    """
    kind, conditions = request.operation.kind, request.conditions
    creates = kind is Kind.REPLACE
    if conditions.match or kind is Kind.ADD_RELATED:
        return
    if creates and conditions.none_match == ANY:
        return
    raise PreconditionRequired(
        "Send If-Match with the ETag that the GET of this path answers, so that nobody's change is lost"
        + ("; or If-None-Match: * to create a row." if creates else ".")
    )


def _refuse_strangers(context: OperationContext, request: ApiRequest) -> None:
    """Refuse to compare for who may not read: each answer would tell whether a guess is right."""
    if context.reading is None:
        raise Forbidden(
            "If-Match and If-None-Match compare tags of the GET of this path, which is not enabled. "
            "Only * can be used."
        )
    request.authorize(context.reading)


def _may_read(context: OperationContext, request: ApiRequest) -> bool:
    if context.reading is None:
        return False
    try:
        request.authorize(context.reading)
    except (Unauthorized, Forbidden):
        return False
    return True

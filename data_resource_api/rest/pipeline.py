"""How a request on a generated route is answered: the table of contents."""

from __future__ import annotations

from data_resource_api.compiler.openapi import Kind
from data_resource_api.rest.api_request import ApiRequest, RawRequest, parse
from data_resource_api.rest.conditions import NONE, tagged
from data_resource_api.rest.context import OperationContext
from data_resource_api.rest.intake.plan import Intake
from data_resource_api.rest.intake.request import read_intake
from data_resource_api.rest.intake.transaction import run_intake
from data_resource_api.rest.output.forms import JSON
from data_resource_api.rest.output.rows import ROWS_OUT, asked_rows
from data_resource_api.rest.output.streams import open_stream
from data_resource_api.rest.plan import ATOMIC, PLANS, READS
from data_resource_api.rest.questions.refusals import refused_question
from data_resource_api.rest.response import Reply
from data_resource_api.rest.servers import Servers, read_position
from data_resource_api.rest.transaction import DatabaseFailed, run


def answer(context: OperationContext, servers: Servers, raw: RawRequest) -> Reply:
    """HTTP request → intent → plan → transaction → answer.

    :raises DrgError: the request is refused.
    """
    request = read_request(context, raw)
    try:
        return _answer(context, servers, raw, request)
    except DatabaseFailed as error:
        if request.question is None:
            raise
        raise refused_question(error) from None


def _answer(
    context: OperationContext, servers: Servers, raw: RawRequest, request: ApiRequest
) -> Reply:
    kind = context.operation.kind
    if request.form is not JSON:
        asked = request.question
        out = (
            ROWS_OUT[kind](context, request)
            if asked is None
            else asked_rows(context, request, asked)
        )
        return open_stream(servers, out, read_position(raw.position), context.patience)
    intake = intake_of(context, raw, request)
    if intake is not None:
        return run_intake(servers, context, intake)
    position = read_position(raw.position)
    reply = run(
        servers,
        kind,
        lambda: PLANS[kind](context, request),
        position=position,
        index_fields=context.index_fields,
        atomic=kind in ATOMIC or request.conditions is not NONE,
    )
    return completed(request, reply)


def read_request(context: OperationContext, raw: RawRequest) -> ApiRequest:
    """HTTP request → intent.

    :raises BadRequest: it is wrong.
    :raises UnsupportedMediaType: its body is not JSON.
    """
    return parse(
        context.operation,
        raw,
        context.shown,
        max_page_size=context.max_page_size,
        max_nesting=context.max_nesting,
    )


def intake_of(context: OperationContext, raw: RawRequest, request: ApiRequest) -> Intake | None:
    """The rows that are to be added, where they are more than one new row.

    :raises BadRequest: what is asked for is wrong.
    :raises Forbidden: rows would be changed, and the caller may not do that.
    """
    if context.operation.kind is Kind.CREATE and (raw.prefer or type(request.body) is not dict):
        return read_intake(context, raw, request)
    return None


def completed(request: ApiRequest, reply: Reply) -> Reply:
    """The plan's answer, with what every answer of its kind has.

    :raises PreconditionFailed: it is not what the request wants to read.
    """
    return tagged(reply, request.conditions) if request.operation.kind in READS else reply

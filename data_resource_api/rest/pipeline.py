"""How a request on a generated route is answered: the table of contents."""

from __future__ import annotations

from data_resource_api.compiler.openapi import Kind
from data_resource_api.rest.api_request import RawRequest, parse
from data_resource_api.rest.conditions import NONE, tagged
from data_resource_api.rest.context import OperationContext
from data_resource_api.rest.forms import JSON
from data_resource_api.rest.intake_request import read_intake
from data_resource_api.rest.intake_transaction import run_intake
from data_resource_api.rest.plan import ATOMIC, PLANS, READS
from data_resource_api.rest.questions.refusals import refused_question
from data_resource_api.rest.response import Reply
from data_resource_api.rest.rows_out import ROWS_OUT
from data_resource_api.rest.servers import Servers, read_position
from data_resource_api.rest.streams import open_stream
from data_resource_api.rest.transaction import DatabaseFailed, run


def answer(context: OperationContext, servers: Servers, raw: RawRequest) -> Reply:
    """HTTP request → intent → plan → transaction → answer.

    :raises DrgError: the request is refused.
    """
    kind = context.operation.kind
    request = parse(
        context.operation,
        raw,
        context.table,
        max_page_size=context.max_page_size,
        max_nesting=context.max_nesting,
    )
    if request.form is not JSON:
        out = ROWS_OUT[kind](context, request)
        return open_stream(servers, out, read_position(raw.position), context.patience)
    if kind is Kind.CREATE and (raw.prefer or type(request.body) is not dict):
        intake = read_intake(context, raw, request)
        if intake is not None:
            return run_intake(servers, context, intake)
    position = read_position(raw.position)
    try:
        reply = run(
            servers,
            kind,
            lambda: PLANS[kind](context, request),
            position=position,
            index_fields=context.index_fields,
            atomic=kind in ATOMIC or request.conditions is not NONE,
        )
    except DatabaseFailed as error:
        if request.question is None:
            raise
        raise refused_question(error) from None
    return tagged(reply, request.conditions) if kind in READS else reply

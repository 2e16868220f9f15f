"""Rows on their way out, in another form than JSON: what is asked, and how the answer is written.

A list, a query, a row, or those that refer to one, from the first row to the last where no limit is given,
in the order of the key. ``rest.output.streams`` runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from data_resource_api.compiler.openapi import Kind
from data_resource_api.errors import BadRequest, DrgError, MessageNotFound
from data_resource_api.json_text import write_json
from data_resource_api.rest.api_request import ApiRequest
from data_resource_api.rest.children import PLAIN, Parent, children_of, parent_of
from data_resource_api.rest.context import OperationContext
from data_resource_api.rest.listing import Listing
from data_resource_api.rest.output.csv_text import CsvLines, OutColumn
from data_resource_api.rest.output.forms import CSV, Form
from data_resource_api.rest.pages import Start
from data_resource_api.rest.plan import query_statement
from data_resource_api.rest.questions.plan import ask_table, with_key
from data_resource_api.rest.questions.syntax import Question
from data_resource_api.rest.statements import Rows, Statement, keyed

WriteRows = Callable[[Rows], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class RowsOut:
    """Rows to be sent.

    :ivar statement: its rows are what ``write`` takes.
    :ivar head: what comes before the first row.
    :ivar file_name: what a browser saves the answer as.
    :ivar refusal: the answer where there is no row at all; ``None`` where that is an answer too.
    :ivar parent: the row that they refer to, whose values the statement needs.
    """

    form: Form
    statement: Statement
    head: bytes
    write: Callable[[Rows], bytes]
    file_name: str
    refusal: DrgError | None = None
    parent: Parent | None = None


def rows_out(
    context: Listing,
    form: Form,
    statement: Statement,
    columns: Sequence[OutColumn],
    write_rows: WriteRows,
    *,
    width: int | None = None,
    refusal: DrgError | None = None,
) -> RowsOut:
    """The rows of a statement in a form.

    :param columns: those that are sent, the first of the statement's.
    :param write_rows: its rows → JSON objects.
    :param width: how many columns the statement has, where it has more than are sent.
    """
    file_name = f"{context.table.name}.{form.suffix}"
    if form is not CSV:
        return RowsOut(form, statement, b"", _ndjson(write_rows), file_name, refusal)
    lines = CsvLines(columns, context.absent)
    return RowsOut(
        form,
        Statement(lines.sql(statement.sql, width or len(columns)), statement.parameters),
        lines.header.encode(),
        lines.text,
        file_name,
        refusal,
    )


def _ndjson(write_rows: WriteRows) -> Callable[[Rows], bytes]:
    return lambda rows: b"".join([write_json(row) + b"\n" for row in write_rows(rows)])


def _list(context: OperationContext, request: ApiRequest) -> RowsOut:
    position = request.position
    parameters = {"limit": request.limit, **context.cursor(position)}
    sql = context.statements.export_sql(position.start)
    return _of_table(context, request, Statement(sql, parameters))


def _query(context: OperationContext, request: ApiRequest) -> RowsOut:
    statement = query_statement(context, request, request.limit)
    return _of_table(context, request, statement, MessageNotFound("No matches found"))


def _read(context: OperationContext, request: ApiRequest) -> RowsOut:
    statement = Statement(context.statements.read, keyed(context.key(request.key)))
    return _of_table(context, request, statement, context.not_found(request.key))


def _of_table(
    context: OperationContext,
    request: ApiRequest,
    statement: Statement,
    refusal: DrgError | None = None,
) -> RowsOut:
    columns = [OutColumn(name, field) for name, field in context.table.fields.items()]
    write = context.writer.write_all
    return rows_out(context, request.form, statement, columns, write, refusal=refusal)


def _children(context: OperationContext, request: ApiRequest) -> RowsOut:
    return asked_rows(context, request, PLAIN)


def asked_rows(context: OperationContext, request: ApiRequest, question: Question) -> RowsOut:
    """The rows that a question finds.

    :raises DrgError: it cannot be asked, or not by this caller.
    """
    listing: Listing = context
    refusal: DrgError | None = None
    parent: Parent | None = None
    match context.operation.kind:
        case Kind.READ:
            question, refusal = with_key(context, request, question), context.not_found(request.key)
        case Kind.QUERY:
            refusal = MessageNotFound("No matches found")
        case Kind.CHILDREN:
            listing = children_of(context, request.via)
            parent = parent_of(context, request, listing)
    made = _asked(listing, request, question)
    return replace(made, refusal=refusal, parent=parent)


def _asked(context: Listing, request: ApiRequest, question: Question) -> RowsOut:
    position = request.position
    asked = ask_table(context, request, question)
    keyed_start = position.start is Start.AFTER and asked.keyed
    if position.start is not Start.OFFSET and not keyed_start:
        raise BadRequest(
            "The query string is wrong.",
            [f"{position.start}: such an answer starts at an offset, or after a key."],
        )
    statement = asked.page(request.limit, position.offset, position.start, context.cursor(position))
    columns = [OutColumn(column.name, column.field) for column in asked.columns]
    width = len(columns) + len(context.keys)
    return rows_out(context, request.form, statement, columns, asked.write, width=width)


#: The operations whose rows come in every form.
ROWS_OUT: Final[Mapping[Kind, Callable[[OperationContext, ApiRequest], RowsOut]]] = {
    Kind.LIST: _list,
    Kind.READ: _read,
    Kind.QUERY: _query,
    Kind.CHILDREN: _children,
}

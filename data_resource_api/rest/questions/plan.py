"""What an operation does where a question is asked: a page, a row, or what a query finds."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from data_resource_api.compiler.openapi import Kind
from data_resource_api.errors import BadRequest, MessageNotFound
from data_resource_api.json_text import write_json
from data_resource_api.rest.api_request import ApiRequest
from data_resource_api.rest.context import OperationContext
from data_resource_api.rest.keys import key_texts
from data_resource_api.rest.listing import Listing
from data_resource_api.rest.pages import BACKWARDS, Start, page_links, planned_rows
from data_resource_api.rest.questions.asking import BARE
from data_resource_api.rest.questions.rights import ReadingRights, Unlisted
from data_resource_api.rest.questions.sql import Asked
from data_resource_api.rest.questions.syntax import Condition, Counting, FieldPath, Question
from data_resource_api.rest.response import Reply, json_reply
from data_resource_api.rest.statements import Rows, Statement

Plan = Generator[Statement, Rows, Reply]

#: What stands in a parameter without being quoted: the grammar's signs are easier to read so.
_PLAIN = "~,()*!.:'"


def ask_table(context: Listing, request: ApiRequest, question: Question) -> Asked:
    """The question with its SQL.

    :raises BadRequest: it cannot be asked of this table.
    :raises Forbidden: this caller may not ask it.
    """
    rights = ReadingRights(context.readable, request.authorize)
    if (question.filters or question.order) and request.operation.kind is Kind.QUERY:
        table = context.table.name
        try:
            rights(table)
        except Unlisted:
            raise BadRequest(
                "The question cannot be asked.",
                [f"{table}: its rows cannot be listed, and so they are found by equality alone."],
            ) from None
    return context.questions.ask(question, rights)


# ── lists ────────────────────────────────────────────────────────────────────────────────────────


def list_asked(context: OperationContext, request: ApiRequest) -> Plan:
    """A page of the rows that a question finds."""
    question = request.question
    assert question is not None
    asked = ask_table(context, request, question)
    return (yield from page_asked(context, request, question, asked, context.path))


def page_asked(
    listing: Listing, request: ApiRequest, question: Question, asked: Asked, path: str
) -> Plan:
    """A page of the rows that have been asked for.

    :param path: of the list, as links write it.
    """
    position, limit = request.position, request.limit
    assert limit is not None
    start, backwards = position.start, position.start in BACKWARDS
    if start is not Start.OFFSET and not asked.keyed:
        name = "from" if start is Start.END else start
        raise BadRequest(
            "The query string is wrong.",
            [f"{name}: rows in this order are paged by offset alone."],
        )
    # One row more than the page has tells whether rows follow it.
    rows = [*(yield asked.page(limit + 1, position.offset, start, listing.cursor(position)))]
    more = len(rows) > limit
    del rows[limit:]
    if backwards:
        rows.reverse()
    at_end = start is Start.OFFSET and not more and bool(rows or position.offset == 0)
    count = position.offset + len(rows) if at_end else None
    exact = at_end
    if count is None:
        count, exact = yield from _count(asked, question)
    links = page_links(
        path,
        position,
        limit,
        count if exact or asked.keyed or count == 0 else None,
        exact=exact,
        follows=start is Start.BEFORE or (more and not backwards),
        keyed=asked.keyed,
        ends=asked.ends(rows) if rows and asked.keyed else None,
        asked=_link_parameters(request.asked),
    )
    found = asked.write(rows)
    told = count if question.count not in (None, Counting.NONE) or at_end else None
    headers = {}
    if request.question is not None:
        headers["Content-Range"] = _content_range(position.offset, len(rows), told)
    if request.bare:
        return Reply(200, write_json(found), headers, BARE)
    return json_reply(200, {listing.table.name: found, "links": links}, headers)


def _count(asked: Asked, question: Question) -> Generator[Statement, Rows, tuple[int | None, bool]]:
    """How many rows match, as far as the client wants to know, and whether they were counted."""
    match question.count:
        case Counting.EXACT:
            return (yield asked.count())[0][0], True
        case Counting.ESTIMATED:
            return planned_rows((yield asked.estimate())[0][0]), False
        case _:
            return None, False


def _content_range(offset: int, number: int, count: int | None) -> str:
    """``0-19/3573`` (RFC 9110, section 14.4); the rows are numbered from 0."""
    rows = f"{offset}-{offset + number - 1}" if number else "*"
    return f"{rows}/{'*' if count is None else count}"


def _link_parameters(asked: Sequence[tuple[str, str]]) -> str:
    return "".join(f"&{quote(name, _PLAIN)}={quote(text, _PLAIN)}" for name, text in asked)


# ── one row, and queries ─────────────────────────────────────────────────────────────────────────


def read_asked(context: OperationContext, request: ApiRequest) -> Plan:
    """One row, as a question selects it."""
    question = request.question
    assert question is not None
    asked = ask_table(context, request, with_key(context, request, question))
    rows = yield asked.page(1, 0, Start.OFFSET, {"offset": 0})
    if not rows:
        raise context.not_found(request.key)
    return json_reply(200, asked.write(rows)[0])


def with_key(context: OperationContext, request: ApiRequest, question: Question) -> Question:
    """The question about the one row of the path.

    :raises NotFound: it cannot be the key of one.
    """
    context.key(request.key)
    texts = key_texts(context.keys, request.key)
    conditions = tuple(
        Condition(FieldPath(str(field.name)), "eq", text)
        for field, text in zip(context.keys, texts, strict=True)
    )
    return replace(question, filters=conditions)


def query_asked(context: OperationContext, request: ApiRequest) -> Plan:
    """The rows that a question in a body finds, all of them where no limit is given."""
    question, offset = request.question, request.position.offset
    assert question is not None
    asked = ask_table(context, request, question)
    most = context.max_page_size
    limit = most if request.limit is None else request.limit
    rows = [*(yield asked.page(limit + 1, offset, Start.OFFSET, {"offset": offset}))]
    more = len(rows) > limit
    if more and request.limit is None:
        raise BadRequest(
            f"More than {most} rows match; ask for them in pages with limit and offset."
        )
    del rows[limit:]
    if not rows and not request.bare:
        raise MessageNotFound("No matches found")
    count: int | None = offset + len(rows)
    if more or not rows:
        count, _ = yield from _count(asked, question)
    headers = {"Content-Range": _content_range(offset, len(rows), count)}
    found: list[dict[str, Any]] = asked.write(rows)
    if request.bare:
        return Reply(200, write_json(found), headers, BARE)
    return json_reply(200, {"results": found}, headers)

"""The rows that refer to a row: a one-to-many relationship, from the parent's side."""

from __future__ import annotations

from urllib.parse import quote as quote_url

from data_resource_api.compiler.faults import quote
from data_resource_api.compiler.tables import ForeignKey
from data_resource_api.errors import BadRequest
from data_resource_api.rest.api_request import ApiRequest
from data_resource_api.rest.context import OperationContext, Plan
from data_resource_api.rest.pages import page_links
from data_resource_api.rest.response import json_reply
from data_resource_api.rest.statements import Statement, keyed, numbered


def children(context: OperationContext, request: ApiRequest) -> Plan:
    """A page of the rows that refer to a row, in the order of their keys."""
    reference = _reference(context, request.via)
    offset, limit = request.position.offset, request.limit
    assert limit is not None
    parent = context.statements.values_sql(reference.references)
    found = yield Statement(parent, keyed(context.key(request.key)))
    if not found:
        raise context.not_found(request.key)
    values = numbered(found[0])
    statements = context.related_statements
    # One row more than the page has tells whether rows follow it.
    page = statements.query_sql(reference.fields, ())
    rows = [*(yield Statement(page, {**values, "offset": offset, "limit": limit + 1}))]
    more = len(rows) > limit
    del rows[limit:]
    count = offset + len(rows)
    if more or (offset and not rows):
        count = (yield Statement(statements.count_sql(reference.fields), values))[0][0]
    key = quote_url(request.key, safe="~,")
    links = page_links(
        f"{context.path}/{key}/{context.related_segment}",
        request.position,
        limit,
        count,
        exact=True,
        follows=more,
        keyed=False,
        ends=None,
        asked=f"&via={quote_url(request.via, safe='~,')}" if request.via else "",
    )
    written = context.related_writer.write_all(rows)
    return json_reply(200, {context.related.name: written, "links": links})


def _reference(context: OperationContext, via: str) -> ForeignKey:
    """The foreign key that is meant.

    :raises BadRequest: there are several, or none is called so.
    """
    references = context.related.references_to(context.table.name)
    by_name = {",".join(reference.fields): reference for reference in references}
    if via in by_name:
        return by_name[via]
    if not via and len(references) == 1:
        return references[0]
    named = ", ".join(by_name)
    fault = (
        f"via: {quote(via)} is no foreign key to {context.table.name}; it can be {named}."
        if via
        else f"via: several foreign keys refer to {context.table.name}; say which: {named}."
    )
    raise BadRequest("The query string is wrong.", [fault])

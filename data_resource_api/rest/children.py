"""The rows that refer to a row: a one-to-many relationship, from the parent's side.

They are a list as the table's own is, and take the same questions, which then are about them alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote as quote_url

from data_resource_api.compiler.faults import quote
from data_resource_api.errors import BadRequest, NotFound
from data_resource_api.rest.api_request import ApiRequest
from data_resource_api.rest.context import OperationContext, Plan
from data_resource_api.rest.listing import Listing
from data_resource_api.rest.questions.plan import ask_table, page_asked
from data_resource_api.rest.questions.syntax import Counting, Question
from data_resource_api.rest.statements import Rows, Statement, keyed, numbered

#: A page without a question: its links lead to the last page too.
PLAIN: Final = Question(count=Counting.EXACT)


@dataclass(frozen=True, slots=True)
class Parent:
    """The row that others refer to.

    :ivar statement: gives what it has in the fields that the foreign key refers to.
    :ivar missing: the refusal where there is no such row.
    """

    statement: Statement
    missing: NotFound

    def values(self, rows: Rows) -> dict[str, Any]:
        """What the foreign key of its children holds; see :meth:`questions.sql.Asked.within`.

        :param rows: of the statement.
        :raises NotFound: there is no such row.
        """
        if not rows:
            raise self.missing
        return numbered(rows[0])


def children(context: OperationContext, request: ApiRequest) -> Plan:
    """A page of the rows that refer to a row, in the order of their keys if nothing else is asked."""
    listing = children_of(context, request.via)
    question = request.question or PLAIN
    asked = ask_table(listing, request, question)
    parent = parent_of(context, request, listing)
    values = parent.values((yield parent.statement))
    key = quote_url(request.key, safe="~,")
    path = f"{context.path}/{key}/{context.related_segment}"
    return (yield from page_asked(listing, request, question, asked.within(values), path))


def children_of(context: OperationContext, via: str) -> Listing:
    """The rows that refer by the foreign key that is meant.

    :raises BadRequest: there are several, or none is called so.
    """
    listings = context.children
    if via in listings:
        return listings[via]
    if not via and len(listings) == 1:
        return next(iter(listings.values()))
    named = ", ".join(listings)
    fault = (
        f"via: {quote(via)} is no foreign key to {context.table.name}; it can be {named}"
        + (f" (a field of this name is compared by and=(via.{via}))." if "." in via else ".")
        if via
        else f"via: several foreign keys refer to {context.table.name}; say which: {named}."
    )
    raise BadRequest("The query string is wrong.", [fault])


def parent_of(context: OperationContext, request: ApiRequest, listing: Listing) -> Parent:
    """The row of the path.

    :raises NotFound: its key cannot be one.
    """
    assert listing.within is not None
    values = context.statements.values_sql(listing.within.references)
    return Parent(
        Statement(values, keyed(context.key(request.key))), context.not_found(request.key)
    )

"""The SQL of a question, as text and without a database: one statement, whatever is embedded."""

from __future__ import annotations

import re
from decimal import Decimal
from urllib.parse import parse_qsl

import pytest

from data_resource_api import compile_data_resource
from data_resource_api.compiler.openapi import Kind
from data_resource_api.rest.pages import Start
from data_resource_api.rest.questions.asking import asked_question
from data_resource_api.rest.questions.sql import Asked, Questions
from tests.service import entry, payload

_PUBLISHER = {"fields": "publisher_id", "reference": {"resource": "publisher", "fields": "id"}}

RESOURCE = compile_data_resource(
    payload(
        entry("publisher", {"name": "name", "type": "string"}),
        entry(
            "book",
            {"name": "title", "type": "string"},
            {"name": "price", "type": "number"},
            {"name": "tags", "type": "array"},
            {"name": "publisher_id", "type": "integer"},
            foreignKeys=[_PUBLISHER],
        ),
        entry("author", {"name": "name", "type": "string"}),
        pairs=[("author", "book")],
    )
)


def asked(path: str) -> Asked:
    name, _, query = path.partition("?")
    table = RESOURCE.tables[name]
    faults: list[str] = []
    known = ("select", "order", "count", "and", "or", "not.and", "not.or")
    question = asked_question(Kind.LIST, table, parse_qsl(query), known, "", faults)
    assert faults == []
    return Questions(table, RESOURCE).ask(question, lambda _: None)


def plain(statement: str) -> str:
    """SQL on one line, without the quotes and the schema that every name has."""
    without = re.sub(r'"([^"]+?)(?://)?"', r"\1", statement).replace("public.", "")
    return " ".join(re.sub(r"%\((\w+)\)s", r":\1", without).split())


#: A construct → a question, its condition or its columns and order, and the values that are bound.
ROWS: dict[str, tuple[str, str, dict[str, object]]] = {
    "a filter": (
        "book?select=title&price=gte.9.90",
        """SELECT book.title AS c0, book.id FROM book WHERE book.price >= CAST(:q1 AS NUMERIC)
        ORDER BY book.id LIMIT :limit OFFSET :offset""",
        {"q1": Decimal("9.90")},
    ),
    "a filter turned round": (
        "book?select=id&price=not.gte.9&title=like.The*",
        """SELECT book.id AS c0, book.id FROM book WHERE NOT (book.price >= CAST(:q1 AS NUMERIC))
        AND (CAST(book.title AS TEXT) LIKE CAST(:q2 AS TEXT))
        ORDER BY book.id LIMIT :limit OFFSET :offset""",
        {"q1": Decimal(9), "q2": "The%"},
    ),
    "or, and a list": (
        "book?select=id&or=(price.is.null,and(price.gt.10,id.in.(1,3)))",
        """SELECT book.id AS c0, book.id FROM book WHERE book.price IS NULL
        OR (book.price > CAST(:q1 AS NUMERIC)) AND book.id = ANY (CAST(:q2 AS INTEGER[]))
        ORDER BY book.id LIMIT :limit OFFSET :offset""",
        {"q1": Decimal(10), "q2": '{"1","3"}'},
    ),
    "a place in JSON": (
        "book?select=id&tags->0->>name=eq.new",
        """SELECT book.id AS c0, book.id FROM book
        WHERE (book.tags #>> CAST(:param_1 AS TEXT[])) = CAST(:q1 AS TEXT)
        ORDER BY book.id LIMIT :limit OFFSET :offset""",
        {"q1": "new", "param_1": '{"0","name"}'},
    ),
    "an order that says where nulls are": (
        "book?select=id&order=price.desc.nullslast,title",
        """SELECT book.id AS c0, book.id FROM book
        ORDER BY book.price DESC NULLS LAST, book.title ASC, book.id LIMIT :limit OFFSET :offset""",
        {},
    ),
    "an order by the row that is referred to": (
        "book?select=id&order=publisher(name)",
        """SELECT book.id AS c0, book.id FROM book ORDER BY
        (SELECT e1.name FROM publisher AS e1 WHERE book.publisher_id = e1.id) ASC, book.id
        LIMIT :limit OFFSET :offset""",
        {},
    ),
    "a row in a row": (
        "book?select=publisher(name)",
        """SELECT (SELECT row_to_json(e2) AS row_to_json_1 FROM
        (SELECT e1.name AS name FROM publisher AS e1 WHERE book.publisher_id = e1.id) AS e2)
        AS c0, book.id FROM book ORDER BY book.id LIMIT :limit OFFSET :offset""",
        {},
    ),
    "rows in a row, ordered and cut": (
        "publisher?select=book(title)&book.order=price&book.limit=3",
        """SELECT (SELECT coalesce(json_agg(row_to_json(e2)), '[]'::json) AS coalesce_1 FROM
        (SELECT e1.title AS title FROM book AS e1 WHERE publisher.id = e1.publisher_id
        ORDER BY e1.price ASC, e1.id LIMIT :q1) AS e2)
        AS c0, publisher.id FROM publisher ORDER BY publisher.id LIMIT :limit OFFSET :offset""",
        {"q1": 3},
    ),
    "many to many": (
        "book?select=author(name)",
        """SELECT (SELECT coalesce(json_agg(row_to_json(e3)), '[]'::json) AS coalesce_1 FROM
        (SELECT e1.name AS name FROM author/book AS e2 JOIN author AS e1 ON e2.author_id = e1.id
        WHERE book.id = e2.book_id ORDER BY e1.id) AS e3)
        AS c0, book.id FROM book ORDER BY book.id LIMIT :limit OFFSET :offset""",
        {},
    ),
    "a filter of what is embedded, which decides": (
        "publisher?select=name,book!inner()&book.price=gt.10",
        """SELECT publisher.name AS c0, publisher.id FROM publisher WHERE EXISTS
        (SELECT 1 FROM book AS e1
        WHERE publisher.id = e1.publisher_id AND (e1.price > CAST(:q1 AS NUMERIC)))
        ORDER BY publisher.id LIMIT :limit OFFSET :offset""",
        {"q1": Decimal(10)},
    ),
    "whether any row is related": (
        "book?select=id,author()&author=is.null",
        """SELECT book.id AS c0, book.id FROM book WHERE NOT (EXISTS
        (SELECT 1 FROM author/book AS e2 JOIN author AS e1 ON e2.author_id = e1.id
        WHERE book.id = e2.book_id)) ORDER BY book.id LIMIT :limit OFFSET :offset""",
        {},
    ),
}


@pytest.mark.parametrize("construct", ROWS)
def test_a_question_is_one_statement_whose_values_are_bound(construct: str) -> None:
    path, written, bound = ROWS[construct]
    page = asked(path).page(21, 40, Start.OFFSET, {})
    assert plain(page.sql) == " ".join(written.split())
    assert page.parameters == {**bound, "limit": 21, "offset": 40}


#: Where a page starts → how its rows are found: by a key, whatever stands before it.
STARTS = {
    Start.AFTER: "AND book.id > :k0 ORDER BY book.id",
    Start.BEFORE: "AND book.id < :k0 ORDER BY book.id DESC",
}


@pytest.mark.parametrize("start", STARTS)
def test_a_page_that_starts_at_a_key_skips_no_rows(start: Start) -> None:
    page = asked("book?select=id&price=gt.10").page(21, 0, start, {"k0": 7})
    assert plain(page.sql) == (
        "SELECT book.id AS c0, book.id FROM book WHERE (book.price > CAST(:q1 AS NUMERIC)) "
        f"{STARTS[start]} LIMIT :limit"
    )


def test_rows_are_counted_and_estimated_without_being_read() -> None:
    question = asked("publisher?name=eq.x&select=*,book(*)")
    condition = "FROM publisher WHERE publisher.name = :q1"
    assert plain(question.count().sql) == f"SELECT count(*) AS count_1 {condition}"
    assert plain(question.estimate().sql) == f"EXPLAIN (FORMAT JSON) SELECT 1 {condition}"

"""Questions over HTTP: the answer, its links, its counts, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.service import Service

#: A query string → the ids of the rows that it finds, in their order.
FOUND: list[tuple[str, list[int]]] = [
    ("age=gte.18", [2, 3, 4]),
    ("age=gte.18&age=lt.40", [2, 3]),
    ("age=not.gte.18", [1]),
    ("age=is.null", [5]),
    ("age=not.is.null", [1, 2, 3, 4]),
    ("name=ilike.*smith*", [1, 4]),
    ("name=like.*smith*", [4]),
    ('name=eq.Cy, "C."', [3]),
    ('name=in.(Bob,"Cy, \\"C.\\"")', [2, 3]),
    ("id=in.()", []),
    ("or=(age.lt.18,name.eq.Bob)", [1, 2]),
    ("and=(limit.eq.3)", [1, 3]),
    ('"limit"=eq.3', [1, 3]),
    ('"a.b"=eq.x', [1, 4]),
    ("not.or=(age.lt.18,age.is.null)&order=age.desc", [4, 3, 2]),
    ("order=height.desc.nullslast,id", [5, 2, 1, 3, 4]),
    ("order=active,id.desc&limit=3", [2, 5, 3]),
    ("order=id.desc&offset=1&limit=2", [4, 3]),
    ("height=eq.1.8", [2]),
    ("born=lt.2000-01-01", [4, 5]),
    ("active=is.true", [1, 3, 5]),
    ("address->>city=eq.Oslo", [1]),
    ("address->geo->>lat=eq.59", [1]),
    ("tags->>0=eq.a", [1, 5]),
    ('tags=cs.["a"]', [1, 5]),
]


def ask(service: Service, query: str, **headers: str) -> requests.Response:
    return requests.get(f"{service.url}/people", query, headers=headers, timeout=60)


def ids(rows: Any) -> list[int]:
    return [row["id"] for row in rows]


@pytest.mark.parametrize(("query", "expected"), FOUND, ids=[query for query, _ in FOUND])
def test_a_question_finds_its_rows(service: Service, query: str, expected: list[int]) -> None:
    """In the list's own envelope."""
    response = ask(service, query)
    assert response.status_code == 200, response.text
    assert list(response.json()) == ["people", "links"]
    assert ids(response.json()["people"]) == expected


def test_a_question_that_is_asked_often_is_answered_the_same(service: Service) -> None:
    """Also once a connection has prepared it."""
    with requests.Session() as session:
        for query, expected in FOUND:
            for _ in range(8):
                found = session.get(f"{service.url}/people?{query}", timeout=60).json()["people"]
                assert ids(found) == expected, query


@pytest.mark.parametrize(("query", "expected"), FOUND, ids=[query for query, _ in FOUND])
def test_a_question_can_stand_in_the_body_of_a_query(
    service: Service, query: str, expected: list[int]
) -> None:
    """As a form that holds what the URL would; nothing found is the query's own 404."""
    url = f"{service.url}/people/query"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    response = requests.post(url, query.encode(), headers=form, timeout=60)
    if expected:
        assert response.status_code == 200, response.text
        assert ids(response.json()["results"]) == expected
    else:
        assert response.status_code == 404
        assert response.json() == {"message": "No matches found"}


#: A JSON body of a query, and the rows that it finds.
BODIES: list[tuple[str, dict[str, Any], list[int]]] = [
    ("", {"and": "(age.gte.18)", "order": "age.desc"}, [4, 3, 2]),
    ("", {"limit": 3}, [1, 3]),
    ("", {"limit": 3, "order": "id.desc"}, [3, 1]),
    ("", {"limit": None, "order": "id.desc"}, [5, 4]),
    ("", {"a.b": "x", "order": "id.desc"}, [4, 1]),
    ("", {"active": True, "not.or": "(age.is.null)"}, [1, 3]),
    ("", {"height": 1.8, "select": "id"}, [2]),
    ("", {"name": 'Cy, "C."', "count": "exact"}, [3]),
    ("", {"tags": ["b"], "select": "id"}, [2]),
    ("", {"address": {"city": "Rome"}, "select": "id"}, [2]),
    ("", {"address->>city": "eq.Oslo"}, [1]),
    ("order=id.desc", {"limit": 3}, [3, 1]),
    ("age=gte.18", {}, [2, 3, 4]),
    ("limit=1", {"order": "id.desc", "offset": 1}, [4]),
]


@pytest.mark.parametrize(("url", "body", "expected"), BODIES)
def test_a_json_body_says_equality_and_the_grammar(
    service: Service, url: str, body: dict[str, Any], expected: list[int]
) -> None:
    """A key that is a field's name is compared for equality, whatever it is called."""
    response = service.post(f"/people/query?{url}", body)
    assert response.status_code == 200, response.text
    assert ids(response.json()["results"]) == expected


#: (query string, what is told of it)
REFUSED: list[tuple[str, str]] = [
    ("agee=gte.18", 'agee: is not a parameter here; did you mean "age"?'),
    ("lmit=3", 'lmit: is not a parameter here; did you mean "limit"?'),
    ("age=gtr.18", 'age: "gtr" is not an operator; did you mean "gt"?'),
    ("limit=eq.3", ("limit: must be a whole number from 1 on, not \"eq.3\" (a field of this name is "
     "compared by and=(limit.eq.3)).")),
    ("order=nam", 'did you mean "name"?'),
    ("or=(age.gte.1,nam.eq.x)", 'did you mean "name"?'),
    ("select=id,nam", 'did you mean "name"?'),
    ("age=gte.x", "age"),
    ("age=gte.99999999999999999999", "age"),
    ("born=eq.yesterday", "born"),
    ("name=match.(", ""),
    ("name=fts(nolanguage).cat", ""),
    ("name=fts.a b", ""),
    ("age=eq.1&after=1&order=age", "after: rows in this order are paged by offset alone."),
    ("from=end&order=age", "from: rows in this order are paged by offset alone."),
    ("count=all", 'count: must be exact, estimated or none, not "all".'),
    ("name=eq.%00", "name: holds the character U+0000."),
]  # fmt: skip


@pytest.mark.parametrize(("query", "told"), REFUSED, ids=[query for query, _ in REFUSED])
def test_a_question_that_cannot_be_asked_is_refused(
    service: Service, query: str, told: str
) -> None:
    response = ask(service, query)
    assert response.status_code == 400, response.text
    assert any(told in fault for fault in response.json()["errors"]), response.text


def test_every_fault_is_told_at_once(service: Service) -> None:
    response = ask(service, "agee=gte.18&limit=x&order=age.dsc")
    assert [fault.partition(":")[0] for fault in response.json()["errors"]] == [
        "limit", "agee", "order",
    ]  # fmt: skip


def test_links_carry_the_question(service: Service) -> None:
    """A page in key order is followed by cursors, another by offsets; both lead to every row once."""
    for query in ("age=not.is.null&select=id,name", "order=name.desc&age=not.is.null", "age=gte.1"):
        page = ask(service, f"{query}&limit=1").json()
        assert page["links"][0]["rel"] == "self"
        seen = ids(page["people"]) if "select" not in query else [page["people"][0]["id"]]
        while following := {link["rel"]: link["href"] for link in page["links"]}.get("next"):
            assert ("after=" in following) is ("order" not in query)
            page = service.get(following).json()
            seen += ids(page["people"])
        assert sorted(seen) == [1, 2, 3, 4]
        assert len(seen) == 4
        while before := {link["rel"]: link["href"] for link in page["links"]}.get("prev"):
            page = service.get(before).json()
            seen += ids(page["people"])
        assert seen[4:] == seen[:3][::-1]


def test_a_link_says_what_was_asked(service: Service) -> None:
    response = ask(service, "or=(name.eq.Bob,name.eq.%C3%88ve)&order=name&limit=1")
    assert response.json()["links"] == [
        {"rel": rel, "href": f"/people?offset={offset}&limit=1&{asked}"}
        for asked in ["or=(name.eq.Bob,name.eq.%C3%88ve)&order=name"]
        for rel, offset in (("self", 0), ("first", 0), ("next", 1))
    ]


#: (query string, the answer's Content-Range, and whether there is a link to the last page)
COUNTED: list[tuple[str, str, bool]] = [
    ("age=gte.18", "0-2/3", True),
    ("age=gte.18&limit=2", "0-1/*", False),
    ("age=gte.18&limit=2&count=none", "0-1/*", False),
    ("age=gte.18&limit=2&count=exact", "0-1/3", True),
    ("age=gte.18&limit=1&offset=1&count=exact", "1-1/3", True),
    ("age=gte.99&count=exact", "*/0", False),
    ("age=gte.18&offset=7", "*/*", False),
    ("age=gte.18&offset=7&count=exact", "*/3", True),
    ("count=exact&limit=2", "0-1/5", True),
    ("count=exact&limit=2&order=name", "0-1/5", True),
]


@pytest.mark.parametrize(("query", "expected", "has_last"), COUNTED)
def test_rows_are_counted_where_that_is_asked_for(
    service: Service, query: str, expected: str, has_last: bool
) -> None:
    response = ask(service, query)
    assert response.headers["Content-Range"] == expected
    assert ("last" in [link["rel"] for link in response.json()["links"]]) is has_last


def test_an_estimate_is_the_planners(service: Service) -> None:
    response = ask(service, "age=gte.1&limit=1&count=estimated")
    rows, _, count = response.headers["Content-Range"].partition("/")
    assert rows == "0-0"
    assert count.isdecimal()


def test_a_preference_counts_too(service: Service) -> None:
    """As PostgREST's clients ask for it; what the URL says wins."""
    response = ask(service, "age=gte.18&limit=1", Prefer="return=minimal, count=exact")
    assert response.headers["Content-Range"] == "0-0/3"
    response = ask(service, "age=gte.18&limit=1&count=none", Prefer="count=exact")
    assert response.headers["Content-Range"] == "0-0/*"
    assert ask(service, "limit=1", Prefer="count=exact").headers["Content-Range"] == "0-0/5"


def test_a_plain_list_is_as_it_was(service: Service) -> None:
    response = ask(service, "limit=1")
    assert "Content-Range" not in response.headers
    assert [link["rel"] for link in response.json()["links"]] == ["self", "first", "next", "last"]


def test_the_bare_list_is_answered_to_who_asks_for_it(service: Service) -> None:
    """``Accept: application/vnd.pgrst.array+json``, with and without a question."""
    for query in ("age=lt.18", "limit=1"):
        response = ask(service, query, Accept="application/vnd.pgrst.array+json")
        assert response.headers["Content-Type"] == "application/vnd.pgrst.array+json"
        assert ids(response.json()) == [1]


def test_a_row_is_selected_from(service: Service) -> None:
    assert service.get("/people/2?select=name,years:age").json() == {"name": "Bob", "years": 18}
    assert service.get("/people/99?select=name").status_code == 404
    assert service.get("/people/x?select=name").status_code == 404
    for query, told in (
        (
            "age=gte.1",
            "age: the row is found by its key; fields are compared where rows are listed.",
        ),
        ("order=age", "order: is not a parameter here"),
        ("slect=age", 'slect: is not a parameter here; did you mean "select"?'),
    ):
        response = service.get(f"/people/2?{query}")
        assert response.status_code == 400
        assert response.json()["errors"][0].startswith(told)


def test_a_query_that_asks_nothing_is_refused(service: Service) -> None:
    """As ever; and a form that cannot be read."""
    assert service.post("/people/query", {}).status_code == 400
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for body, status in ((b"", 400), (b"name=eq.%ff", 400), (b"\xff", 400), (b"x=1&" * 400, 400)):
        response = requests.post(f"{service.url}/people/query", body, headers=form, timeout=60)
        assert response.status_code == status, response.text
    response = requests.post(f"{service.url}/people", b"name=x", headers=form, timeout=60)
    assert response.status_code == 415


def test_a_body_that_is_no_text_of_the_grammar_is_refused(service: Service) -> None:
    response = service.post("/people/query", {"order": ["age"], "slect": "x", "and": "(nam.eq.1"})
    assert response.status_code == 400
    assert response.json()["errors"][0] == "order: must be a text, as in a URL, not a list."


def test_a_question_is_answered_in_every_form(service: Service) -> None:
    """CSV and lines of JSON have the question's fields, all rows, and the embedded ones as JSON."""
    query = "select=name,school(city)&age=gte.18&order=age.desc"
    answer = ask(service, query, Accept="text/csv")
    assert answer.text.splitlines() == [
        "name,school",
        '"smithers","{""city"":""Rome""}"',
        '"Cy, ""C.""","{""city"":""Rome""}"',
        '"Bob","{""city"":""Oslo""}"',
    ]
    answer = ask(service, query, Accept="application/x-ndjson")
    assert answer.text.splitlines()[0] == '{"name":"smithers","school":{"city":"Rome"}}'
    answer = service.get("/people/2?select=name", headers={"Accept": "text/csv"})
    assert answer.text.splitlines() == ["name", '"Bob"']

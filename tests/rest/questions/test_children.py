"""The rows that refer to a row are asked as the table's own list is, and are never another row's."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.provider import Provider
from tests.service import Service, entry, payload, running

_DONE = {"responses": {"200": {"description": "Done."}}}
_TEXT = {"name": "name", "type": "string"}

_ROWS = """
INSERT INTO shelf VALUES (1, 'A', 'north'), (2, NULL, 'south');
INSERT INTO rate VALUES (1, 'low'), (1.5, 'odd');
INSERT INTO copy VALUES ('91-0', 1, 'A'), ('91-0', 2, NULL), ('92,0', 1, 'A');
INSERT INTO member VALUES (1, 'Ann'), (2, 'Bob'), (3, 'Cy');
INSERT INTO loan (id, isbn, number, borrower_id, clerk_id, rate_id, note, via)
  SELECT n, '91-0', 1 + n % 2, 1 + n % 2, 1, 1, 'n' || n % 5, 'v' || n % 2 FROM generate_series(1, 40) n;
INSERT INTO loan (id, isbn, number, borrower_id, note) VALUES (41, '92,0', 1, 2, NULL);
INSERT INTO fine VALUES (1, 'late', 1);
"""


def _whole(name: str) -> dict[str, Any]:
    return {"name": name, "type": "integer"}


def _to(table: str, fields: Any, targets: Any = "id") -> dict[str, Any]:
    return {"fields": fields, "reference": {"resource": table, "fields": targets}}


def document() -> dict[str, Any]:
    """Loans of copies to members; members are listed with "members", fines by nobody."""
    entries = [
        entry("shelf", {"name": "code", "type": "string", "constraints": {"unique": True}}, _TEXT),
        entry("rate", {"name": "id", "type": "number"}, _TEXT, key=["id"]),
        entry(
            "copy",
            {"name": "isbn", "type": "string"},
            _whole("number"),
            {"name": "shelf", "type": "string"},
            key=["isbn", "number"],
            foreignKeys=[_to("shelf", "shelf", "code")],
        ),
        entry("member", _TEXT),
        entry(
            "loan",
            {"name": "isbn", "type": "string"},
            *map(_whole, ("number", "borrower_id", "clerk_id", "rate_id")),
            {"name": "note", "type": "string"},
            {"name": "via", "type": "string"},
            {"name": "secret", "type": "string", "protected": True},
            foreignKeys=[
                _to("copy", ["isbn", "number"], ["isbn", "number"]),
                _to("member", "borrower_id"),
                _to("member", "clerk_id"),
                _to("rate", "rate_id"),
            ],
        ),
        entry("fine", _TEXT, _whole("loan_id"), foreignKeys=[_to("loan", "loan_id")]),
    ]
    made = payload(*entries)
    schema = made["data_resource_schema"]
    schema["data"]["encryptionSchema"] = {"*": {"type": "AES_256_GCM", "key": "LOANS_KEY"}}
    api = schema["api"]["apiSpec"]
    api["components"] = {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}}
    api["security"] = [{"bearer": ["read"]}]
    paths = api["paths"]
    paths["/member"]["get"] = _DONE | {"security": [{"bearer": ["members"]}]}
    del paths["/fine"]["get"]
    for parent, child in (
        ("shelf", "copy"),
        ("copy", "loan"),
        ("member", "loan"),
        ("rate", "loan"),
    ):
        key = paths[f"/{parent}/{{id}}"]["parameters"]
        paths[f"/{parent}/{{id}}/{child}"] = {"parameters": key, "get": _DONE}
    return made


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, server_url: str, provider: Provider
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("children")
    with running(folder, server_url, LOANS_KEY="k" * 40, **provider.settings()) as made:
        admin = {**provider.bearer("drg:admin")}
        assert made.post("/generator", document(), headers=admin).status_code == 204
        assert made.database is not None
        made.database.execute(_ROWS)
        yield made


@pytest.fixture(scope="module")
def ask(service: Service, provider: Provider) -> Any:
    def get(path: str, scopes: str = "read", **headers: str) -> requests.Response:
        return service.get(path, headers={**provider.bearer(scopes), **headers})

    return get


def ids(response: requests.Response) -> list[int]:
    assert response.status_code == 200, response.text
    return [row["id"] for row in response.json()["loan"]]


BORROWED = "/member/2/loan?via=borrower_id"


@pytest.mark.parametrize(
    "question",
    [
        "or=(id.gt.0,id.lt.0)",
        "or=(borrower_id.eq.1,id.eq.2)",
        "not.and=(id.lt.0)",
        "not.or=(borrower_id.eq.2)",
        "borrower_id=eq.1",
        "borrower_id=is.null",
        "select=id,borrower_id,rate!inner(*)&or=(id.gt.0,id.lt.0)",
        "order=id.desc&or=(id.gt.0,id.lt.0)",
        "after=0",
        "before=99",
        "from=end",
        "or=(id.gt.0,id.lt.0)&after=0",
    ],
)
def test_no_question_finds_the_rows_of_another_row(ask: Any, question: str) -> None:
    """Fails where a row's own condition does not stand beside all that is asked."""
    for form, read in (
        ("application/json", lambda answer: answer.json()["loan"]),
        ("text/csv", lambda answer: list(csv.DictReader(io.StringIO(answer.text)))),
    ):
        if form == "text/csv" and ("before" in question or "from" in question):
            continue  # a question in this form starts after a key, and nowhere else
        answer = ask(f"{BORROWED}&limit=100&{question}", Accept=form)
        assert answer.status_code == 200, answer.text
        assert {str(row["borrower_id"]) for row in read(answer)} <= {"2"}
    counted = ask(f"{BORROWED}&limit=1&count=exact&{question}")
    assert int(counted.headers["Content-Range"].partition("/")[2]) <= 21


def test_rows_are_filtered_ordered_and_selected(ask: Any) -> None:
    assert ids(ask(f"{BORROWED}&note=eq.n1&order=id.desc")) == [31, 21, 11, 1]
    assert ids(ask(f"{BORROWED}&or=(id.eq.1,id.eq.2,id.eq.3)")) == [1, 3]
    assert ask(f"{BORROWED}&id=lt.4&select=number:id").json()["loan"] == [
        {"number": 1},
        {"number": 3},
    ]
    assert ids(ask("/member/3/loan?via=clerk_id&note=eq.n1")) == []


def test_related_rows_are_embedded(ask: Any) -> None:
    answer = ask(f"{BORROWED}&id=lt.4&select=id,copy(number),member!clerk_id(name)", "read members")
    assert answer.json()["loan"] == [
        {"id": 1, "copy": {"number": 2}, "member": {"name": "Ann"}},
        {"id": 3, "copy": {"number": 2}, "member": {"name": "Ann"}},
    ]


def test_rows_are_counted_where_that_is_asked(ask: Any) -> None:
    assert ask(f"{BORROWED}&limit=2&count=exact").headers["Content-Range"] == "0-1/21"
    preferred = ask(f"{BORROWED}&limit=2&note=eq.n1", Prefer="count=exact")
    assert preferred.headers["Content-Range"] == "0-1/4"
    assert ask(f"{BORROWED}&limit=2&count=none").headers["Content-Range"] == "0-1/*"


@pytest.mark.parametrize(
    "path",
    [
        "/copy/91-0,2/loan?limit=3",
        "/copy/91-0,2/loan?limit=3&order=note.desc.nullslast",
        "/copy/91-0,2/loan?limit=3&or=(borrower_id.eq.2,note.eq.n1)&count=exact",
        "/copy/91-0,2/loan?limit=3&select=id,note",
        f"{BORROWED}&limit=4",
        f"{BORROWED}&limit=4&note=neq.n1",
    ],
)
def test_the_links_lead_through_all_rows_once(ask: Any, path: str) -> None:
    whole = ids(ask(path.replace("limit=3", "limit=99").replace("limit=4", "limit=99")))
    assert len(whole) > 8
    pages: list[list[int]] = []
    links = {"next": path}
    while "next" in links:
        answer = ask(links["next"])
        links = {link["rel"]: link["href"] for link in answer.json()["links"]}
        assert ("prev" in links) is bool(pages)
        pages.append(ids(answer))
    assert [one for page in pages for one in page] == whole
    assert ids(ask(links["prev"])) == pages[-2]


def test_links_carry_the_question_and_the_foreign_key(ask: Any) -> None:
    links = ask(f"{BORROWED}&limit=5&note=neq.n1&select=id").json()["links"]
    assert links[0]["href"] == (
        "/member/2/loan?offset=0&limit=5&via=borrower_id&note=neq.n1&select=id"
    )
    assert {link["rel"]: link["href"] for link in links}["next"].startswith(
        "/member/2/loan?offset=5&limit=5&after="
    )


def test_a_page_that_nothing_is_asked_of_knows_the_last(ask: Any) -> None:
    answer = ask(f"{BORROWED}&limit=5")
    links = {link["rel"]: link["href"] for link in answer.json()["links"]}
    assert links["last"] == "/member/2/loan?offset=20&limit=5&via=borrower_id"
    assert ids(ask(links["last"])) == [41]
    assert "Content-Range" not in answer.headers


def test_the_rows_come_in_every_form(ask: Any) -> None:
    answer = ask(f"{BORROWED}&note=eq.n1&select=id,note", Accept="text/csv")
    assert answer.text == 'id,note\r\n1,"n1"\r\n11,"n1"\r\n21,"n1"\r\n31,"n1"\r\n'
    assert 'filename="loan.csv"' in answer.headers["Content-Disposition"]
    lines = ask(BORROWED, Accept="application/x-ndjson").text.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [*range(1, 40, 2), 41]
    bare = ask(f"{BORROWED}&limit=1&select=id", Accept="application/vnd.pgrst.array+json")
    assert bare.json() == [{"id": 1}]


@pytest.mark.parametrize(
    "accept", ["application/json", "text/csv", "application/x-ndjson"], ids=["json", "csv", "lines"]
)
@pytest.mark.parametrize("question", ["", "&note=eq.n1"], ids=["plain", "asked"])
def test_a_row_that_is_not_there_has_none(
    ask: Any, service: Service, accept: str, question: str
) -> None:
    """404; one that has no children answers none of them."""
    for path in ("/member/9/loan?via=clerk_id", "/member/x/loan?via=clerk_id", "/copy/91-0/loan?"):
        answer = ask(f"{path}{question}".replace("?&", "?"), Accept=accept)
        assert answer.status_code == 404, answer.text
        assert answer.json()["error"].startswith("There is no ")
    assert ask(f"/member/3/loan?via=clerk_id{question}", Accept=accept).status_code == 200
    # Whoever is refused has left nothing behind on its connection.
    for _ in range(10):
        assert ask("/member/9/loan?via=clerk_id", Accept=accept).status_code == 404
        assert len(ids(ask(BORROWED))) == 20


def test_foreign_keys_of_several_fields_and_to_other_fields_than_the_key(ask: Any) -> None:
    assert len(ids(ask("/copy/91-0,1/loan?limit=99&note=not.is.null"))) == 20
    assert ids(ask("/copy/92~2C0,1/loan?id=gt.0&order=id")) == [41]
    copies = ask("/shelf/1/copy?order=isbn.desc&select=isbn").json()
    assert copies["copy"] == [{"isbn": "92,0"}, {"isbn": "91-0"}]
    assert copies["links"][0]["href"].startswith("/shelf/1/copy?offset=0")
    # A row that has no value there is referred to by none, whatever else is null.
    assert ask("/shelf/2/copy").json() == {"copy": [], "links": []}
    assert ask("/shelf/2/copy?or=(shelf.is.null,number.gt.0)").json()["copy"] == []


def test_whole_numbers_may_refer_to_numbers_with_digits(ask: Any) -> None:
    assert len(ids(ask("/rate/1/loan?limit=99"))) == 40
    assert ids(ask("/rate/1.5/loan")) == []
    assert ids(ask("/rate/1.5/loan?note=eq.n1")) == []


def test_a_field_that_is_called_like_the_parameter_is_compared_in_and(ask: Any) -> None:
    assert ids(ask(f"{BORROWED}&and=(via.eq.v1)&id=lt.4&select=id,via")) == [1, 3]
    assert ids(ask(f'{BORROWED}&"via"=eq.v0')) == []
    refused = ask("/member/2/loan?via=eq.v1")
    assert refused.json()["errors"] == [
        (
            'via: "eq.v1" is no foreign key to member; it can be borrower_id, clerk_id '
            "(a field of this name is compared by and=(via.eq.v1))."
        )
    ]


def test_all_that_is_wrong_is_told(ask: Any) -> None:
    answer = ask(f"{BORROWED}&nope=eq.1&order=note.dsc&limit=0")
    assert answer.status_code == 400
    assert [fault.partition(":")[0] for fault in answer.json()["errors"]] == [
        "limit",
        "nope",
        "order",
    ]
    assert ask(f"{BORROWED}&id=eq.x").status_code == 400
    assert ask(f"{BORROWED}&order=note&after=3").status_code == 400
    assert ask("/member/2/loan?note=eq.n1").status_code == 400


@pytest.mark.parametrize(
    "question",
    [
        "select=id,member!clerk_id(name)",
        "select=id,member!clerk_id!inner()",
        "order=clerk_id(name)",
    ],
)
def test_a_table_whose_scope_is_missing_is_not_read_through_the_list(
    ask: Any, question: str
) -> None:
    """403 as the table's own GET; with the scope it is."""
    own, answer = ask("/member", "read"), ask(f"{BORROWED}&{question}", "read")
    assert (answer.status_code, answer.json()) == (403, own.json())
    assert ask(f"{BORROWED}&{question}", "read members").status_code == 200
    assert ask(f"{BORROWED}&select=id", "members").status_code == 403


@pytest.mark.parametrize("accept", ["application/json", "text/csv"], ids=["json", "csv"])
@pytest.mark.parametrize("path", [f"{BORROWED}&", "/loan?"], ids=["children", "all"])
def test_a_fault_that_only_the_database_finds_is_a_refusal(
    ask: Any, path: str, accept: str
) -> None:
    answer = ask(f"{path}note=fts(klingon).a", Accept=accept)
    assert (answer.status_code, "klingon" in answer.text) == (400, True)


def test_such_a_fault_in_a_batch_names_its_operation(service: Service, provider: Provider) -> None:
    paths = ("/loan?note=eq.a", "/loan?note=fts(klingon).a")
    steps = [{"method": "GET", "path": path} for path in paths]
    answer = service.post("/-/batch", {"operations": steps}, headers={**provider.bearer("read")})
    assert (answer.status_code, answer.json()["error"].partition(":")[0]) == (400, "operations[1]")


def test_a_table_that_nobody_can_list_is_as_if_it_were_not_there(ask: Any) -> None:
    hidden = ask(f"{BORROWED}&select=*,fine(name)")
    absent = ask(f"{BORROWED}&select=*,zzzz(name)")
    assert hidden.status_code == absent.status_code == 400
    assert hidden.text.replace("fine", "zzzz") == absent.text


def test_a_protected_field_is_not_compared(ask: Any) -> None:
    for question in ("secret=eq.x", "order=secret", "or=(secret.gt.a)"):
        answer = ask(f"{BORROWED}&{question}")
        assert (answer.status_code, "is protected" in answer.text) == (400, True)


def test_a_list_that_the_client_has_is_not_sent_again(ask: Any) -> None:
    first = ask(f"{BORROWED}&note=eq.n1")
    again = ask(f"{BORROWED}&note=eq.n1", **{"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304

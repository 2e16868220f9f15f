"""Following links: every row once, in order, whatever the key, at a cost that does not grow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from data_resource_api.compiler.data_resource import compile_data_resource
from data_resource_api.rest.pages import Start
from data_resource_api.rest.statements import TableStatements
from tests.service import Service, entry, payload, running

TEXTS = ["", " ", "%2F", "&after=1", "a,b", "a/b", "a~2Cb", "a~b", "é", "ß", "日本", "~", "'; --"]
KEYS: dict[str, tuple[list[str], list[list[Any]]]] = {
    "integer": (["integer"], [[number] for number in (-5, 0, 3, 7, 2**31 - 1)]),
    "string": (["string"], [[text] for text in TEXTS]),
    "number": (["number"], [[text] for text in (-1.5, 0, 0.1, 12345678901234, 1e-7)]),
    "date": (["date"], [["0001-01-01"], ["2012-04-23"], ["9999-12-31"]]),
    "datetime": (["datetime"], [["2012-04-23T18:25:43.511Z"], ["2012-04-23T18:25:43Z"]]),
    "time": (["time"], [["00:00:00Z"], ["18:25:43.5Z"]]),
    "boolean": (["boolean"], [[False], [True]]),
    "year": (["year"], [[1999], [2012]]),
    "composite": (
        ["string", "integer"],
        [[text, number] for text in ("a,b", "a", "~", "") for number in (2, 1)],
    ),
}
BIG = 3_000


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    entries = [_entry(name, types) for name, (types, _) in KEYS.items()]
    entries += [entry("big"), entry("keyless", {"name": "a", "type": "integer"}, key=None)]
    folder = tmp_path_factory.mktemp("pages")
    with running(folder, server_url, workers=1) as service:
        service.generate(payload(*entries))
        service.execute(f"INSERT INTO big SELECT n FROM generate_series(1, {BIG}) n")
        service.execute("ANALYZE big")
        yield service


def _entry(name: str, types: list[str]) -> dict[str, Any]:
    fields = [{"name": f"k{index}", "type": type_} for index, type_ in enumerate(types)]
    key = [field["name"] for field in fields]
    if types == ["integer"]:
        fields[0]["constraints"] = {"minimum": -10}  # type: ignore[assignment]
    return entry(name, *fields, key=key)


def links(body: dict[str, Any]) -> dict[str, str]:
    return {link["rel"]: link["href"] for link in body["links"]}


def follow(service: Service, path: str, rel: str, name: str) -> list[list[Any]]:
    """The pages from ``path`` on, each a list of its rows."""
    pages = []
    while path:
        response = service.get(path)
        assert response.status_code == 200, response.text
        pages.append(response.json()[name])
        path = links(response.json()).get(rel, "")
        assert len(pages) < 500
    return pages


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_following_links_shows_every_row_once_in_order(
    service: Service, name: str, limit: int
) -> None:
    _, rows = KEYS[name]
    for row in rows:
        body = {f"k{index}": value for index, value in enumerate(row)}
        assert service.post(f"/{name}", body).status_code in (201, 409)
    everything = service.get(f"/{name}?limit=1000").json()[name]
    assert len(everything) == len(rows)
    forward = follow(service, f"/{name}?limit={limit}", "next", name)
    assert [row for page in forward for row in page] == everything
    last = service.get(f"/{name}?limit={limit}&from=end").json()[name]
    assert last == everything[-limit:]
    offset = (len(rows) - 1) // limit * limit
    backward = follow(service, f"/{name}?limit={limit}&offset={offset}", "prev", name)
    assert [row for page in reversed(backward) for row in page] == everything


def test_a_row_added_on_a_page_before_moves_no_row_of_the_next_one(service: Service) -> None:
    second = links(service.get("/big?limit=3").json())["next"]
    assert [row["id"] for row in service.get(second).json()["big"]] == [4, 5, 6]
    service.execute("INSERT INTO big VALUES (0)")
    try:
        assert [row["id"] for row in service.get(second).json()["big"]] == [4, 5, 6]
    finally:
        service.execute("DELETE FROM big WHERE id = 0")


def test_beyond_the_exact_count_the_last_link_shows_the_last_row(service: Service) -> None:
    found = links(service.get("/big?limit=7").json())
    assert found["last"].endswith("&limit=7&from=end")
    offset = int(found["last"].split("offset=")[1].split("&")[0])
    assert 0 <= offset % 7 == 0
    assert offset > BIG / 2
    last = service.get(found["last"]).json()
    assert [row["id"] for row in last["big"]] == list(range(BIG - 6, BIG + 1))
    assert "next" not in links(last)
    before = service.get(links(last)["prev"]).json()
    assert [row["id"] for row in before["big"]] == list(range(BIG - 13, BIG - 6))
    again = service.get(links(before)["next"]).json()
    assert again["big"] == last["big"]


def test_a_page_that_shows_the_end_counts_exactly(service: Service) -> None:
    """The estimate of a table is not needed where the page itself tells."""
    found = links(service.get(f"/big?offset={BIG - 5}&limit=20").json())
    assert "next" not in found
    assert found["last"] == f"/big?offset={(BIG - 1) // 20 * 20}&limit=20"


def test_a_table_that_was_emptied_a_moment_ago_has_no_links(
    tmp_path_factory: pytest.TempPathFactory, server_url: str
) -> None:
    with running(tmp_path_factory.mktemp("emptied"), server_url, workers=1) as service:
        service.generate(payload(entry("big")))
        service.execute("INSERT INTO big SELECT n FROM generate_series(1, 2000) n")
        assert "from=end" in service.get("/big").text
        service.execute("TRUNCATE big")
        assert service.get("/big").json() == {"big": [], "links": []}


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/integer?after=x", 'after: must be a whole number, not "x".'),
        ("/integer?before=%00", "before: holds the character U+0000."),
        ("/integer?after=99999999999", "after: must be between -2147483648 and 2147483647."),
        ("/date?after=yesterday", 'after: must be a date like 2012-04-23, not "yesterday".'),
        ("/composite?after=a", "after: must have 2 values, joined by commas."),
        ("/integer?from=start", 'from: must be "end", not "start".'),
        ("/integer?after=1&before=2", "only one of them can say where the page is."),
        ("/integer?after=1&after=2", "after: is given twice."),
        ("/keyless?after=1", "after: keyless has no primary key, so its rows have no order."),
        ("/keyless?from=end", "from: keyless has no primary key, so its rows have no order."),
    ],
)
def test_a_cursor_that_cannot_be_is_refused(service: Service, path: str, fault: str) -> None:
    response = service.get(path)
    assert response.status_code == 400
    assert any(fault in line for line in response.json()["errors"]), response.json()


def test_the_rows_of_a_table_without_a_key_are_linked_by_offset(service: Service) -> None:
    for number in range(3):
        assert service.post("/keyless", {"a": number}).status_code == 201
    assert links(service.get("/keyless?limit=2").json()) == {
        "self": "/keyless?offset=0&limit=2",
        "first": "/keyless?offset=0&limit=2",
        "next": "/keyless?offset=2&limit=2",
        "last": "/keyless?offset=2&limit=2",
    }


def test_a_page_found_by_a_key_reads_no_more_rows_than_it_shows(service: Service) -> None:
    """PostgreSQL's plan is an index scan with the cursor in its condition: nothing is skipped."""
    statements = TableStatements(compile_data_resource(payload(entry("big"))).tables["big"])
    parameters = {"k0": BIG // 2, "limit": 21}
    for start in (Start.AFTER, Start.BEFORE, Start.END):
        sql = f"EXPLAIN (ANALYZE, FORMAT JSON) {statements.page_sql(start)}"
        ((plan,),) = service.execute(sql, parameters)
        text = json.dumps(plan)
        assert "Index" in plan[0]["Plan"]["Plans"][0]["Node Type"], text
        assert plan[0]["Plan"]["Plans"][0]["Actual Rows"] == 21, text
        assert "Seq Scan" not in text
        assert "Sort" not in text

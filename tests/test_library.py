"""``examples/library``: a table for every shape of key and of relationship, until after a restart."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.service import ROOT, Service, running

LIBRARY = ROOT / "examples" / "library"


def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((LIBRARY / "payload.json").read_text())
    return document


def _run(script: str, service: Service) -> str:
    done = subprocess.run(
        [LIBRARY / script, service.url], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("library"), server_url) as service:
        service.generate(_document())
        _run("load.sh", service)
        yield service


def test_what_the_readme_shows_is_what_happens(service: Service) -> None:
    readme = (LIBRARY / "README.md").read_text()
    shown = re.findall(r"^\$ curl '(?:http://127.0.0.1:8081)(\S+)'\n(.+)$", readme, re.MULTILINE)
    assert len(shown) >= 5
    for path, answer in shown:
        found = service.get(path)
        assert (path, found.status_code, found.json()) == (path, 200, json.loads(answer))


def test_every_path_of_the_document_is_served(service: Service) -> None:
    described = service.get("/generator").json()
    assert described["unmatched"] == []


def test_loading_again_changes_nothing(service: Service) -> None:
    before = {name: service.get(f"/{name}").json() for name in ("copy", "loan", "book", "member")}
    _run("load.sh", service)
    assert {name: service.get(f"/{name}").json() for name in before} == before


def test_rows_are_read_by_keys_of_every_shape(service: Service) -> None:
    assert service.get("/book/9780000000017").json()["title"] == "The Moor at Night"
    assert service.get("/copy/9780000000017,2").json()["branch_id"] == 2
    assert service.get("/loan/9780000000017,1,2026-04-01").json()["borrower_id"] == 3
    assert service.get("/holiday/2026-05-01").json()["reason"] == "Labour Day"
    assert service.get("/terminal/0f8fad5b-d9cb-469f-a165-70867728950e").status_code == 200
    assert service.get("/visit/1").status_code == 404


def test_rows_are_changed_by_keys_of_every_shape(service: Service) -> None:
    changed = service.patch("/loan/9780000000024,1,2026-04-03", {"until": "2026-05-01"})
    assert changed.json()["id"] == ["9780000000024", 1, "2026-04-03"]
    created = service.put("/copy/9780000000031,7", {"branch_id": 1})
    assert (created.status_code, created.json()["id"]) == (201, ["9780000000031", 7])
    assert service.put("/holiday/2026-12-25", {"reason": "Christmas"}).status_code == 201


def test_relationships_hold_in_the_database(service: Service) -> None:
    dangling = service.post(
        "/loan", {"isbn": "9780000000017", "number": 9, "since": "2026-01-01", "borrower_id": 1}
    )
    assert dangling.status_code == 409
    assert service.put("/member/2", {"mentor_id": 99}).status_code == 409
    assert service.get("/branch/2").json()["head_id"] == 2
    assert (
        service.post(
            "/visit", {"branch_id": 9, "hour": "2026-04-01T10:00:00Z", "people": 1}
        ).status_code
        == 409
    )


def test_related_rows_are_found_from_both_sides(service: Service) -> None:
    assert service.get("/book/9780000000024/author").json() == [2, 3]
    assert service.get("/author/3/book").json() == ["9780000000024", "9780000000031"]
    assert service.get("/subject/500/subject").json() == ["551"]
    assert service.get("/copy/9780000000024,1/member").json() == [3]
    assert service.get("/member/3/copy").json() == [["9780000000024", 1], ["9780000000031", 1]]


def test_a_relationship_of_a_table_to_itself_is_seen_from_the_childs_side(service: Service) -> None:
    assert service.get("/subject/551/subject").json() == ["551.5"]
    assert service.get("/subject/551/subject?reverse=true").json() == ["500"]
    assert service.put("/subject/551.5/subject?reverse=true", ["551", "500"]).json() == [
        "500",
        "551",
    ]
    assert service.get("/subject/500/subject").json() == ["551", "551.5"]
    assert service.put("/subject/551.5/subject?reverse=true", ["551"]).json() == ["551"]
    refused = service.get("/subject/551/subject?reverse=yes")
    assert refused.json()["errors"] == ['reverse: must be true or false, not "yes".']
    refused = service.get("/author/1/book?reverse=true")
    assert refused.json()["errors"] == ["reverse: is for the relationship of a table to itself."]


def test_the_children_of_a_row_are_listed(service: Service) -> None:
    found = service.get("/book/9780000000017/copy").json()
    assert [(row["isbn"], row["number"]) for row in found["copy"]] == [
        ("9780000000017", 1),
        ("9780000000017", 2),
    ]
    assert found["links"][0]["href"] == "/book/9780000000017/copy?offset=0&limit=20"
    assert service.get("/book/none/copy").status_code == 404
    assert service.get("/branch/2/visit").json() == {"visit": [], "links": []}
    assert [row["id"] for row in service.get("/member/1/member").json()["member"]] == [2, 3]


def test_the_children_of_a_row_come_in_pages(service: Service) -> None:
    page = service.get("/member/1/member?limit=1").json()
    assert [row["id"] for row in page["member"]] == [2]
    links = {link["rel"]: link["href"] for link in page["links"]}
    assert links["next"] == "/member/1/member?offset=1&limit=1&after=2"
    assert links["last"] == "/member/1/member?offset=1&limit=1"
    assert [row["id"] for row in service.get(links["next"]).json()["member"]] == [3]
    assert service.get("/member/1/member?limit=1&offset=9").json()["member"] == []


def test_where_several_foreign_keys_refer_the_one_that_is_meant_is_named(service: Service) -> None:
    refused = service.get("/member/2/loan")
    assert (refused.status_code, refused.json()["errors"]) == (
        400,
        ["via: several foreign keys refer to member; say which: borrower_id, pickup_id."],
    )
    refused = service.get("/member/2/loan?via=x")
    assert refused.json()["errors"] == [
        'via: "x" is no foreign key to member; it can be borrower_id, pickup_id.'
    ]
    borrowed = service.get("/member/2/loan?via=borrower_id").json()
    assert [row["since"] for row in borrowed["loan"]] == ["2026-03-02"]
    assert borrowed["links"][0]["href"].endswith("&via=borrower_id")
    fetched = service.get("/member/2/loan?via=pickup_id").json()["loan"]
    assert [row["since"] for row in fetched] == ["2026-04-01"]


def test_all_of_it_is_there_after_a_restart(service: Service) -> None:
    tables = ("book", "copy", "loan", "member", "branch", "holiday", "terminal")
    before = {name: service.get(f"/{name}").json() for name in tables}
    service.stop()
    service.start()
    assert {name: service.get(f"/{name}").json() for name in tables} == before


def test_a_database_that_has_these_tables_is_adopted(service: Service) -> None:
    document = {**_document(), "touch_database": False}
    document["data_resource_schema"] = {**document["data_resource_schema"], "name": "Another name"}
    assert service.post("/generator", document).status_code == 204
    assert service.get("/loan/9780000000017,1,2026-04-01").status_code == 200

"""What an operation of a batch takes from the answers before it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rest.batch.sending import ADA, done, operation, refused
from tests.service import Service


def test_an_operation_refers_to_what_earlier_ones_have_made(service: Service) -> None:
    results = done(
        service,
        ADA,
        operation("POST", "/program", {"title": "x", "provider_id": {"$ref": "p#/id"}}, id="c"),
        operation("PATCH", "/program/{c#/id}", {"fee": 1.5}),
        operation("GET", "/program/{c#/id}", id="read"),
        operation("POST", "/provider", {"name": {"$ref": "read#/title"}}),
        operation("POST", "/label", {}, id="l"),
        operation("PUT", "/program/{c#/id}/label", [{"$ref": "l#/id"}]),
        operation("POST", "/provider/query?limit={p#/id}", {"name": "x"}),
        operation("PUT", "/program/{c#/id}/label", {"$ref": "l#/id"}),
    )
    assert results[3]["body"] == {"id": 1, "title": "x", "fee": 1.5, "provider_id": 1}
    assert results[6]["body"] == [1]
    assert results[7]["body"]["results"] == [{"id": 2, "name": "x", "notes": None}]
    assert results[8]["body"] == [1]


def test_a_number_that_is_referred_to_keeps_its_digits(service: Service) -> None:
    service.post("/program", '{"fee": 12345678901234567890.10}')
    done(
        service,
        operation("GET", "/program/1", id="r"),
        operation("POST", "/program", {"fee": {"$ref": "r#/fee"}}),
    )
    assert '"fee":12345678901234567890.10' in service.get("/program/2").text


def test_a_key_of_several_fields_or_of_odd_text_can_be_referred_to(service: Service) -> None:
    place = {"country": "a/b,c~d é{", "founded": "2001-02-03", "name": "x"}
    results = done(
        service,
        operation("POST", "/place", place, id="x"),
        operation("PATCH", "/place/{x#/id}", {"name": "y"}),
        operation("GET", "/place/{x#/id}"),
        operation("POST", "/code", {"code": {"$ref": "x#/id/0"}}, id="c"),
        operation("PATCH", "/code/{c#/id}", {"label": {"$ref": "x#/id/1"}}),
        operation("GET", "/code/{c#/id}"),
    )
    assert results[2]["body"] == {**place, "name": "y"}
    assert results[5]["body"] == {"code": place["country"], "label": "2001-02-03"}


def test_what_only_looks_like_a_reference_is_put_into_literal(service: Service) -> None:
    notes = {"a": {"$ref": "p#/id"}, "$literal": 1}
    done(
        service,
        ADA,
        operation("PATCH", "/provider/1", {"notes": {"$literal": notes}}),
    )
    assert service.get("/provider/1").json()["notes"] == notes
    for data in ({"$ref": "x", "b": 1}, {"$literal": 1, "b": 1}, {"$literal": {"$literal": 1}}):
        done(service, operation("PATCH", "/provider/1", {"notes": data}))
        expected = {"$literal": 1} if len(data) == 1 else data
        assert service.get("/provider/1").json()["notes"] == expected


@pytest.mark.parametrize(
    ("reference", "fault"),
    [
        (
            "q#/id",
            'operations[1].body.provider_id["$ref"]: no operation before this one has the id "q"',
        ),
        ("c#/id", "no operation before this one"),
        ("p", "is no reference"),
        (7, "must be a string"),
        ("p#id", "is no reference"),
    ],
)
def test_a_reference_that_cannot_mean_anything_is_refused_before_anything_is_done(
    service: Service, reference: Any, fault: str
) -> None:
    status, body = refused(
        service,
        ADA,
        operation("POST", "/program", {"provider_id": {"$ref": reference}}, id="c"),
    )
    assert status == 400
    assert fault in body["errors"][0]


@pytest.mark.parametrize("pointer", ["/uuid", "/id/0", "/message/0", "/id/", "/", "/~0"])
def test_a_reference_to_what_is_not_in_the_answer_is_refused(
    service: Service, pointer: str
) -> None:
    status, body = refused(
        service, ADA, operation("POST", "/program", {"provider_id": {"$ref": f"p#{pointer}"}})
    )
    assert status == 400
    assert body["error"].startswith("operations[1]: ")
    assert f"p#{pointer}" in body["error"]


def test_a_reference_in_a_path_is_a_whole_key(service: Service) -> None:
    for path in ("/{p#/id}", "/program/x{p#/id}", "/program/1/{p#/id}", "/program/{p#/id}{p#/id}"):
        status, body = refused(service, ADA, operation("GET", path))
        assert status == 400
        assert "operations[1].path" in body["errors"][0]

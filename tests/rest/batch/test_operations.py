"""``POST /-/batch`` over HTTP, against two workers: several operations, all or none."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from tests.rest.batch.sending import ADA, LABEL, PROVIDER, done, operation, refused, send
from tests.service import Service, payload, running


def test_each_operation_has_the_answer_that_it_would_have_alone(service: Service) -> None:
    results = done(
        service, ADA, operation("GET", "/provider/1"), operation("GET", "/provider?limit=1")
    )
    assert results[0] == {
        "status": 201,
        "headers": {"Location": "/provider/1"},
        "body": {"message": "Successfully added new resource.", "id": 1},
    }
    alone = service.get("/provider/1")
    assert results[1] == {
        "status": 200,
        "headers": {name: alone.headers[name] for name in ("ETag", "Vary")},
        "body": alone.json(),
    }
    assert results[2]["body"] == service.get("/provider?limit=1").json()


def test_a_read_sees_what_was_written_before_it_in_the_batch(service: Service) -> None:
    service.post("/provider", {"name": "Bob"})
    before, _, after = done(
        service,
        operation("GET", "/provider"),
        ADA,
        operation("POST", "/provider/query", {"name": "Ada"}),
    )
    assert [row["name"] for row in before["body"]["provider"]] == ["Bob"]
    assert after["body"] == {"results": [{"id": 2, "name": "Ada", "notes": None}]}


def test_every_kind_of_operation_can_be_in_a_batch(service: Service) -> None:
    results = done(
        service,
        ADA,
        operation("PUT", "/provider/1", {"name": "Eve"}),
        operation("PUT", "/provider/7", {"name": "New"}),
        operation("PATCH", "/provider/7", {"notes": {"a": 1.10}}),
        operation("POST", "/label", {}),
        operation("POST", "/program", {"title": "x"}),
        operation("PUT", "/program/1/label", [1]),
        operation("PATCH", "/program/1/label", [1]),
        operation("GET", "/label/1/program"),
        operation("POST", "/code", {"code": "a/b,c~d"}),
    )
    assert [result["status"] for result in results] == [
        201,
        200,
        201,
        200,
        201,
        201,
        200,
        200,
        200,
        201,
    ]
    assert results[8]["body"] == [1]


# ── all or nothing ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("at_fault", "status", "told"),
    [
        (operation("POST", "/provider", {}), 400, "operations[1]: name: is required."),
        (operation("POST", "/provider", {"name": 1, "x": 2}), 400, "operations[1]: x: is not a field"),
        (operation("POST", "/provider", {"name": "Ada"}), 409, "operations[1]: name: Ada exists already."),
        (operation("POST", "/program", {"provider_id": 99}), 409, "operations[1]: provider_id: there"),
        (operation("GET", "/provider/99"), 404, "operations[1]: There is no provider"),
        (operation("PATCH", "/provider/99", {}), 404, "operations[1]: There is no provider"),
        (operation("POST", "/provider/query", {"name": "x"}), 404, "operations[1]: No matches found"),
        (operation("GET", "/provider?limit=x"), 400, "operations[1]: limit: must be"),
        (operation("PUT", "/program/99/label", [1]), 404, "operations[1]: There is no program"),
        (operation("DELETE", "/provider/1"), 405, "operations[1]: Unimplemented unsecure delete"),
        (
            operation("PATCH", "/provider/1", {"name": "x"}, headers={"if-match": '"x"'}),
            412,
            "operations[1]: This has changed.",
        ),
    ],
)  # fmt: skip
def test_one_that_is_refused_undoes_all_and_is_named(
    service: Service, at_fault: Any, status: int, told: str
) -> None:
    after = operation("POST", "/code", {"code": "never"})
    answered, body = refused(service, ADA, at_fault, after)
    assert answered == status
    texts = [body.get("error") or body["message"], *body.get("errors", ())]
    assert all(text.startswith("operations[1]: ") for text in texts)
    assert any(text.startswith(told) for text in texts), body


def test_headers_of_a_refusal_are_those_of_the_operation(service: Service) -> None:
    answer = send(service, ADA, operation("PUT", "/provider", {}))
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, POST"
    made = service.post("/provider", {"name": "Bob"}).json()["id"]
    seen = service.get(f"/provider/{made}").headers["ETag"]
    stale = operation("PATCH", f"/provider/{made}", {}, headers={"If-Match": '"x"'})
    assert send(service, stale).headers["ETag"] == seen


# ── beside others ────────────────────────────────────────────────────────────────────────────────


def test_conditions_of_an_operation_hold_in_a_batch(service: Service) -> None:
    service.post("/provider", {"name": "Bob"})
    seen = service.get("/provider/1").headers["ETag"]
    results = done(
        service,
        operation("PATCH", "/provider/1", {"name": "Eve"}, headers={"If-Match": seen}),
        operation("GET", "/provider/1", headers={"If-None-Match": seen}),
        operation("PUT", "/provider/2", {"name": "New"}, headers={"If-None-Match": "*"}),
    )
    tag = service.get("/provider/1").headers["ETag"]
    assert results[0]["headers"]["ETag"] == tag == results[1]["headers"]["ETag"]
    tag = service.get("/provider/2").headers["ETag"]
    unchanged = done(service, operation("GET", "/provider/2", headers={"If-None-Match": tag}))
    headers = {"ETag": tag, "Vary": "Accept"}
    assert unchanged == [{"status": 304, "headers": headers, "body": None}]


def test_lists_and_upserts_are_operations_like_others(service: Service) -> None:
    merge = {"Prefer": "resolution=merge-duplicates"}
    results = done(
        service,
        operation("POST", "/provider", [{"name": "Ada"}, {"name": "Bob"}], id="two"),
        operation("POST", "/program", [{"provider_id": {"$ref": "two#/ids/1"}}]),
        operation("POST", "/code", [{"code": "a", "label": "x"}]),
        operation("POST", "/code", [{"code": "a", "label": "y"}, {"code": "b"}], headers=merge),
        operation("PUT", "/provider/{two#/ids/0}", {"name": "Eve"}),
    )
    assert [result["status"] for result in results] == [201, 201, 201, 201, 200]
    assert service.get("/program").json()["program"][0]["provider_id"] == 2
    assert service.get("/code/a").json()["label"] == "y"
    assert service.get("/provider/1").json()["name"] == "Eve"


def test_every_fault_of_a_list_has_the_place_of_its_operation(service: Service) -> None:
    status, body = refused(
        service, ADA, operation("POST", "/provider", [{"name": "B"}, {}, {"x": 1}])
    )
    assert status == 400
    assert len(body["errors"]) == 3
    assert all(line.startswith("operations[1]: row ") for line in body["errors"])
    rows = [{"provider_id": 1}, {"provider_id": 99}]
    status, body = refused(service, ADA, operation("POST", "/program", rows))
    assert status == 409
    assert all(line.startswith("operations[1]: ") for line in body["errors"])
    rollback = {"Prefer": "tx=rollback"}
    status, _ = refused(
        service, ADA, operation("POST", "/provider", [{"name": "B"}], headers=rollback)
    )
    assert status == 400


def test_a_chosen_key_does_not_make_a_later_operation_fail(service: Service) -> None:
    results = done(
        service,
        operation("POST", "/program", {"id": 1}),
        operation("POST", "/program", {}),
        operation("POST", "/program", {}),
    )
    assert [result["body"]["id"] for result in results] == [1, 2, 3]


def test_the_audit_log_has_a_line_for_each_change(service: Service) -> None:
    file = service.folder / "audit.jsonl"

    def lines_of(answer: requests.Response) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        return [line for line in lines if line["id"] == answer.headers["X-Request-Id"]]

    lines = lines_of(
        send(
            service,
            ADA,
            operation("GET", "/provider/{p#/id}"),
            operation("PATCH", "/provider/{p#/id}", {"name": "secret"}),
        )
    )
    assert [(line["method"], line["operation"], line["key"], line["status"]) for line in lines] == [
        ("POST", "/provider", 1, 201),
        ("PATCH", "/provider/{id}", "1", 200),
    ]
    lines = lines_of(send(service, ADA, operation("PATCH", "/provider/99", {})))
    assert [(line["method"], line["status"]) for line in lines] == [("POST", 404), ("PATCH", 404)]
    lines = lines_of(send(service, operation("GET", "/provider")))
    assert lines == []
    (line,) = lines_of(send(service))
    assert (line["path"], line["operation"], line["status"]) == ("/-/batch", None, 400)
    assert "secret" not in file.read_text()


def test_a_batch_asks_the_data_resource_that_is_live(
    tmp_path_factory: pytest.TempPathFactory, server_url: str
) -> None:
    with running(tmp_path_factory.mktemp("live"), server_url) as service:
        assert send(service, ADA).status_code == 404
        service.generate(payload(PROVIDER))
        answer = send(service, ADA)
        assert answer.status_code == 200
        first = answer.headers["DRG-Version"]
        service.reset()
        service.generate(payload(LABEL))
        assert send(service, ADA).status_code == 404
        answer = send(service, operation("POST", "/label", {}))
        assert answer.status_code == 200
        assert answer.headers["DRG-Version"] != first

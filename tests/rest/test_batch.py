"""``POST /-/batch`` over HTTP, against two workers: several operations, all or none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service import Service, entry, payload, running

PROVIDER = entry(
    "provider",
    {"name": "name", "type": "string", "constraints": {"required": True, "unique": True}},
    {"name": "notes", "type": "object"},
)
PROGRAM = entry(
    "program",
    {"name": "title", "type": "string"},
    {"name": "fee", "type": "number"},
    {"name": "provider_id", "type": "integer"},
    foreignKeys=[{"fields": "provider_id", "reference": {"resource": "provider", "fields": "id"}}],
)
CODE = entry(
    "code", {"name": "code", "type": "string"}, {"name": "label", "type": "string"}, key="code"
)
LABEL = entry("label")
PLACE = entry(
    "place",
    {"name": "country", "type": "string"},
    {"name": "founded", "type": "date"},
    {"name": "name", "type": "string"},
    key=["country", "founded"],
)
DOCUMENT = payload(PROVIDER, PROGRAM, CODE, LABEL, PLACE, pairs=[("program", "label")])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("batch")
    audit = str(folder / "audit.jsonl")
    with running(
        folder, server_url, DRG_MAX_BATCH="50", DRG_MAX_BODY_BYTES="65536", DRG_AUDIT_LOG=audit
    ) as service:
        service.generate(DOCUMENT)
        yield service


@pytest.fixture(autouse=True)
def _empty_tables(service: Service) -> None:
    assert service.database is not None
    service.database.execute(
        'TRUNCATE provider, program, code, label, place, "label/program" RESTART IDENTITY'
    )


def operation(method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
    stated = {"method": method, "path": path, **more}
    return stated if body is None else {**stated, "body": body}


def send(service: Service, *operations: Any, **more: Any) -> requests.Response:
    return service.post("/-/batch", {"operations": list(operations)}, **more)


def done(service: Service, *operations: Any) -> list[dict[str, Any]]:
    """The results of a batch that is done."""
    answer = send(service, *operations)
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    assert len(results) == len(operations)
    return results


def refused(service: Service, *operations: Any) -> tuple[int, dict[str, Any]]:
    """The status and the body of a refusal, after which there is nothing in any table."""
    answer = send(service, *operations)
    assert answer.status_code >= 400, answer.text
    for table in ("provider", "program", "code"):
        assert service.get(f"/{table}").json()[table] == []
    return answer.status_code, answer.json()


ADA = operation("POST", "/provider", {"name": "Ada"}, id="p")


# ── what is done ─────────────────────────────────────────────────────────────────────────────────


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


# ── references ───────────────────────────────────────────────────────────────────────────────────


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


def test_what_cannot_be_done_is_refused_before_anything_is_and_all_at_once(
    service: Service,
) -> None:
    status, body = refused(
        service,
        ADA,
        operation("GET", "/nothing"),
        operation("PATCH", "/provider", {}),
        operation("POST", "/provider"),
        operation("GET", "/provider", {}),
        operation("POST", "/-/batch", {}),
    )
    assert status == 404
    assert [line.partition(": ")[0] for line in body["errors"]] == [
        f"operations[{n}]" for n in range(1, 6)
    ]


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ([], "must be a JSON object"),
        ({}, "operations: must be a list"),
        ({"operations": {}}, "operations: must be a list"),
        ({"operations": []}, "at least one"),
        ({"operation": []}, 'operation: is not known; did you mean "operations"?'),
        ({"operations": [1]}, "operations[0]: must be an object"),
        ({"operations": [{}]}, "operations[0].method: must be one of GET"),
        ({"operations": [{"method": "get", "path": "/provider"}]}, "operations[0].method"),
        ({"operations": [{"method": "GET", "path": 1}]}, "operations[0].path"),
        ({"operations": [{"method": "GET", "path": "/x", "ids": "x"}]}, 'did you mean "id"?'),
        ({"operations": [{"method": "GET", "path": "/x", "id": "a#b"}]}, "operations[0].id"),
        ({"operations": [{"method": "GET", "path": "/x", "id": 1}]}, "operations[0].id"),
        ({"operations": [{"method": "GET", "path": "/x", "id": "a"}] * 2}, "operations[1].id"),
        ({"operations": [{"method": "GET", "path": "/x", "headers": []}]}, "operations[0].headers"),
        (
            {"operations": [{"method": "GET", "path": "/x", "headers": {"Authorization": "x"}}]},
            "operations[0].headers.Authorization: is not a header of one operation",
        ),
        (
            {"operations": [{"method": "GET", "path": "/x", "headers": {"If-Match": 1}}]},
            "must be a string",
        ),
        ({"operations": [{"method": "GET", "path": "/code"}] * 51}, "more than 50 (DRG_MAX_BATCH)"),
    ],
)
def test_a_batch_that_is_none_is_refused_with_every_fault(
    service: Service, document: Any, fault: str
) -> None:
    answer = service.post("/-/batch", document)
    assert answer.status_code == 400
    assert fault in answer.text.replace('\\"', '"')


def test_the_body_is_json_and_not_too_large(service: Service) -> None:
    text = {"Content-Type": "text/plain"}
    assert service.post("/-/batch", "{}", headers=text).status_code == 415
    assert service.post("/-/batch", "{").status_code == 400
    assert service.post("/-/batch", b" " * 65537).status_code == 413
    assert service.get("/-/batch").status_code == 405
    assert service.get("/-/batch").headers["Allow"] == "POST"


def test_the_answers_together_have_a_bound(service: Service) -> None:
    service.post("/provider", {"name": "Bob", "notes": {"text": "x" * 30_000}})
    answer = send(service, *[operation("GET", "/provider/1")] * 3)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(
        "operations[2]: The answers are longer than 65536 bytes"
    )


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


# ── whatever is sent ─────────────────────────────────────────────────────────────────────────────

_names = st.sampled_from(["a", "b", "c", "", "a#"])
_pointers = st.sampled_from(["/id", "", "/", "/id/0", "/results/0/id", "/~1", "x"])
_references = st.builds(lambda name, pointer: f"{name}#{pointer}", _names, _pointers)
_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.builds(lambda text: {"$ref": text}, _references)
    | st.builds(lambda text: {"$literal": text}, _references),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "name", "notes", "title", "$ref", "provider_id"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=5,
)
_keys = st.sampled_from(["1", "2", "x", "%2F", "%", "{", "é", "%00", ""]) | st.builds(
    lambda text: f"{{{text}}}", _references
)
_paths = st.builds(
    lambda table, key, rest: (
        "/" + "/".join(part for part in (table, key, rest) if part is not None)
    ),
    st.sampled_from(["provider", "program", "code", "label", "x", "{a#/id}", "-"]),
    st.none() | _keys | st.just("query"),
    st.none() | st.sampled_from(["label", "program", "x", ""]),
)
_operations = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]),
        "path": _paths | st.builds(lambda path, text: f"{path}?limit={text}", _paths, _keys),
    },
    optional={
        "id": _names,
        "body": _values,
        "headers": st.dictionaries(
            st.sampled_from(["If-Match", "If-None-Match", "Prefer", "X"]),
            st.sampled_from(["*", '"a"', "a", "é", "\n"]),
            max_size=2,
        ),
    },
)


def check_batch(service: Service, operations: list[Any]) -> None:
    answer = send(service, *operations)
    assert answer.status_code < 500, (operations, answer.text)
    assert answer.json()


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(operations=st.lists(_operations | _values, max_size=5))
def test_no_batch_is_a_server_error(service: Service, operations: list[Any]) -> None:
    check_batch(service, operations)


@pytest.mark.soak
@settings(
    max_examples=10_000,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(operations=st.lists(_operations, max_size=5))
def test_no_batch_of_many_is_a_server_error(service: Service, operations: list[Any]) -> None:
    check_batch(service, operations)

"""What is no batch, and whatever else is sent: never a server's error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.rest.batch.sending import ADA, operation, refused, send
from tests.service import Service


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

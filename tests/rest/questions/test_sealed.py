"""A searchable protected field is compared for equality as an unprotected one of the same values is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.service import Service, entry, payload, running

#: A Table Schema type → values of rows, and texts to compare them with.
VALUES: dict[str, tuple[list[Any], list[str]]] = {
    "string": (["a", "A", "a,b", "", "é", "e\u0301", None, "a"], ["a", "A", "a,b", "", "é", "z"]),
    "integer": ([1, -1, 0, None, 1], ["1", "01", "0", "-0", "9"]),
    "number": ([1.5, 1.50, 100, None, 0], ["1.5", "1.500", "1e2", "7"]),
    "boolean": ([True, False, None, True], ["true", "false"]),
    "date": (["2024-02-29", "2023-01-01", None], ["2024-02-29", "2020-01-01"]),
    "datetime": (["2024-02-29T10:00:00Z", None], ["2024-02-29T11:00:00+01:00", "2024-02-29T10:00:01Z"]),
}  # fmt: skip


def _document() -> dict[str, Any]:
    entries = []
    for type_ in VALUES:
        sealed = {"name": "value", "type": type_, "protected": True, "searchable": True}
        entries.append(entry(f"{type_}s", sealed, {"name": "plain", "type": type_}))
    made = payload(*entries)
    made["data_resource_schema"]["data"]["encryptionSchema"] = {
        "*": {"type": "AES_256_GCM", "key": "SEALED_KEY"}
    }
    return made


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    """Half of the rows are under a key that is no longer the first one."""
    folder = tmp_path_factory.mktemp("sealed")
    with running(folder, server_url, SEALED_KEY="an old key") as service:
        service.generate(_document())
        for again in range(2):
            for type_, (values, _) in VALUES.items():
                rows = [{"value": value, "plain": value} for value in values]
                assert service.post(f"/{type_}s", rows).status_code == 201
            if not again:
                service.stop()
                service.environment["SEALED_KEY"] = '["a new key", "an old key"]'
                service.start()
        yield service


def _conditions(texts: list[str]) -> Iterator[str]:
    quoted = [f'"{text}"' for text in texts]
    for negation in ("", "not."):
        for text in texts:
            yield from (f"{negation}{word}.{text}" for word in ("eq", "neq", "isdistinct"))
        for size in range(len(quoted) + 1):
            yield f"{negation}in.({','.join(quoted[:size])})"
        yield f"{negation}is.null"
        yield f"{negation}is.not_null"


def _ids(service: Service, table: str, query: dict[str, str]) -> list[int]:
    response = requests.get(f"{service.url}/{table}", {"select": "id", **query}, timeout=60)
    assert response.status_code == 200, (query, response.text)
    return [row["id"] for row in response.json()[table]]


@pytest.mark.parametrize("type_", VALUES)
def test_a_searchable_field_finds_what_its_plain_twin_finds(service: Service, type_: str) -> None:
    table = f"{type_}s"
    for condition in _conditions(VALUES[type_][1]):
        wanted = _ids(service, table, {"plain": condition})
        assert _ids(service, table, {"value": condition}) == wanted, condition
    a, b = VALUES[type_][1][:2]
    sealed, plain = (
        _ids(service, table, {"and": f'(not.or({name}.eq."{a}",{name}.is.null),{name}.neq."{b}")'})
        for name in ("value", "plain")
    )
    assert sealed == plain


@pytest.mark.parametrize(
    "condition", ["gt.a", "lte.a", "like.a*", "imatch.a", "eq(any).{a}", "fts.a", "is.true"]
)
def test_nothing_else_is_asked_of_it(service: Service, condition: str) -> None:
    response = requests.get(f"{service.url}/strings", {"value": condition}, timeout=60)
    assert response.status_code == 400
    assert response.json()["errors"] == [
        "value: is protected and can be compared by eq, neq, in, isdistinct and is.null alone."
    ]

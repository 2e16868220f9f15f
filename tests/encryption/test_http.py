"""Protected fields over HTTP: every type, beside an unprotected twin; keys, clashes, searches, refusals."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from data_resource_api.compiler.field_types import FIELD_TYPES
from tests.service import Service, entry, payload, running

KEY = "a key of the tests"
CANARY = "canary-f81d4fae-7dec"

#: Values of each type, as a client sends them.
VALUES: dict[str, list[Any]] = {
    "string": ["", "plain", "Ünïcode ✓ 'quoted' \"twice\"\n", "x" * 5000],
    "any": ["text", 5, {"a": [1, 2.50]}, True],
    "integer": [0, -7, 2147483647, "12"],
    "year": [0, 1999, "2024"],
    "number": ["@1.10", "@-0.00", "@1E+3", "@0.000001", 12345678901234567890, "1.50", "@0E+5"],
    "boolean": [True, False, "true", "False"],
    "object": [{"bb": 1, "a": "@1.10", "c": None}, {}, "a string", {"x": {"y": [True, "é\u0001"]}}],
    "array": [[], [1, "@2.50", None, {"z": 1}], "[1, 2]"],
    "geojson": [{"type": "Point", "coordinates": ["@90.50", 45]}],
    "geopoint": ["90.50, 45.50"],
    "duration": ["P1Y2M3DT4H5M6S"],
    "yearmonth": ["2012-04"],
    "date": ["2012-04-23", "0001-01-01"],
    "time": ["18:25:43Z", "18:25:43.511Z", "00:00:00.000000Z", "10:00:00.5"],
    "datetime": ["2012-04-23T18:25:43Z", "2012-04-23T18:25:43.1200+02:00", "2012-04-23 18:25:43"],
}


def digits(value: Any) -> str:
    """JSON text, in which "@1.10" is the number 1.10."""
    return re.sub(r'"@([^"]*)"', r"\1", json.dumps(value))


def protected(name: str, type_: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, "protected": True, **more}


def document() -> dict[str, Any]:
    plain = entry("plain", *({"name": f"f_{name}", "type": name} for name in VALUES))
    secret = entry("secret", *(protected(f"f_{name}", name) for name in VALUES))
    person = entry(
        "person",
        {"name": "name", "type": "string"},
        protected("ssn", "string", searchable=True, constraints={"unique": True, "minLength": 2}),
        protected("income", "number", searchable=True),
        protected("note", "string", constraints={"required": True, "maxLength": 100}),
    )
    built = payload(plain, secret, person)
    built["data_resource_schema"]["data"]["encryptionSchema"] = {
        "*": {"type": "AES_256_GCM", "key": "PEOPLE_KEY"}
    }
    return built


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("encryption")
    with running(folder, server_url, PEOPLE_KEY=KEY, DRG_LOG_LEVEL="DEBUG") as service:
        service.generate(document())
        yield service


def add(service: Service, table: str, row: dict[str, Any]) -> int:
    answer = service.post(f"/{table}", digits(row))
    assert answer.status_code == 201, answer.text
    identity: int = answer.json()["id"]
    return identity


def stored(service: Service, table: str, column: str, key: int) -> bytes:
    query = f'SELECT "{column}" FROM "{table}" WHERE id = %s'
    return bytes(service.execute(query, (key,))[0][0])


def test_there_are_values_of_every_type() -> None:
    assert VALUES.keys() == FIELD_TYPES.keys()


@pytest.mark.parametrize(
    ("type_", "value"), [(type_, value) for type_, values in VALUES.items() for value in values]
)
def test_a_protected_value_comes_back_as_an_unprotected_one_does(
    service: Service, type_: str, value: Any
) -> None:
    """Byte for byte, in the list, the row and after a change."""
    name = f"f_{type_}"
    plain, secret = (add(service, table, {name: value}) for table in ("plain", "secret"))
    shown = service.get(f"/secret/{secret}").text
    unprotected = service.get(f"/plain/{plain}").text
    assert shown.partition(",")[2] == unprotected.partition(",")[2]
    raw = stored(service, "secret", name, secret)
    assert base64.b64encode(base64.b64decode(raw)) == raw
    sent_back = service.put(f"/secret/{secret}", shown)
    assert sent_back.status_code == 200, sent_back.text
    assert service.get(f"/secret/{secret}").text == shown


def test_null_stays_null(service: Service) -> None:
    key = add(service, "secret", {"f_string": None, "f_number": None})
    assert set(service.get(f"/secret/{key}").json().values()) == {key, None}
    rows = service.execute("SELECT f_string FROM secret WHERE id = %s", (key,))
    assert rows == [(None,)]


def test_constraints_hold_on_the_plain_value_and_the_value_is_not_repeated(
    service: Service,
) -> None:
    bad = {"ssn": "1", "income": CANARY, "note": f"{CANARY}{'x' * 100}"}
    answer = service.post("/person", bad)
    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        "ssn: must have a length of at least 2.",
        "income: is not a valid number. The value is not repeated here, for the field is protected.",
        "note: must have a length of at most 100.",
    ]
    assert service.post("/person", {"ssn": "22"}).json()["errors"] == ["note: is required."]
    described = service.get("/generator").json()["apiOnly"]
    assert {"table": "person", "field": "note", "constraint": "maxLength"}.items() <= next(
        rule for rule in described if rule["field"] == "note"
    ).items()


def test_a_searchable_field_is_found_by_equal_values_only(service: Service) -> None:
    keys = [
        add(service, "person", {"ssn": f"S-{n}", "income": income, "note": "n"})
        for n, income in enumerate(["@10.0", "@10.00", 10, "@10.01", None])
    ]
    found = service.post("/person/query", {"income": 10}).json()["results"]
    assert [row["id"] for row in found] == keys[:3]
    page = service.post("/person/query?offset=1&limit=1", {"income": 10}).json()["results"]
    assert [row["id"] for row in page] == keys[1:2]
    both = service.post("/person/query", {"income": 10, "ssn": "S-2"}).json()["results"]
    assert [row["id"] for row in both] == keys[2:3]
    nulls = service.post("/person/query", {"income": None}).json()["results"]
    assert keys[4] in [row["id"] for row in nulls]
    for absent in ("s-2", "S-2 ", "S‐2"):
        assert service.post("/person/query", {"ssn": absent}).status_code == 404


def test_a_protected_field_that_is_not_searchable_is_not_looked_for(service: Service) -> None:
    for value in ("n", None):
        answer = service.post("/person/query", {"note": value})
        assert answer.status_code == 400
        assert answer.json()["errors"] == ["note: is protected and cannot be looked for."]


def test_a_clash_of_protected_values_names_the_field_and_no_value(service: Service) -> None:
    add(service, "person", {"ssn": CANARY, "note": "n"})
    other = add(service, "person", {"ssn": "other", "note": "n"})
    clash = {
        "error": "The row clashes with one that exists.",
        "errors": ["ssn: this value exists already."],
    }
    for answer in (
        service.post("/person", {"ssn": CANARY, "note": "n"}),
        service.put(f"/person/{other}", {"ssn": CANARY}),
        service.patch(f"/person/{other}", {"ssn": CANARY}),
    ):
        assert (answer.status_code, answer.json()) == (409, clash)
    assert service.patch(f"/person/{other}", {"ssn": "other"}).status_code == 200


def test_the_blind_index_is_never_shown_nor_written_by_clients(service: Service) -> None:
    key = add(service, "person", {"ssn": "hidden", "note": "n"})
    row = service.get(f"/person/{key}").json()
    assert list(row) == ["id", "name", "ssn", "income", "note"]
    answer = service.patch(f"/person/{key}", {"ssn_blind_index": "x"})
    assert answer.status_code == 400
    old = stored(service, "person", "ssn_blind_index", key)
    assert len(old) == 16
    service.patch(f"/person/{key}", {"ssn": "changed"})
    assert stored(service, "person", "ssn_blind_index", key) != old
    service.patch(f"/person/{key}", {"name": "kept"})
    assert service.post("/person/query", {"ssn": "changed"}).json()["results"][0]["id"] == key


def failed(service: Service, answer: requests.Response) -> str:
    """The log line of an answer that is 500 with an id."""
    assert answer.status_code == 500, answer.text
    match = re.fullmatch(
        r"Something went wrong here; it is logged under ([0-9a-f]{32})\.", answer.json()["error"]
    )
    assert match is not None
    (line,) = [line for line in service.log().splitlines() if match[1] in line]
    return line


@pytest.mark.parametrize(("column", "table"), [("ssn", "person"), ("f_string", "secret")])
def test_a_ciphertext_copied_elsewhere_fails_with_an_id_and_is_never_a_value(
    service: Service, column: str, table: str
) -> None:
    """To another column of the same table, and to another table."""
    key = add(service, "person", {"ssn": "copied-1" + table, "note": CANARY})
    target = key if table == "person" else add(service, "secret", {})
    before = service.get(f"/{table}/{target}")
    assert before.status_code == 200
    if table == "person":
        service.execute("UPDATE person SET ssn = note WHERE id = %s", (key,))
    else:
        service.execute(
            "UPDATE secret SET f_string = (SELECT note FROM person WHERE id = %s) WHERE id = %s",
            (key, target),
        )
    try:
        line = failed(service, service.get(f"/{table}/{target}"))
        assert f"{table}.{column}: a stored value cannot be decrypted" in line
        assert f"(row {target})" in line
        assert failed(service, service.get(f"/{table}?limit=10000"))
    finally:
        service.execute(f"UPDATE {table} SET {column} = NULL WHERE id = %s", (target,))


def test_what_a_document_cannot_have_is_refused_with_the_remedy(service: Service) -> None:
    def lines(*fields: dict[str, Any], type_: str = "AES_256_GCM") -> list[str]:
        built = payload(entry("t", *fields))
        built["data_resource_schema"]["data"]["encryptionSchema"] = {
            "*": {"type": type_, "key": "PEOPLE_KEY"}
        }
        answer = service.post("/generator", built)
        assert answer.status_code == 400
        found: list[str] = answer.json()["errors"]
        return found

    (unique,) = lines(protected("a", "string", constraints={"unique": True}))
    assert 'add "searchable": true' in unique
    (bare,) = lines({"name": "a", "searchable": True})
    assert 'add "protected": true' in bare
    (taken,) = lines(protected("a", "string", searchable=True), {"name": "a_blind_index"})
    assert '"a_blind_index"' in taken
    (arn,) = lines(protected("a", "string"), type_="AWS_AES_Engine")
    assert "is not the ARN of a KMS key" in arn
    assert KEY not in arn


def test_what_is_protected_outlives_a_restart_and_needs_its_key(service: Service) -> None:
    key = add(service, "person", {"ssn": "restart", "note": CANARY})
    shown = service.get(f"/person/{key}").json()
    service.stop()
    service.start()
    assert service.get(f"/person/{key}").json() == shown
    service.stop()
    service.environment["PEOPLE_KEY"] = "another key"
    service.start()
    line = failed(service, service.get(f"/person/{key}"))
    assert "person.ssn: a stored value cannot be decrypted: its key does not fit" in line
    assert service.post("/person/query", {"ssn": "restart"}).status_code == 404
    service.stop()
    del service.environment["PEOPLE_KEY"]
    service.start()
    answer = service.get(f"/person/{key}")
    assert answer.status_code == 503
    assert any(
        '"PEOPLE_KEY" that should hold its key is not set' in e for e in answer.json()["errors"]
    )
    service.stop()
    (service.folder / "key").write_text(json.dumps(["the new key", KEY]) + "\n")
    service.environment["PEOPLE_KEY_FILE"] = str(service.folder / "key")
    service.start()
    assert service.get(f"/person/{key}").json() == shown
    assert service.post("/person/query", {"ssn": "restart"}).json()["results"] == [shown]
    clash = service.post("/person", {"ssn": "restart", "note": "n"})
    assert (clash.status_code, clash.json()["errors"]) == (409, ["ssn: this value exists already."])
    assert service.patch(f"/person/{key}", {"ssn": "restart"}).status_code == 200
    assert service.post("/person", {"ssn": "restart", "note": "n"}).status_code == 409


def test_no_plain_value_and_no_key_is_in_the_log_or_the_database(service: Service) -> None:
    """After all of the above; the log is at DEBUG."""
    dumped = "".join(
        str(service.execute(f'SELECT * FROM public."{table}"')) for table in ("person", "secret")
    )
    for secret in (CANARY, KEY, "the new key"):
        assert secret not in service.log()
        assert secret not in dumped
    for file in Path(service.static).iterdir():
        assert KEY.encode() not in file.read_bytes()

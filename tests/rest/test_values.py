"""Values of every Table Schema type over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.service import Service, entry, payload, running

TYPES = (
    "string",
    "any",
    "geopoint",
    "duration",
    "yearmonth",
    "integer",
    "year",
    "number",
    "boolean",
    "object",
    "array",
    "geojson",
    "date",
    "time",
    "datetime",
)

EXTRA: tuple[dict[str, Any], ...] = (
    {"name": "big", "type": "integer", "constraints": {"maximum": 9007199254740993}},
    {"name": "email", "type": "string", "format": "email"},
    {"name": "uri", "type": "string", "format": "uri"},
    {"name": "uuid", "type": "string", "format": "uuid"},
    {"name": "binary", "type": "string", "format": "binary"},
    {"name": "day", "type": "date", "format": "%d/%m/%y"},
    {"name": "anyday", "type": "date", "format": "any"},
    {"name": "moment", "type": "datetime", "format": "%d.%m.%Y %H:%M"},
    {"name": "clock", "type": "time", "format": "%H.%M"},
    {"name": "point_array", "type": "geopoint", "format": "array"},
    {"name": "point_object", "type": "geopoint", "format": "object"},
    {"name": "topojson", "type": "geojson", "format": "topojson"},
    {"name": "german", "type": "number", "decimalChar": ",", "groupChar": "."},
    {"name": "percent", "type": "number", "bareNumber": False},
    {"name": "ja", "type": "boolean", "trueValues": ["ja"], "falseValues": ["nein"]},
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("values"), server_url) as service:
        fields = [{"name": name, "type": name} for name in TYPES]
        service.generate(payload(entry("v", *fields, *EXTRA)))
        yield service


#: (field, what is sent as JSON text, what comes back as JSON text)
ROUND_TRIPS = [
    ("string", '"plain"', '"plain"'),
    ("string", '""', '""'),
    ("string", r'"quotes \" \\ \u00e9 \ud83d\ude00 %s %(x)s"', r'"quotes \" \\ é 😀 %s %(x)s"'),
    ("any", '"text"', '"text"'),
    ("any", "1.50", '"1.50"'),
    ("any", "true", '"true"'),
    ("any", '{"a":1}', '"{\\"a\\":1}"'),
    ("geopoint", '"90.50, 45.50"', '"90.50, 45.50"'),
    ("point_array", '"[90.50, 45.50]"', '"[90.50, 45.50]"'),
    ("point_array", "[90.50,45.50]", '"[90.50,45.50]"'),
    ("point_object", '{"lon":90.5,"lat":45.5}', '"{\\"lon\\":90.5,\\"lat\\":45.5}"'),
    ("duration", '"P1Y2M3DT4H"', '"P1Y2M3DT4H"'),
    ("yearmonth", '"2012-04"', '"2012-04"'),
    ("integer", "42", "42"),
    ("integer", "-2147483648", "-2147483648"),
    ("integer", '"42"', "42"),
    ("integer", "1.0", "1"),
    ("big", "9007199254740993", "9007199254740993"),
    ("year", "2012", "2012"),
    ("year", '"0987"', "987"),
    ("number", "1.10", "1.10"),
    ("number", "12345678901234567890.123456789", "12345678901234567890.123456789"),
    ("number", "0.1", "0.1"),
    ("number", "1E3", "1000"),
    ("number", "-0.00000000000000000001", "-0.00000000000000000001"),
    ("number", "123456789012345678901234567890", "123456789012345678901234567890"),
    ("number", '"1.50"', "1.50"),
    ("number", "1" * 3000, "1" * 3000),
    ("number", "0." + "1" * 3000, "0." + "1" * 3000),
    ("number", "1e500", "1" + "0" * 500),
    ("german", '"1.234,50"', "1234.50"),
    ("german", "1234.5", "1234.5"),
    ("percent", '"95.5%"', "95.5"),
    ("boolean", "true", "true"),
    ("boolean", '"false"', "false"),
    ("boolean", '"1"', "true"),
    ("ja", '"nein"', "false"),
    (
        "object",
        '{"b":1.10,"a":[12345678901234567890.5]}',
        '{"a": [12345678901234567890.5], "b": 1.10}',
    ),
    ("object", '"kept as it is"', '"kept as it is"'),
    ("array", "[1.10, null, 1e2]", "[1.10, null, 100]"),
    ("array", '"[1, 2]"', "[1, 2]"),
    (
        "geojson",
        '{"type":"Point","coordinates":[90.50,45.5]}',
        '{"type": "Point", "coordinates": [90.50, 45.5]}',
    ),
    ("topojson", '{"type":"Topology"}', '{"type": "Topology"}'),
    ("date", '"2012-04-23"', '"2012-04-23"'),
    ("date", '"0001-01-01"', '"0001-01-01"'),
    ("day", '"23/04/12"', '"2012-04-23"'),
    ("day", '"2012-04-23"', '"2012-04-23"'),
    ("anyday", '"April 23, 2012"', '"2012-04-23"'),
    ("time", '"18:25:43Z"', '"18:25:43Z"'),
    ("time", '"18:25:43"', '"18:25:43Z"'),
    ("time", '"18:25:43.511Z"', '"18:25:43.511Z"'),
    ("clock", '"18.25"', '"18:25:00Z"'),
    ("datetime", '"2012-04-23T18:25:43Z"', '"2012-04-23T18:25:43Z"'),
    ("datetime", '"2012-04-23T18:25:43"', '"2012-04-23T18:25:43Z"'),
    ("datetime", '"2012-04-23T18:25:43.511Z"', '"2012-04-23T18:25:43.511Z"'),
    ("datetime", '"2012-04-23T18:25:43.511000Z"', '"2012-04-23T18:25:43.511Z"'),
    ("datetime", '"2012-04-23T18:25:43.000001Z"', '"2012-04-23T18:25:43.000001Z"'),
    ("datetime", '"2012-04-23T20:25:43+02:00"', '"2012-04-23T18:25:43Z"'),
    ("datetime", '"2012-04-23T23:30:00-05:30"', '"2012-04-24T05:00:00Z"'),
    ("moment", '"23.04.2012 18:25"', '"2012-04-23T18:25:00Z"'),
    ("email", '"a@example.org"', '"a@example.org"'),
    ("uri", '"https://example.org/x"', '"https://example.org/x"'),
    ("uuid", '"95ecc380-afe9-11e4-9b6c-751b66dd541e"', '"95ecc380-afe9-11e4-9b6c-751b66dd541e"'),
    ("binary", '"aGVsbG8="', '"aGVsbG8="'),
    *((name, "null", "null") for name in TYPES),
]


@pytest.mark.parametrize(("field", "sent", "shown"), ROUND_TRIPS)
def test_a_value_comes_back_digit_for_digit_and_can_be_sent_back(
    service: Service, field: str, sent: str, shown: str
) -> None:
    created = service.post("/v", f'{{"{field}": {sent}}}'.encode())
    assert created.status_code == 201, created.text
    path = f"/v/{created.json()['id']}"
    row = service.get(path)
    assert f'"{field}":{shown}' in row.text
    again = service.put(path, row.content)
    assert again.status_code == 200, again.text
    assert service.get(path).content == row.content


REFUSED = [
    ("string", "5"),
    ("string", "{}"),
    ("integer", "1.5"),
    ("integer", '"1.5"'),
    ("integer", '""'),
    ("integer", "true"),
    ("integer", "2147483648"),
    ("integer", "123456789012345678901234567890"),
    ("big", "9223372036854775808"),
    ("year", "10000"),
    ("year", '"12"'),
    ("number", '"NaN"'),
    ("number", '"INF"'),
    ("number", '"-Infinity"'),
    ("number", '"1,5"'),
    ("number", "true"),
    ("number", "1e200000"),
    ("number", "1e5000"),
    ("number", "1e-5000"),
    ("object", '{"a": [1e131000]}'),
    ("array", "[1e-16000]"),
    ("array", "[1e400000]"),
    ("number", "1e-20000"),
    ("boolean", "1"),
    ("boolean", '"yes"'),
    ("ja", '"true"'),
    ("object", "[]"),
    ("object", "5"),
    ("array", "{}"),
    ("array", '"not json"'),
    ("geojson", '{"type":"Nothing"}'),
    ("geojson", '"text"'),
    ("geojson", "[]"),
    ("geopoint", '"90.50"'),
    ("geopoint", '"190, 45"'),
    ("geopoint", '"90, 91"'),
    ("geopoint", "[90, 45]"),
    ("geopoint", '"NaN, 1"'),
    ("point_object", '{"lon":1}'),
    ("duration", '"one year"'),
    ("yearmonth", '"2012-13"'),
    ("yearmonth", '"2012-4"'),
    ("date", '"2012-02-30"'),
    ("date", '"now"'),
    ("date", '"today"'),
    ("date", '"infinity"'),
    ("date", '"0044-03-15 BC"'),
    ("date", '"23/04/2012"'),
    ("date", "20120423"),
    ("time", '"25:00:00"'),
    ("time", '"18:25"'),
    ("time", '"18:25:43+02:00"'),
    ("time", '"18:25:43.1234567"'),
    ("datetime", '"2012-04-23"'),
    ("datetime", '"now"'),
    ("datetime", '"2012-04-23T18:25:43.1234567Z"'),
    ("datetime", '"2012-04-23T18:25:60Z"'),
    ("datetime", '"0001-01-01T00:00:00+14:00"'),
    ("datetime", '"2012-04-23T18:25:43+99:00"'),
    ("email", '"nobody"'),
    ("uri", '"not a uri"'),
    ("uuid", '"1234"'),
    ("binary", '"***"'),
]


@pytest.mark.parametrize(("field", "sent"), REFUSED)
def test_a_value_that_is_not_of_its_type_is_refused_by_name(
    service: Service, field: str, sent: str
) -> None:
    response = service.post("/v", f'{{"{field}": {sent}}}'.encode())
    assert response.status_code == 400, response.text
    assert response.json()["errors"][0].startswith(f"{field}: ")


def test_values_of_an_existing_database_that_json_has_not_are_shown_as_text(
    service: Service,
) -> None:
    service.execute(
        "INSERT INTO v (id, number, date, datetime, string) VALUES "
        "(900000, 'NaN', '0044-03-15 BC', 'infinity', 'x'), "
        "(900001, 'Infinity', '-infinity', '0044-03-15 12:00:00 BC', 'x')"
    )
    first, second = service.get("/v/900000").json(), service.get("/v/900001").json()
    assert (first["number"], first["date"], first["datetime"]) == (
        "NaN",
        "0044-03-15 BC",
        "infinity",
    )
    assert (second["number"], second["date"], second["datetime"]) == (
        "Infinity",
        "-infinity",
        "0044-03-15 12:00:00 BC",
    )


def test_the_columns_have_the_types_of_the_contract(service: Service) -> None:
    rows = service.execute(
        "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute "
        "WHERE attrelid = 'v'::regclass AND attnum > 0"
    )
    types = dict(rows)
    text = {"string", "any", "geopoint", "duration", "yearmonth"}
    assert {types[name] for name in text} == {"text"}
    assert {types[name] for name in ("integer", "year", "id")} == {"integer"}
    assert types["big"] == "bigint"
    assert types["number"] == "numeric"
    assert types["boolean"] == "boolean"
    assert {types[name] for name in ("object", "array", "geojson")} == {"jsonb"}
    assert (types["date"], types["time"], types["datetime"]) == (
        "date",
        "time without time zone",
        "timestamp without time zone",
    )

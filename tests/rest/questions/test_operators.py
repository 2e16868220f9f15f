"""Operators × types: what each finds is what PostgreSQL answers to SQL that is written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
import requests

from data_resource_api.compiler.field_types import FIELD_TYPES
from data_resource_api.rest.questions.operators import OPERATORS
from tests.service import Service, entry, payload, running

#: Table Schema type → a value of it, one greater, and both as SQL; a field is called as its type.
VALUES: dict[str, tuple[str, str, str, str]] = {
    "string": ("b", "c", "'b'", "'c'"),
    "any": ("b", "c", "'b'", "'c'"),
    "geopoint": ("1,2", "3,4", "'1,2'", "'3,4'"),
    "duration": ("P1D", "P2D", "'P1D'", "'P2D'"),
    "yearmonth": ("2001-01", "2002-01", "'2001-01'", "'2002-01'"),
    "integer": ("2", "3", "2", "3"),
    "year": ("2001", "2002", "2001", "2002"),
    "number": ("1.50", "2", "1.5", "2"),
    "boolean": ("false", "true", "false", "true"),
    "date": ("2001-01-01", "2002-01-01", "date '2001-01-01'", "date '2002-01-01'"),
    "time": ("10:00:00Z", "11:00:00Z", "time '10:00'", "time '11:00'"),
    "datetime": (
        "2001-01-01T01:00:00+01:00",
        "2001-01-02T00:00:00Z",
        "timestamp '2001-01-01 00:00'",
        "timestamp '2001-01-02 00:00'",
    ),
    "object": ('{"a": 1}', '{"a": 2}', """'{"a": 1}'::jsonb""", """'{"a": 2}'::jsonb"""),
    "array": ('["a"]', '["b"]', """'["a"]'::jsonb""", """'["b"]'::jsonb"""),
    "geojson": (
        '{"type": "Point", "coordinates": [1, 2]}',
        '{"type": "Point", "coordinates": [2, 2]}',
        """'{"type": "Point", "coordinates": [1, 2]}'::jsonb""",
        """'{"type": "Point", "coordinates": [2, 2]}'::jsonb""",
    ),
}
JSON = ("object", "array", "geojson")

_SIGNS = {"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def _cases() -> Iterator[tuple[str, str, str]]:
    """A parameter's name and value, and the condition that PostgreSQL is asked."""
    for name, (low, high, low_sql, high_sql) in VALUES.items():
        field = f'"{name}"'
        for operator, sign in _SIGNS.items():
            yield name, f"{operator}.{low}", f"{field} {sign} {low_sql}"
            yield name, f"not.{operator}.{high}", f"NOT {field} {sign} {high_sql}"
            # Elements with commas or quotes stand in double quotes.
            low_element, high_element = (
                '"' + text.replace('"', '\\"') + '"' for text in (low, high)
            )
            both = f"{{{low_element},{high_element}}}"
            either = f"ARRAY[{low_sql}, {high_sql}]"
            yield name, f"{operator}(any).{both}", f"{field} {sign} ANY ({either})"
            yield name, f"{operator}(all).{both}", f"{field} {sign} ALL ({either})"
        yield name, f"in.({low_element},{high_element})", f"{field} IN ({low_sql}, {high_sql})"
        yield name, f"not.in.({low_element})", f"{field} NOT IN ({low_sql})"
        yield name, "in.()", "false"
        yield name, "is.null", f"{field} IS NULL"
        yield name, "is.not_null", f"{field} IS NOT NULL"
        yield name, "not.is.null", f"{field} IS NOT NULL"
        yield name, f"isdistinct.{low}", f"{field} IS DISTINCT FROM {low_sql}"
        for operator, sign in {"like": "LIKE", "ilike": "ILIKE"}.items():
            yield name, f"{operator}.*1*", f"{field}::text {sign} '%1%'"
            yield (
                name,
                f"{operator}(any).{{*B*,*2*}}",
                (f"({field}::text {sign} '%B%' OR {field}::text {sign} '%2%')"),
            )
        yield name, "match.^[0-9]+", f"{field}::text ~ '^[0-9]+'"
        yield name, "imatch.^[B-P]", f"{field}::text ~* '^[B-P]'"
        for operator, function in {
            "fts": "to_tsquery",
            "plfts": "plainto_tsquery",
            "phfts": "phraseto_tsquery",
            "wfts": "websearch_to_tsquery",
        }.items():
            yield name, f"{operator}.b", f"to_tsvector({field}::text) @@ {function}('b')"
            yield (
                name,
                f"{operator}(simple).b",
                (f"to_tsvector('simple', {field}::text) @@ {function}('simple', 'b')"),
            )
    for name in JSON:
        low, _, low_sql, _ = VALUES[name]
        yield name, f"cs.{low}", f'"{name}" @> {low_sql}'
        yield name, f"cd.{low}", f'"{name}" <@ {low_sql}'
    yield "array", "cs.{a}", """"array" @> '["a"]'"""
    yield "array", "cd.{a,b}", """"array" <@ '["a", "b"]'"""
    yield "array", "ov.{b,z}", """("array" @> '["b"]' OR "array" @> '["z"]')"""
    yield "array", "ov.{}", "false"
    yield "object->a", "eq.1", """"object"->'a' = '1'::jsonb"""
    yield "object->>a", "eq.1", """"object"->>'a' = '1'"""
    yield "object->>a", "in.(1,2)", """"object"->>'a' IN ('1', '2')"""
    yield "object->a", "gt.1", """"object"->'a' > '1'::jsonb"""
    yield "array->>0", "like.*", """"array"->>0 LIKE '%'"""
    yield "array->>-1", "is.null", """"array"->>-1 IS NULL"""
    for word in ("true", "false", "unknown"):
        yield "boolean", f"is.{word}", f'"boolean" IS {word.upper()}'
        yield "boolean", f"not.is.{word}", f'"boolean" IS NOT {word.upper()}'


CASES = list(_cases())


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    """One row of nulls, one of each lower value, one of each greater, and one of each greater once more."""
    with running(tmp_path_factory.mktemp("operators"), server_url) as service:
        fields = [{"name": name, "type": name} for name in VALUES]
        service.generate(payload(entry("thing", *fields)))
        assert service.database is not None
        names = ", ".join(f'"{name}"' for name in VALUES)
        low = ", ".join(row[2] for row in VALUES.values())
        high = ", ".join(row[3] for row in VALUES.values())
        nulls = ", ".join("NULL" for _ in VALUES)
        service.database.execute(
            f"INSERT INTO thing (id, {names}) VALUES (1, {nulls}), (2, {low}), (3, {high}), (4, {high})"
        )
        yield service


def test_every_type_and_operator_is_compared() -> None:
    """The table has no holes."""
    assert set(VALUES) == set(FIELD_TYPES)
    asked = {
        value.removeprefix("not.").partition(".")[0].partition("(")[0] for _, value, _ in CASES
    }
    assert asked == set(OPERATORS)


@pytest.mark.parametrize("name", [*VALUES, "object->a", "object->>a", "array->>0", "array->>-1"])
def test_an_operator_finds_what_sql_by_hand_finds(service: Service, name: str) -> None:
    """For each of the table's rows about this field."""
    assert service.database is not None
    differing = []
    with requests.Session() as session:
        for field, value, condition in CASES:
            if field != name:
                continue
            url = f"{service.url}/thing?{quote(name)}={quote(value)}&select=id"
            response = session.get(url, timeout=60)
            sql = f"SELECT id FROM thing WHERE {condition} ORDER BY id".replace("%", "%%")
            by_hand = [row[0] for row in service.database.execute(sql, ())]
            found = [row["id"] for row in response.json().get("thing", [])]
            if response.status_code != 200 or found != by_hand:
                differing.append((value, condition, response.text, by_hand))
    assert differing == []


REFUSED = [
    ("integer=eq.x", "integer: "),
    ("integer=gt.1.5", "integer: "),
    ("integer=in.(1,x)", "integer: "),
    ("date=lt.yesterday", "date: "),
    ("boolean=eq.maybe", "boolean: "),
    ("object=eq.{", "object: must be compared with JSON"),
    ("integer=cs.1", "integer: is neither an array nor an object"),
    ("string=ov.{a}", "string: is no array"),
    ("integer=is.true", "integer: is not true or false"),
    ("string=is.nul", "string: is compared with"),
    ("string->a=eq.1", "string: is string, and arrows lead"),
    ("string=eq(some).{a}", "string: eq takes (any) or (all)"),
    ("string=in(any).(a)", "string: in takes nothing"),
    ("integer=eq(any).1", "integer: must be compared with an array"),
    ("string=match.(", "regular expression"),
    (r"string=match.(a)\1", "string: takes no regular expression that refers back"),
    ("string=like." + "a" * 1_001, "string: takes a pattern of 1000 characters"),
    ("string=fts.a b", "tsquery"),
    ("string=fts(klingon).a", "klingon"),
]


@pytest.mark.parametrize(("query", "told"), REFUSED, ids=[told for _, told in REFUSED])
def test_a_value_that_does_not_fit_is_refused(service: Service, query: str, told: str) -> None:
    """With the field, and what it takes."""
    name, _, value = query.partition("=")
    response = requests.get(f"{service.url}/thing?{quote(name)}={quote(value)}", timeout=60)
    assert response.status_code == 400, response.text
    assert told in " ".join(response.json().get("errors", [])), response.text

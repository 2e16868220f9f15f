"""Statements that a connection runs often are prepared, and what was prepared never answers wrongly."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from data_resource_api.rest.prepared import PreparedStatements, form_of
from data_resource_api.rest.statements import Statement
from data_resource_api.rest.transaction import execute
from tests.service import Database, entry, payload, running


def test_a_statement_is_prepared_with_its_parameters_in_order() -> None:
    form = form_of('SELECT "50%%(x)s" FROM t WHERE a = %(p1)s AND b = %(p0)s OR a > %(p1)s')
    assert form is not None
    assert form.prepare == (
        f'PREPARE {form.name} AS SELECT "50%(x)s" FROM t WHERE a = $1 AND b = $2 OR a > $1'
    )
    assert form.execute == f"EXECUTE {form.name} (%(p1)s, %(p0)s)"
    plain = form_of("SELECT 1")
    assert plain is not None
    assert plain.execute == f"EXECUTE {plain.name}"
    assert form_of("EXPLAIN SELECT 1") is None


@pytest.fixture
def cursor(database: Database) -> Iterator[Any]:
    with contextlib.closing(psycopg2.connect(database.url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor


def prepared_in(cursor: Any) -> int:
    cursor.execute("SELECT count(*) FROM pg_prepared_statements")
    return int(cursor.fetchone()[0])


def test_a_statement_is_prepared_when_it_is_run_for_the_fifth_time(cursor: Any) -> None:
    prepared = PreparedStatements()
    statement = Statement("SELECT %(p0)s::text || '%%'", {"p0": "it's"})
    for times in range(1, 10):
        assert execute(cursor, statement, "SELECT 1; ", prepared) == [("it's%",)]
        assert prepared_in(cursor) == (times >= 5)


def test_a_connection_keeps_a_hundred_statements_at_most(cursor: Any) -> None:
    prepared = PreparedStatements()
    for number in range(150):
        for _ in range(6):
            assert execute(cursor, Statement(f"SELECT {number}", {}), "", prepared) == [(number,)]
    assert prepared_in(cursor) == 100


def test_a_table_that_was_changed_meanwhile_is_read_as_it_is(cursor: Any) -> None:
    prepared = PreparedStatements()
    cursor.execute("CREATE TABLE people AS SELECT 1 AS id")
    statement = Statement("SELECT id FROM people", {})
    for _ in range(6):
        assert execute(cursor, statement, "", prepared) == [(1,)]
    cursor.execute("ALTER TABLE people ALTER id TYPE text")
    for _ in range(6):
        assert execute(cursor, statement, "", prepared) == [("1",)]


def test_a_connection_that_was_reset_is_prepared_again(cursor: Any) -> None:
    prepared = PreparedStatements()
    statement = Statement("SELECT 1", {})
    for _ in range(6):
        execute(cursor, statement, "", prepared)
    cursor.execute("DEALLOCATE ALL")
    for _ in range(6):
        assert execute(cursor, statement, "", prepared) == [(1,)]
    assert prepared_in(cursor) == 1


def test_every_operation_is_right_again_and_again(tmp_path: Path, server_url: str) -> None:
    """With few connections, so that each of them prepares."""
    people = entry(
        "people",
        {"name": "name", "type": "string", "constraints": {"unique": True}},
        {"name": "price", "type": "number"},
        {"name": "born", "type": "date"},
        {"name": "notes", "type": "object"},
        {"name": "good", "type": "boolean"},
    )
    with running(tmp_path, server_url, workers=1, DRG_POOL_SIZE="2") as service:
        service.generate(payload(people, entry("teams"), pairs=[("people", "teams")]))
        assert service.post("/teams", {}).status_code == 201
        for number in range(1, 25):
            sent = {
                "name": f"it's %{number}",
                "price": number + 0.5,
                "born": f"2012-04-{number:02}",
                "notes": {"n": number},
                "good": number % 2 == 0,
            }
            key = service.post("/people", sent).json()["id"]
            row = {"id": key, **sent}
            path = f"/people/{key}"
            assert service.get(path).json() == row
            assert service.get("/people?limit=1&from=end").json()["people"] == [row]
            assert service.post("/people/query", sent).json()["results"] == [row]
            assert service.patch(path, {"price": None}).status_code == 200
            assert service.get(path).json() == row | {"price": None}
            assert service.put(path, sent).status_code == 200
            assert service.get(path).json() == row
            assert service.post("/people", sent).status_code == 409
            assert service.put(f"{path}/teams", [1]).json() == [1]
            assert service.get(f"{path}/teams").json() == [1]
        service.execute("ALTER TABLE people ALTER price TYPE text")
        for _ in range(12):
            assert service.get("/people/1").status_code == 200

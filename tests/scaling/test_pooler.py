"""Behind PgBouncer in transaction mode, with nothing configured there for the service."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from tests.scaling.postgres import Node, PgBouncer, nodes
from tests.service import Database, Service, entry, open_folder, payload

FIELDS = (
    {"name": "name", "type": "string"},
    {"name": "born", "type": "date"},
    {"name": "seen", "type": "datetime"},
    {"name": "paid", "type": "number"},
)
ROW = {"name": "Ada", "born": "1815-12-10", "seen": "2024-02-29T23:59:59.5Z", "paid": 1.10}


def document() -> dict[str, object]:
    return payload(
        entry("people", *FIELDS),
        entry("team", {"name": "name", "type": "string"}),
        pairs=[("people", "team")],
    )


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    # Whoever relies on the settings of a session is found out by other ones.
    with nodes("primary", timezone="Asia/Tokyo", datestyle="German, DMY") as (primary,):
        yield primary


@pytest.fixture(scope="module")
def pooler(pgbouncer_program: str, node: Node) -> Iterator[PgBouncer]:
    with open_folder() as folder:
        pooler = PgBouncer(pgbouncer_program, node, folder, connections=3)
        pooler.start()
        try:
            yield pooler
        finally:
            pooler.stop()


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, node: Node, pooler: PgBouncer
) -> Iterator[Service]:
    database = Database(node.url())
    service = Service(
        tmp_path_factory.mktemp("pooler"),
        database,
        workers=2,
        DRG_POOLER="1",
        DRG_STATEMENT_TIMEOUT="700",
    )
    service.environment["DATABASE_URL"] = pooler.url(database.name)
    service.start()
    try:
        service.generate(document())
        yield service
        service.stop()
        assert "Traceback" not in service.log(), service.log()
    finally:
        service.kill()


def test_rows_are_written_and_read_as_without_a_pooler(service: Service) -> None:
    """Dates and times too, although neither the time zone nor the date style is a session's."""
    created = service.post("/people", ROW)
    assert created.status_code == 201, created.text
    path = created.headers["Location"]
    for _ in range(8):
        assert service.get(path).json() == {"id": created.json()["id"], **ROW}
    assert service.patch(path, {"name": "Countess"}).status_code == 200
    assert service.put(path, {**ROW, "name": "Ada"}).status_code == 200
    assert service.put("/people/70", ROW).status_code == 201
    assert service.post("/people/query", {"born": "1815-12-10"}).json()["results"]
    assert service.get("/people").json()["people"]
    assert service.post("/people", {"id": 70, **ROW}).status_code == 409
    draft = {"name": "draft", "tableSchema": {"fields": [{"name": "id", "type": "integer"}]}}
    assert service.put("/tableschema/1", draft).status_code == 200
    assert service.get("/tableschema").status_code == 200


def test_many_rows_of_many_clients_stay_apart(service: Service) -> None:
    """Each stages its rows in a temporary table of one of three server connections."""
    body = "name,born,seen,paid\n" + "Bulk,1815-12-10,2024-02-29T23:59:59.5Z,1.10\n" * 50
    bodies = [(body, "text/csv", 201), (json.dumps([ROW] * 50), "application/json", 201)]
    bodies += [(body + "x\n", "text/csv", 400)]
    wrong: list[object] = []

    def add(number: int) -> None:
        for turn in range(6):
            text, media_type, status = bodies[(number + turn) % len(bodies)]
            response = service.post("/people", text, headers={"Content-Type": media_type})
            if response.status_code != status:
                wrong.append(response.text)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    found = service.post("/people/query?limit=1", {"name": "Bulk"}).json()["results"][0]
    assert {**found, "id": 0} == {"id": 0, **ROW, "name": "Bulk"}


def test_many_to_many_changes_of_many_clients_stay_whole(service: Service) -> None:
    """Each is one transaction on one of three server connections; none is left open there."""
    person = service.post("/people", ROW).json()["id"]
    teams = [service.post("/team", {"name": f"team {n}"}).json()["id"] for n in range(6)]
    statuses: list[int] = []

    def change(number: int) -> None:
        for turn in range(6):
            ids = teams[: 1 + (number + turn) % len(teams)]
            statuses.append(service.put(f"/people/{person}/team", ids).status_code)
            refused = service.put(f"/people/{person}/team", [*ids, 0])
            statuses.append(refused.status_code)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(statuses)) == [200, 400]
    related = service.get(f"/people/{person}/team").json()
    assert related == teams[: len(related)] != []
    idle = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    assert service.database.execute(idle) == [(0,)]


def test_nothing_is_set_for_the_sessions_that_others_share(
    service: Service, node: Node, pooler: PgBouncer
) -> None:
    """Another client of the pooler, on the same server connections, has the server's settings."""
    service.get("/people")
    assert service.database is not None
    with contextlib.closing(psycopg2.connect(pooler.url(service.database.name))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for _ in range(12):
                cursor.execute("SELECT current_setting('statement_timeout')")
                assert cursor.fetchone() == ("0",)


@pytest.mark.parametrize("path", ["/people", "/people/1/team"])
def test_a_statement_that_takes_too_long_is_503(service: Service, path: str) -> None:
    assert service.database is not None
    with contextlib.closing(psycopg2.connect(service.database.url)) as connection:
        connection.cursor().execute('LOCK TABLE people, "people/team" IN ACCESS EXCLUSIVE MODE')
        for method, body in (("GET", None), ("PUT", [])):
            if method == "PUT" and path == "/people":
                continue
            response = service.request(method, path, body)
            assert response.status_code == 503
            assert "DRG_STATEMENT_TIMEOUT" in response.json()["error"]
    assert service.get("/people").status_code == 200


def test_a_new_payload_is_served_by_every_worker_and_after_a_restart(service: Service) -> None:
    database = service.database
    assert database is not None
    database.execute("ALTER TABLE team ADD COLUMN colour text")
    changed = payload(
        entry("people", *FIELDS),
        entry("team", {"name": "name", "type": "string"}, {"name": "colour", "type": "string"}),
        pairs=[("people", "team")],
    )
    service.generate({**changed, "touch_database": False})
    for _ in range(8):
        assert service.post("/team", {"name": "x", "colour": "red"}).status_code == 201
    live = service.get("/generator").json()["version"]
    service.stop()
    service.start()
    for _ in range(8):
        response = service.get("/team?limit=1000")
        assert response.status_code == 200
        assert response.headers["DRG-Version"] == live
        assert response.json()["team"][-1]["colour"] == "red"


def test_a_pooler_that_is_restarted_costs_no_restart_of_the_service(
    service: Service, pooler: PgBouncer
) -> None:
    pooler.stop()
    response = service.get("/people")
    assert response.status_code == 503
    assert "Retry-After" in response.headers
    pooler.start()
    statuses = [service.get("/people").status_code for _ in range(200)]
    assert set(statuses) <= {200, 503}
    while service.get("/people").status_code != 200:
        pass
    assert service.post("/people", ROW).status_code == 201


def test_without_the_setting_the_log_says_which_one_is_missing(
    tmp_path: Path, node: Node, pooler: PgBouncer
) -> None:
    database = Database(node.url())
    service = Service(tmp_path, database, workers=1)
    service.environment["DATABASE_URL"] = pooler.url(database.name)
    service.start()
    try:
        assert service.get("/people").status_code == 503
        assert "DRG_POOLER=1" in service.get("/-/ready").json()["error"]
        assert "DRG_POOLER=1" in service.log()
    finally:
        service.stop()
        service.kill()

"""Distribution over a Citus cluster: refused where there is none, and generated where there is one.

Citus is in no package registry, so the tests that need it run where ``CITUS_URL`` names a coordinator, as a
user who may create databases and the extension, and whose nodes may connect to one another (``.pgpass``).
The SQL itself is asserted in ``tests/compiler``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import sqlalchemy as sa

from data_resource_api import compile_data_resource
from data_resource_api.rest.statements import TableStatements
from tests.service import Database, Service, entry, payload, running

NAME = {"name": "name", "type": "string"}
PROVIDER = entry("provider", NAME) | {"distribution": {"key": "id"}}
REGION = entry("region", NAME) | {"distribution": {"reference": True}}
SESSION = entry(
    "session",
    {"name": "provider_id", "type": "integer"},
    {"name": "number", "type": "integer"},
    {"name": "region_id", "type": "integer"},
    key=["provider_id", "number"],
    foreignKeys=[
        {"fields": "provider_id", "reference": {"resource": "provider", "fields": "id"}},
        {"fields": "region_id", "reference": {"resource": "region", "fields": "id"}},
    ],
) | {"distribution": {"key": "provider_id"}}


def plain(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "distribution"}


def document(*, spread: bool = True, **flags: Any) -> dict[str, Any]:
    entries = [PROVIDER, REGION, SESSION]
    pairs = [("provider", "region")]
    made = payload(*(entries if spread else map(plain, entries)), pairs=pairs, paths=PATHS)
    return made | flags


DONE = {"responses": {"200": {"description": "Done."}}}
KEY = [{"name": "id", "in": "path", "required": True, "schema": {}}]
ROW = {"parameters": KEY, "get": DONE, "put": DONE, "patch": DONE}
PATHS = {
    **{f"/{name}": {"get": DONE, "post": DONE} for name in ("provider", "region", "session")},
    **{f"/{name}/{{id}}": ROW for name in ("provider", "region")},
    "/session/query": {"post": DONE},
    "/provider/{id}/region": ROW,
    "/region/{id}/provider": ROW,
}


# ── without Citus ────────────────────────────────────────────────────────────────────────────────

REFUSAL = {
    "error": "The payload distributes tables, and the database has no citus extension. Install Citus 12 "
    "or newer and run CREATE EXTENSION citus on the coordinator, or leave "
    '"distribution" out of every entry.',
    "errors": [
        'provider: should be distributed by "id".',
        "region: should be a reference table.",
        'session: should be distributed by "provider_id".',
        'provider/region: should be distributed by "provider_id".',
    ],
}


def test_without_the_extension_nothing_is_generated_and_nothing_stays_local(
    service: Service,
) -> None:
    assert service.database is not None
    response = service.post("/generator", document())
    assert (response.status_code, response.json()) == (409, REFUSAL)
    assert service.database.tables() == []
    assert service.get("/generator").status_code == 404
    assert service.get("/provider").status_code == 404

    service.generate(document(spread=False))
    assert service.post("/provider", {"name": "Northfield"}).status_code == 201
    live = service.get("/generator").json()
    assert [table["distribution"] for table in live["tables"]] == [None, None, None]

    # The tables are there, and local: to say that they are distributed is refused as well.
    response = service.post("/generator", document(touch_database=False))
    assert (response.status_code, response.json()) == (409, REFUSAL)
    assert service.get("/generator").json() == live
    assert service.get("/provider/1").json() == {"id": 1, "name": "Northfield"}


def test_the_library_runs_the_functions_of_citus_or_fails(database: Database) -> None:
    """``create_tables`` is all or nothing here, too."""
    engine = sa.create_engine(database.url.replace("postgresql:", "postgresql+psycopg2:"))
    with pytest.raises(sa.exc.ProgrammingError, match="create_distributed_table"):
        compile_data_resource(document()).create_tables(engine)
    engine.dispose()
    assert database.tables() == []


def test_the_key_of_a_distributed_table_is_drawn_from_its_sequence_alone(
    database: Database,
) -> None:
    """Each further attempt goes further, so that any run of taken keys is soon passed."""
    compile_data_resource(document(spread=False)).create_tables(
        engine := sa.create_engine(database.url.replace("postgresql:", "postgresql+psycopg2:"))
    )
    engine.dispose()
    statements = TableStatements(compile_data_resource(document()).tables["provider"])
    for attempt, drawn in enumerate([1, 5, 21]):
        statement = statements.draw(attempt)
        assert '"provider"' not in statement.sql
        assert database.execute(statement.sql, statement.parameters) == [(drawn,)]


# ── with Citus ───────────────────────────────────────────────────────────────────────────────────

CITUS_URL = os.environ.get("CITUS_URL", "")
on_citus = pytest.mark.skipif(not CITUS_URL, reason="CITUS_URL names no coordinator")


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Service]:
    """A service on a database of its own on the coordinator, whose only node is the coordinator."""
    with running(folder, CITUS_URL) as service:
        assert service.database is not None
        host = psycopg2.extensions.parse_dsn(service.database.url)
        service.execute("CREATE EXTENSION citus")
        service.execute(
            "SELECT citus_set_coordinator_host(%s, %s)",
            (host.get("host", "localhost"), int(host.get("port", 5432))),
        )
        service.execute(
            "SELECT citus_set_node_property(nodename, nodeport, 'shouldhaveshards', true) "
            "FROM pg_dist_node"
        )
        yield service


def distributions(service: Service) -> dict[str, tuple[str, str | None]]:
    """Table → what it is for Citus, and its key."""
    rows = service.execute(
        "SELECT c.relname::text, CASE WHEN p.partmethod = 'h' THEN 'distributed' "
        "WHEN p.repmodel = 't' THEN 'reference' ELSE 'other' END, "
        "column_to_column_name(p.logicalrelid, p.partkey) "
        "FROM pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid"
    )
    return {name: (kind, key) for name, kind, key in rows}


@on_citus
def test_a_generated_cluster_has_the_tables_that_the_payload_describes(tmp_path: Path) -> None:
    with cluster(tmp_path) as service:
        service.generate(document())
        assert distributions(service) == {
            "provider": ("distributed", "id"),
            "region": ("reference", None),
            "session": ("distributed", "provider_id"),
            "provider/region": ("distributed", "provider_id"),
        }
        tables = service.get("/generator").json()["tables"]
        assert [table["distribution"] for table in tables] == [
            {"key": "id"},
            {"reference": True},
            {"key": "provider_id"},
        ]
        keys = service.execute(
            "SELECT conname::text FROM pg_constraint "
            "WHERE contype = 'f' AND conrelid = 'session'::regclass ORDER BY 1"
        )
        assert keys == [("fk_session_provider_id",), ("fk_session_region_id",)]


@on_citus
def test_the_routes_of_distributed_tables_answer_as_everywhere(tmp_path: Path) -> None:
    with cluster(tmp_path) as service:
        service.generate(document())
        assert service.put("/provider/1", {"name": "first"}).status_code == 201
        assert service.post("/provider", {"name": "second"}).json()["id"] == 2, "1 is taken"
        assert service.patch("/provider/2", {"name": "other"}).status_code == 200
        assert service.get("/provider/2").json() == {"id": 2, "name": "other"}
        assert service.get("/provider/9").status_code == 404
        page = service.get("/provider?limit=1").json()
        assert [row["id"] for row in page["provider"]] == [1]
        following = next(link["href"] for link in page["links"] if link["rel"] == "next")
        assert [row["id"] for row in service.get(following).json()["provider"]] == [2]

        assert service.put("/region/1", {"name": "north"}).status_code == 201
        assert service.post("/region", {"name": "south"}).json()["id"] == 2, "1 is taken"

        row = {"provider_id": 1, "number": 1, "region_id": 2}
        assert service.post("/session", row).status_code == 201
        assert service.post("/session", row).status_code == 409, "a primary key"
        assert service.post("/session", {**row, "provider_id": 9}).status_code == 409
        assert service.post("/session", {**row, "number": 2, "region_id": 9}).status_code == 409
        assert service.post("/session/query", {"region_id": 2}).json()["results"] == [row]

        for path, children in (("/provider/1/region", [1, 2]), ("/region/1/provider", [1, 2])):
            assert service.put(path, children).json() == children
            assert service.put(path, children[:1]).json() == children[:1]
            assert service.patch(path, children).json() == children
            assert service.get(path).json() == children
            assert service.put(path, [1, 77]).status_code == 400
        assert "Traceback" not in service.log()


@on_citus
def test_a_generation_that_the_cluster_refuses_leaves_nothing(tmp_path: Path) -> None:
    with cluster(tmp_path) as service:
        assert service.database is not None
        service.execute(
            f'ALTER DATABASE "{service.database.name}" SET citus.shard_replication_factor = 2'
        )
        service.stop()
        service.start()
        response = service.post("/generator", document())
        assert response.status_code == 409, "one node cannot hold two copies"
        assert service.database.tables() == []
        assert distributions(service) == {}


def create_by_hand(service: Service, document: dict[str, Any]) -> None:
    """Create a payload's tables past the service."""
    assert service.database is not None
    url = service.database.url.replace("postgresql:", "postgresql+psycopg2:")
    engine = sa.create_engine(url)
    compile_data_resource(document).create_tables(engine)
    engine.dispose()


@on_citus
def test_tables_that_exist_are_adopted_as_they_are_distributed(tmp_path: Path) -> None:
    with cluster(tmp_path) as service:
        create_by_hand(service, document())
        response = service.post("/generator", document(spread=False, touch_database=False))
        assert response.status_code == 409
        assert response.json()["errors"] == [
            'provider: is distributed by "id" and should be local.',
            "region: is a reference table and should be local.",
            'session: is distributed by "provider_id" and should be local.',
            'provider/region: is distributed by "provider_id" and should be local.',
        ]
        service.generate(document(touch_database=False))


@on_citus
def test_tables_that_are_local_are_not_adopted_as_distributed(tmp_path: Path) -> None:
    with cluster(tmp_path) as service:
        create_by_hand(service, document(spread=False))
        response = service.post("/generator", document(touch_database=False))
        assert response.status_code == 409
        assert response.json()["errors"] == [
            'provider: is local and should be distributed by "id".',
            "region: is local and should be a reference table.",
            'session: is local and should be distributed by "provider_id".',
            'provider/region: is local and should be distributed by "provider_id".',
        ]

"""Reads are answered by streaming replicas, and a client sees its own writes if it asks to."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.scaling.postgres import Node, behind, caught_up, nodes, wait_for
from tests.service import Database, Service, entry, free_port, payload

PEOPLE = entry("people", {"name": "name", "type": "string"})
TEAM = entry("team", {"name": "name", "type": "string"})


def missed(service: Service, number: int) -> int:
    """How often a worker has begun to pass over a replica."""
    line = f"Replica {number} of DATABASE_READ_URL cannot be reached"
    return service.log().count(line)


def found_again(service: Service) -> int:
    return service.log().count("Replica 1 of DATABASE_READ_URL answers again")


@pytest.fixture(scope="module")
def cluster() -> Iterator[list[Node]]:
    with nodes("primary", "replica") as made:
        yield made


@pytest.fixture(scope="module")
def primary(cluster: list[Node]) -> Node:
    return cluster[0]


@pytest.fixture(scope="module")
def replica(cluster: list[Node]) -> Node:
    return cluster[1]


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, primary: Node, replica: Node
) -> Iterator[Service]:
    database = Database(primary.url())
    caught_up(primary, replica)
    service = Service(
        tmp_path_factory.mktemp("replicas"),
        database,
        workers=2,
        DRG_STATEMENT_TIMEOUT="1000",
        # There is nobody at the second one's port, ever.
        DATABASE_READ_URL=f"{replica.url(database.name)} postgresql://drg@127.0.0.1:{free_port()}/x",
    )
    service.start()
    try:
        service.generate(payload(PEOPLE, TEAM, pairs=[("people", "team")]))
        caught_up(primary, replica)
        wait_for(
            "both workers miss it", lambda: service.get("/team").ok and missed(service, 2) == 2
        )
        yield service
        service.stop()
        assert "Traceback" not in service.log(), service.log()
    finally:
        service.kill()


@pytest.fixture
def paused(primary: Node, replica: Node) -> Iterator[None]:
    with behind(primary, replica):
        yield


def add(service: Service, name: str) -> tuple[int, dict[str, str]]:
    """A new row's id, and the headers that a read has to carry to see it."""
    response = service.post("/people", {"name": name})
    assert response.status_code == 201, response.text
    return response.json()["id"], {"DRG-Position": response.headers["DRG-Position"]}


READS = [
    ("GET", "/people/{id}", None),
    ("GET", "/people?limit=1000", None),
    ("POST", "/people/query", {"name": "{name}"}),
    ("GET", "/people/{id}/team", None),
]


def test_reads_are_answered_by_the_replica(
    service: Service, primary: Node, replica: Node, paused: None
) -> None:
    """What the replica does not show yet, a read without a position does not either."""
    id_, _ = add(service, "Unseen")
    for _ in range(8):  # of either worker
        assert service.get(f"/people/{id_}").status_code == 404
        assert service.get(f"/people/{id_}/team").status_code == 404
        assert "Unseen" not in service.get("/people?limit=1000").text
        assert service.post("/people/query", {"name": "Unseen"}).status_code == 404
    assert primary.execute("SELECT count(*) FROM people", service.database.name) != [(0,)]
    connected = replica.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'data-resource-generator'"
    )
    assert connected[0][0] > 0


@pytest.mark.parametrize(("method", "path", "body"), READS)
def test_a_read_with_the_position_of_a_write_sees_it(
    service: Service, paused: None, method: str, path: str, body: dict[str, str] | None
) -> None:
    """As long as the replica has not replayed that far, the primary answers."""
    name = f"{method} {path}"
    id_, headers = add(service, name)
    sent = body and {"name": name}
    for _ in range(8):
        response = service.request(
            method,
            path.format(id=id_) + "?limit=1000" * path.endswith("people"),
            sent,
            headers=dict(headers),
        )
        assert response.status_code == 200, response.text
        if not path.endswith("team"):
            assert name in response.text


def test_a_replica_that_has_replayed_the_position_answers(
    service: Service, primary: Node, replica: Node
) -> None:
    """Rows that only the replica shows: the write that removed them came later."""
    id_, headers = add(service, "Kept")
    caught_up(primary, replica)
    replica.execute("SELECT pg_wal_replay_pause()")
    try:
        primary.execute(f"DELETE FROM people WHERE id = {id_}", service.database.name)
        for _ in range(8):
            assert service.get(f"/people/{id_}", headers=dict(headers)).status_code == 200
    finally:
        replica.execute("SELECT pg_wal_replay_resume()")
    caught_up(primary, replica)
    assert service.get(f"/people/{id_}", headers=dict(headers)).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/people", {"name": "Posted"}, 201),
        ("PUT", "/people/900", {"name": "Created"}, 201),
        ("PUT", "/people/900", {"name": "Updated"}, 200),
        ("PATCH", "/people/900", {"name": "Patched"}, 200),
        ("PUT", "/people/900/team", [], 200),
        ("PATCH", "/people/900/team", [], 200),
    ],
)
def test_every_write_says_its_position_after_the_commit(
    service: Service, primary: Node, method: str, path: str, body: object, status: int
) -> None:
    before = primary.execute("SELECT pg_current_wal_insert_lsn()")[0][0]
    response = service.request(method, path, body)
    assert response.status_code == status, response.text
    position = response.headers["DRG-Position"]
    after = primary.execute("SELECT pg_current_wal_insert_lsn()")[0][0]
    asked = f"SELECT '{before}' <= '{position}'::pg_lsn AND '{position}' <= '{after}'::pg_lsn"
    assert primary.execute(asked) == [(True,)]


@pytest.mark.parametrize(
    ("name", "body", "media_type"),
    [
        ("In a list", '[{"name": "In a list"}]', "application/json"),
        ("In a CSV", "name\nIn a CSV\n", "text/csv"),
    ],
)
def test_many_rows_are_seen_with_their_position(
    service: Service, paused: None, name: str, body: str, media_type: str
) -> None:
    added = service.post("/people", body, headers={"Content-Type": media_type})
    assert added.status_code == 201, added.text
    headers = {"DRG-Position": added.headers["DRG-Position"]}
    found = service.post("/people/query", {"name": name}, headers=dict(headers))
    assert found.status_code == 200, found.text


def test_a_many_to_many_change_is_seen_with_its_position(service: Service, paused: None) -> None:
    id_, _ = add(service, "Member")
    team = service.post("/team", {"name": "Blue"}).json()["id"]
    changed = service.put(f"/people/{id_}/team", [team])
    headers = {"DRG-Position": changed.headers["DRG-Position"]}
    for _ in range(8):
        seen = service.get(f"/people/{id_}/team", headers=dict(headers))
        assert seen.json() == [team]


@pytest.mark.parametrize(
    "text", ["1", "0/", "0/3000148x", "G/1", "0/123456789", "0/1'; --", "0/1, 0/2"]
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/people"), ("POST", "/people")])
def test_a_position_that_is_none_is_400(
    service: Service, text: str, method: str, path: str
) -> None:
    body = {"name": "x"} if method == "POST" else None
    response = service.request(method, path, body, headers={"DRG-Position": text})
    assert response.status_code == 400
    assert "DRG-Position" in response.json()["error"]


def test_a_position_that_is_far_ahead_is_served_by_the_primary(service: Service) -> None:
    id_, _ = add(service, "Now")
    headers = {"DRG-Position": "FFFFFFFF/FFFFFFFF"}
    assert service.get(f"/people/{id_}", headers=headers).status_code == 200


def test_a_replica_that_does_not_know_the_tables_yet_leaves_them_to_the_primary(
    service: Service, primary: Node, replica: Node, paused: None
) -> None:
    """New tables and a new column: what the replica cannot answer is no error."""
    database = service.database
    database.execute("CREATE TABLE pet (id integer PRIMARY KEY); INSERT INTO pet VALUES (1)")
    database.execute("ALTER TABLE people ADD COLUMN age integer")
    people = entry("people", {"name": "name", "type": "string"}, {"name": "age", "type": "integer"})
    document = payload(people, TEAM, entry("pet"), pairs=[("people", "team")])
    document["touch_database"] = False
    database.execute("ALTER TABLE pet ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY")
    service.generate(document)
    for _ in range(8):
        assert service.get("/pet").json()["pet"] == [{"id": 1}]
        assert service.get("/people").status_code == 200


def test_a_replica_that_nobody_can_reach_costs_no_request(service: Service) -> None:
    """Each worker has tried it once for a client, and a thread of its own goes on trying."""
    assert missed(service, 2) == 2
    assert {service.get("/people").status_code for _ in range(12)} == {200}
    assert missed(service, 2) == 2


@pytest.mark.parametrize("how", ["stopped", "suspended"])
def test_a_replica_that_is_gone_is_replaced_by_the_primary_without_an_error(
    service: Service, primary: Node, replica: Node, how: str
) -> None:
    id_, headers = add(service, "Lasting")
    caught_up(primary, replica)
    before, again = missed(service, 1), found_again(service)
    if how == "stopped":
        replica.stop()
    else:
        replica.signal(signal.SIGSTOP)
    asked = 0
    while missed(service, 1) < before + 2 or asked < 12:  # both workers have noticed
        assert service.get(f"/people/{id_}").status_code == 200
        assert service.get(f"/people/{id_}", headers=dict(headers)).status_code == 200
        assert service.post("/people", {"name": "Meanwhile"}).status_code == 201
        asked += 1
        assert asked < 200
    if how == "stopped":
        replica.start()
    else:
        replica.signal(signal.SIGCONT)
    wait_for("both workers ask it again", lambda: found_again(service) == again + 2)
    caught_up(primary, replica)
    replica.execute("SELECT pg_wal_replay_pause()")
    try:
        unseen, _ = add(service, "Unseen")
        for _ in range(8):
            assert service.get(f"/people/{unseen}").status_code == 404
    finally:
        replica.execute("SELECT pg_wal_replay_resume()")


def test_every_answer_names_the_data_resource_that_gave_it(service: Service) -> None:
    live = service.get("/generator").json()["version"]
    for method, path, body, status in (
        ("GET", "/people", None, 200),
        ("HEAD", "/people", None, 200),
        ("GET", "/people/0", None, 404),
        ("GET", "/nothing", None, 404),
        ("DELETE", "/people/1", None, 405),
        ("GET", "/people?limit=0", None, 400),
        ("POST", "/people", {"name": 1}, 400),
        ("POST", "/people", {"name": "x" * 17_000_000}, 413),
    ):
        response = service.request(method, path, body)
        assert response.status_code == status, (method, path, response.text)
        assert response.headers["DRG-Version"] == live, (method, path)


def test_without_replicas_a_write_says_no_position(
    tmp_path_factory: pytest.TempPathFactory, primary: Node
) -> None:
    alone = Service(tmp_path_factory.mktemp("alone"), Database(primary.url()), workers=1)
    alone.start()
    try:
        alone.generate(payload(PEOPLE))
        response = alone.post("/people", {"name": "Ada"})
        assert response.status_code == 201
        assert "DRG-Position" not in response.headers
        assert alone.get("/people", headers={"DRG-Position": "0/1"}).status_code == 200
    finally:
        alone.stop()

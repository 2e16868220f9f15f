"""Exports, imports and batches behind PgBouncer in transaction mode, and beside a streaming replica."""

from __future__ import annotations

import contextlib
import functools
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.scaling.postgres import Node, PgBouncer, behind, caught_up, nodes, wait_for
from tests.service import Database, Service, entry, open_folder, payload

#: Many batches of a stream.
ROWS = 30_000

CSV, NDJSON = "text/csv", "application/x-ndjson"

DOCUMENT = payload(
    entry(
        "measure",
        {"name": "name", "type": "string", "constraints": {"unique": True}},
        {"name": "value", "type": "number"},
        {"name": "at", "type": "datetime"},
    ),
    entry("sensor", {"name": "name", "type": "string", "constraints": {"unique": True}}),
)

INSERT = f"""INSERT INTO measure
  SELECT n, 'Name, "' || n || '"', n + 0.10, timestamp '2024-02-29 23:59:59.5'
  FROM generate_series(1, {ROWS}) n"""


def csv_row(number: int) -> str:
    return f'{number},"Name, ""{number}""",{number}.10,2024-02-29T23:59:59.5Z\n'


def ndjson_row(number: int) -> str:
    row = f'{{"id":{number},"name":"Name, \\"{number}\\"","value":{number}.10,'
    return row + '"at":"2024-02-29T23:59:59.5Z"}\n'


@pytest.fixture(scope="module")
def cluster() -> Iterator[list[Node]]:
    with nodes("primary", "replica") as made:
        yield made


@pytest.fixture(scope="module")
def pooler(pgbouncer_program: str, cluster: list[Node]) -> Iterator[PgBouncer]:
    with open_folder() as folder:
        pooler = PgBouncer(pgbouncer_program, cluster[0], folder, connections=4)
        pooler.start()
        try:
            yield pooler
        finally:
            pooler.stop()


@contextlib.contextmanager
def served(folder: Path, database: Database, settings: dict[str, str]) -> Iterator[Service]:
    service = Service(folder, database, workers=2)
    service.environment |= settings
    service.start()
    try:
        service.generate(DOCUMENT)
        database.execute(INSERT)
        yield service
        service.stop()
        assert "Traceback" not in service.log(), service.log()
    finally:
        service.kill()


@pytest.fixture(scope="module")
def pooled(
    tmp_path_factory: pytest.TempPathFactory, cluster: list[Node], pooler: PgBouncer
) -> Iterator[Service]:
    database = Database(cluster[0].url())
    url = pooler.url(database.name)
    folder = tmp_path_factory.mktemp("pooled")
    with served(folder, database, {"DRG_POOLER": "1", "DATABASE_URL": url}) as service:
        yield service


@pytest.fixture(scope="module")
def replicated(tmp_path_factory: pytest.TempPathFactory, cluster: list[Node]) -> Iterator[Service]:
    primary, replica = cluster
    database = Database(primary.url())
    caught_up(primary, replica)
    url = replica.url(database.name)
    folder = tmp_path_factory.mktemp("replicated")
    with served(folder, database, {"DATABASE_READ_URL": url}) as service:
        caught_up(primary, replica)
        yield service


@pytest.fixture(params=["pooled", "replicated"])
def service(request: pytest.FixtureRequest) -> Service:
    found: Service = request.getfixturevalue(request.param)
    return found


def count(service: Service, table: str = "measure") -> int:
    assert service.database is not None
    return int(service.database.execute(f'SELECT count(*) FROM "{table}"')[0][0])


def export(service: Service, form: str, path: str = "/measure", **headers: str) -> str:
    response = service.get(path, headers={"Accept": form, **headers})
    assert response.status_code == 200, response.text
    return response.content.decode()


def add(service: Service, body: Any, form: str = CSV) -> requests.Response:
    return service.post("/measure", body, headers={"Content-Type": form})


def batch(service: Service, *operations: tuple[str, str, Any]) -> requests.Response:
    named = [dict(zip(("method", "path", "body"), each, strict=True)) for each in operations]
    return service.post("/-/batch", {"operations": named})


def together(*calls: Callable[[], None]) -> None:
    """Each in a thread of its own; what one of them raises is raised here."""
    raised: list[BaseException] = []

    def run(call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 (it is raised again, in the test's own thread)
            raised.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


# ── exports ──────────────────────────────────────────────────────────────────────────────────────


def test_an_export_has_every_row_as_it_is(service: Service) -> None:
    """Several at once, and page by page between them."""
    wanted_csv = "id,name,value,at\n" + "".join(csv_row(n) for n in range(1, ROWS + 1))
    wanted_lines = "".join(ndjson_row(n) for n in range(1, ROWS + 1))
    query = f"?id=lte.{ROWS}"

    def as_csv() -> None:
        assert export(service, CSV, f"/measure{query}").replace("\r\n", "\n") == wanted_csv

    def as_lines() -> None:
        assert export(service, NDJSON, f"/measure{query}") == wanted_lines

    def a_page() -> None:
        for _ in range(20):
            assert len(service.get("/measure?limit=10").json()["measure"]) == 10

    together(as_csv, as_lines, a_page)


def test_an_export_that_a_client_breaks_off_leaves_no_transaction_open(service: Service) -> None:
    for _ in range(6):
        with requests.get(
            service.url + "/measure", headers={"Accept": CSV}, stream=True, timeout=60
        ) as response:
            assert next(response.iter_content(1_000))
    idle = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    assert service.database is not None
    database = service.database
    wait_for("nothing is left open", lambda: database.execute(idle) == [(0,)])
    assert export(service, CSV).count("\n") >= ROWS


# ── imports ──────────────────────────────────────────────────────────────────────────────────────

#: What is wrong with the last of very many rows → its text, and the status of the refusal.
BAD: dict[str, tuple[str, int]] = {
    "a value of another type": ("bad,x,2024-01-01T00:00:00Z\n", 400),
    "a name that a row of the table has": ('"Name, ""7""",1,2024-01-01T00:00:00Z\n', 409),
    "a field too many": ("bad,1,2024-01-01T00:00:00Z,more\n", 400),
}


@pytest.mark.parametrize("fault", BAD)
def test_an_import_with_a_bad_row_adds_nothing(service: Service, fault: str) -> None:
    before = count(service)
    line, status = BAD[fault]
    rows = "".join(f"new {n},1.5,2024-01-01T00:00:00Z\n" for n in range(20_000))
    response = add(service, f"name,value,at\n{rows}{line}")
    assert response.status_code == status, response.text
    assert count(service) == before


def test_an_import_that_breaks_off_adds_nothing(service: Service) -> None:
    before = count(service)

    def rows() -> Iterator[bytes]:
        yield b"name,value,at\n"
        for n in range(20_000):
            yield b"broken %d,1.5,2024-01-01T00:00:00Z\n" % n
        raise ConnectionAbortedError

    with pytest.raises((requests.ConnectionError, ConnectionAbortedError)):
        requests.post(service.url + "/measure", rows(), headers={"Content-Type": CSV}, timeout=60)
    assert service.database is not None
    database = service.database
    busy = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE '%in transaction%'"
    wait_for("its transaction has ended", lambda: database.execute(busy) == [(0,)])
    time.sleep(0.5)
    assert count(service) == before


def test_imports_of_several_clients_add_all_of_their_rows(service: Service) -> None:
    """CSV and NDJSON at once: each stages its rows on a connection that others have used."""
    before = count(service)
    number = 5_000

    def as_csv(name: str) -> None:
        rows = "".join(f"{name} {n},1.5,2024-01-01T00:00:00Z\n" for n in range(number))
        answer = add(service, f"name,value,at\n{rows}")
        assert (answer.status_code, answer.json()["count"]) == (201, number), answer.text

    def as_lines(name: str) -> None:
        rows = "".join(f'{{"name": "{name} {n}", "value": 1.5}}\n' for n in range(number))
        answer = add(service, rows, NDJSON)
        assert (answer.status_code, answer.json()["count"]) == (201, number), answer.text

    together(lambda: as_csv("a"), lambda: as_lines("b"))
    together(lambda: as_lines("c"), lambda: as_csv("d"))
    assert count(service) == before + 4 * number


# ── batches ──────────────────────────────────────────────────────────────────────────────────────


def test_a_batch_is_done_whole_or_not_at_all(service: Service) -> None:
    """Of several clients at once, the last operation of every other batch being refused."""
    before = count(service, "sensor")
    assert batch(service, ("POST", "/sensor", {"name": "taken"})).status_code == 200

    def send(client: int) -> None:
        for turn in range(8):
            last = "taken" if turn % 2 else f"last {client} {turn}"
            names = [f"first {client} {turn}", f"second {client} {turn}", last]
            answer = batch(service, *(("POST", "/sensor", {"name": name}) for name in names))
            assert answer.status_code == (409 if turn % 2 else 200), answer.text

    together(*(functools.partial(send, client) for client in range(4)))
    assert count(service, "sensor") == before + 1 + 4 * 4 * 3
    assert service.database is not None
    service.database.execute("TRUNCATE sensor")


# ── what a replica shows ─────────────────────────────────────────────────────────────────────────


@pytest.fixture
def paused(cluster: list[Node], replicated: Service) -> Iterator[None]:
    with behind(*cluster):
        yield


def written(service: Service, how: str, name: str) -> requests.Response:
    """A row is added in one of the ways in which one can be."""
    match how:
        case "csv":
            return add(service, f"name\n{name}\n")
        case "ndjson":
            return add(service, json.dumps({"name": name}), NDJSON)
        case _:
            return batch(service, ("POST", "/measure", {"name": name}))


@pytest.mark.parametrize("how", ["csv", "ndjson", "batch"])
@pytest.mark.parametrize("form", [CSV, NDJSON])
def test_an_export_is_the_replicas_and_shows_a_write_whose_position_it_carries(
    replicated: Service, paused: None, how: str, form: str
) -> None:
    name = f"by {how} seen in {form}"
    response = written(replicated, how, name)
    assert response.ok, response.text
    position = response.headers["DRG-Position"]
    for _ in range(4):  # of either worker
        assert name not in export(replicated, form)
        assert name in export(replicated, form, **{"DRG-Position": position})


def test_a_batch_reads_what_it_wrote_whatever_the_replica_shows(
    replicated: Service, paused: None
) -> None:
    answer = batch(
        replicated,
        ("POST", "/sensor", {"name": "new"}),
        ("POST", "/sensor/query", {"name": "new"}),
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["results"][1]["body"]["results"][0]["name"] == "new"


def test_a_position_that_is_none_is_refused_before_a_stream_begins(replicated: Service) -> None:
    response = replicated.get("/measure", headers={"Accept": CSV, "DRG-Position": "0/1'; --"})
    assert response.status_code == 400
    assert "DRG-Position" in response.json()["error"]


@pytest.mark.parametrize("how", ["stopped", "restarted"])
def test_without_its_replica_the_primary_exports_everything(
    cluster: list[Node], replicated: Service, how: str
) -> None:
    """Also when the replica's connections, which are kept, have been closed."""
    primary, replica = cluster
    caught_up(primary, replica)
    replica.stop()
    if how == "restarted":
        replica.start()
    try:
        for _ in range(4):
            assert export(replicated, NDJSON).count("\n") == count(replicated)
    finally:
        if how == "stopped":
            replica.start()
    caught_up(primary, replica)

"""`drg keys rotate` and `drg doctor` on a live service: nothing fails, nothing is lost."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy_utils.types.encrypted.encrypted_type import AesGcmEngine

from tests.encryption.test_http import protected
from tests.service import Database, Service, entry, payload, running

OLD, NEW = "the old key", "the new key"
DRG = Path(sys.executable).with_name("drg")


def document() -> dict[str, Any]:
    person = entry(
        "person",
        {"name": "name", "type": "string"},
        protected("ssn", "string", searchable=True, constraints={"unique": True}),
        protected("income", "number"),
    )
    note = entry(
        "note",
        protected("text", "string", searchable=True),
        {"name": "n", "type": "integer"},
        key=None,
    )
    pair = entry(
        "pair",
        {"name": "a", "type": "string"},
        {"name": "b", "type": "date"},
        protected("c", "array"),
        protected("code", "string", searchable=True, constraints={"unique": True}),
        key=["b", "a"],
    )
    built = payload(person, note, pair)
    for path in ("/pair/{id}",):
        built["data_resource_schema"]["api"]["apiSpec"]["paths"].pop(path, None)
    built["data_resource_schema"]["data"]["encryptionSchema"] = {
        "*": {"type": "AES_256_GCM", "key": "PEOPLE_KEY"}
    }
    return built


@pytest.fixture
def service(folder: Path, server_url: str) -> Iterator[Service]:
    with running(folder, server_url, workers=1, PEOPLE_KEY=OLD) as service:
        service.generate(document())
        yield service


def use(service: Service, *keys: str) -> None:
    """Restart the service with these keys."""
    service.stop()
    service.environment["PEOPLE_KEY"] = json.dumps(list(keys))
    service.start()


def drg(service: Service, *arguments: str, status: int = 0) -> str:
    done = subprocess.run(
        [DRG, *arguments],
        env=service.environment,
        cwd=service.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == status, done.stdout + done.stderr
    said = done.stdout + done.stderr
    assert OLD not in said
    assert NEW not in said
    assert "Traceback" not in said
    return said


def original(text: str, key: str = OLD) -> bytes:
    """What sqlalchemy-utils' own engine makes of a text, as the original stored it."""
    engine = AesGcmEngine()
    engine._update_key(key)
    sealed: str = engine.encrypt(text)
    return sealed.encode()


def database(service: Service) -> Database:
    assert service.database is not None
    return service.database


def fill(service: Service, count: int) -> None:
    """Rows as the original wrote them, fast."""
    url = database(service).url
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        for start in range(0, count, 1000):
            rows = [
                (original(f"S-{n}"), original(f"Decimal('{n}.10')"))
                for n in range(start, min(count, start + 1000))
            ]
            arguments = ",".join(cursor.mogrify("(%s,%s)", row).decode() for row in rows)
            cursor.execute(f"INSERT INTO person (ssn, income) VALUES {arguments}")
    connection.close()


def test_a_rotation_covers_originals_older_keys_and_missing_indexes(service: Service) -> None:
    fill(service, 3)
    assert service.post("/person", {"ssn": "S-api", "income": 5}).status_code == 201
    assert service.get("/person/2").json()["income"] == 1.1
    assert "4 values cannot be found" not in (said := drg(service, "doctor", status=1))
    assert "person.ssn: 1 under the first key, 3 not bound to the column" in said
    assert "person.ssn: 3 values cannot be found by a search" in said
    assert service.post("/person/query", {"ssn": "S-1"}).status_code == 404
    use(service, NEW, OLD)
    before = service.get("/person").text
    said = drg(service, "keys", "rotate", "person", "--dry-run")
    assert "person: 4 rows, 4 would be re-encrypted." in said
    assert "person.ssn: 4 under an older key" in drg(service, "doctor", status=1)
    assert "person: 4 rows, 4 re-encrypted." in drg(service, "keys", "rotate", "person")
    assert "person: 4 rows, 0 re-encrypted." in drg(service, "keys", "rotate")
    assert service.get("/person").text == before
    assert service.post("/person/query", {"ssn": "S-1"}).json()["results"][0]["id"] == 2
    use(service, NEW)
    assert service.get("/person").text == before
    assert service.post("/person/query", {"ssn": "S-api"}).status_code == 200
    assert "person.ssn: 4 under the first key." in drg(service, "doctor")


def test_tables_without_a_key_and_with_a_composite_one_are_rotated_too(service: Service) -> None:
    for n in range(450):
        assert service.post("/note", {"text": f"note {n}", "n": n}).status_code == 201
    for n in range(5):
        row = {"a": "it's 100%", "b": f"2020-01-0{n + 1}", "c": [n]}
        assert service.post("/pair", row).status_code == 201
    shown = [service.get(f"/{table}?limit=1000").json()[table] for table in ("note", "pair")]
    shown[0].sort(key=lambda row: row["n"])
    use(service, NEW, OLD)
    said = drg(service, "keys", "rotate")
    assert "note: 450 rows, 450 re-encrypted." in said
    assert "pair: 5 rows, 5 re-encrypted." in said
    use(service, NEW)
    again = [service.get(f"/{table}?limit=1000").json()[table] for table in ("note", "pair")]
    assert sorted(again[0], key=lambda row: row["n"]) == shown[0]
    assert again[1] == shown[1]


def test_the_doctor_and_a_rotation_tell_rows_of_composite_keys_and_of_none(
    service: Service,
) -> None:
    """What the original wrote has no index yet; what a lost key wrote is named and left alone."""
    assert service.post("/pair", {"a": "x", "b": "2020-01-01", "code": "C-0"}).status_code == 201
    assert service.post("/note", {"text": "T-0", "n": 0}).status_code == 201
    pair = "INSERT INTO pair (a, b, code) VALUES (%s, %s, %s)"
    note = "INSERT INTO note (text, n) VALUES (%s, %s)"
    for number, key in ((1, OLD), (2, "lost")):
        day = f"2020-01-0{number + 1}"
        database(service).execute(pair, ("y, z", day, original(f"C-{number}", key)))
        database(service).execute(note, (original(f"T-{number}", key), number))
    said = drg(service, "doctor", status=1)
    assert "pair.code: 1 under the first key, 1 not bound to the column, 1 unreadable" in said
    assert "pair.code: 1 value cannot be decrypted by any key (row 2020-01-03, y, z)." in said
    assert "pair.code: 1 value cannot be found by a search" in said
    assert "note.text: 1 value cannot be decrypted by any key (row with ctid (0,3)" in said
    use(service, NEW, OLD)
    said = drg(service, "keys", "rotate", status=1)
    assert "pair: 3 rows, 2 re-encrypted." in said
    assert "note: 3 rows, 2 re-encrypted." in said
    assert "pair.code of row 2020-01-03, y, z" in said
    database(service).execute(
        "DELETE FROM pair WHERE b = '2020-01-03'; DELETE FROM note WHERE n = 2"
    )
    use(service, NEW)
    assert "pair.code: 2 under the first key." in (said := drg(service, "doctor"))
    assert "note.text: 2 under the first key." in said
    found = service.get("/pair?code=in.(C-0,C-1)&select=a,b,code").json()["pair"]
    assert found == [
        {"a": "x", "b": "2020-01-01", "code": "C-0"},
        {"a": "y, z", "b": "2020-01-02", "code": "C-1"},
    ]
    assert service.get("/note?text=neq.T-0").json()["note"] == [{"text": "T-1", "n": 1}]
    assert service.post("/pair", {"a": "w", "b": "2020-01-01", "code": "C-1"}).status_code == 409


def test_a_database_whose_key_was_the_variables_name_is_read_and_rotated(service: Service) -> None:
    """The original takes the name of a variable that is not set for the key."""
    database(service).execute(
        "INSERT INTO person (ssn, income) VALUES (%s, %s)",
        (original("S-1", "PEOPLE_KEY"), original("Decimal('1.10')", "PEOPLE_KEY")),
    )
    use(service, NEW, "PEOPLE_KEY")
    assert service.get("/person/1").text == '{"id":1,"name":null,"ssn":"S-1","income":1.10}'
    drg(service, "keys", "rotate")
    use(service, NEW)
    assert service.get("/person/1").text == '{"id":1,"name":null,"ssn":"S-1","income":1.10}'


def test_what_no_key_decrypts_is_named_and_left_alone(service: Service) -> None:
    assert service.post("/person", {"ssn": "S-1", "income": 1}).status_code == 201
    database(service).execute("INSERT INTO person (ssn) VALUES (%s)", (original("x", "lost"),))
    said = drg(service, "doctor", status=1)
    assert "person.ssn: 1 value cannot be decrypted by any key (row 2)." in said
    use(service, NEW, OLD)
    said = drg(service, "keys", "rotate", status=1)
    assert "person: 2 rows, 1 re-encrypted." in said
    assert "1 value cannot be decrypted by any key and was left alone: person.ssn of row 2" in said
    use(service, NEW)
    assert service.get("/person/1").json()["ssn"] == "S-1"
    assert "PEOPLE_KEY" in drg(_without_key(service), "doctor", status=1)
    assert "No table is called nobody" in drg(service, "keys", "rotate", "nobody", status=1)


def _without_key(service: Service) -> Service:
    """The same, as somebody sees it who has forgotten the key."""
    other = Service(service.folder, service.database)
    other.environment = {k: v for k, v in service.environment.items() if k != "PEOPLE_KEY"}
    return other


def test_two_rows_with_one_unique_value_are_told_and_left(service: Service) -> None:
    """Of a database that the original wrote, whose encrypted columns could not be unique."""
    for _ in range(2):
        database(service).execute("INSERT INTO person (ssn) VALUES (%s)", (original("same"),))
    said = drg(service, "keys", "rotate", status=1)
    assert "person: 2 rows, 1 re-encrypted." in said
    assert "1 row left alone: another row has the same unique value" in said


def test_a_rotation_that_is_killed_goes_on_where_it_was(service: Service) -> None:
    fill(service, 2_000)
    use(service, NEW, OLD)
    before = service.get("/person?limit=10000").text
    indexed = "SELECT count(*) FROM person WHERE ssn_blind_index IS NOT NULL"
    process = subprocess.Popen(
        [DRG, "keys", "rotate"],
        env=service.environment,
        cwd=service.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while database(service).execute(indexed)[0][0] == 0:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = database(service).execute(indexed)[0][0]
    assert 0 < done < 2_000
    assert done % 200 == 0
    assert service.get("/person?limit=10000").text == before
    assert f"person: 2000 rows, {2000 - done} re-encrypted." in drg(service, "keys", "rotate")
    use(service, NEW)
    assert service.get("/person?limit=10000").text == before


class Traffic:
    """Clients that read and write while a rotation runs, and note every answer that is wrong."""

    def __init__(self, service: Service, rows: int) -> None:
        self.service, self.rows = service, rows
        self.wrong: list[str] = []
        self.reads = 0
        self.written: dict[int, str] = {}
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._read, self._write)]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _read(self) -> None:
        while not self._stop.is_set():
            offset = self.reads * 97 % self.rows
            page = self.service.get(f"/person?offset={offset}&limit=50")
            self._expect(page.status_code == 200, f"{page.status_code} {page.text[:200]}")
            for row in page.json().get("person", ()):
                income = f"{row['id'] - 1}.10"
                self._expect(float(income) == row["income"], str(row))
            self.reads += 1

    def _write(self) -> None:
        n = 0
        while not self._stop.is_set():
            n += 1
            key = n * 31 % self.rows + 1
            answer = self.service.patch(f"/person/{key}", {"ssn": f"W-{n}"})
            self._expect(answer.status_code == 200, f"{answer.status_code} {answer.text}")
            self.written[key] = f"W-{n}"

    def _expect(self, right: bool, what: str) -> None:
        if not right:
            self.wrong.append(what)


@pytest.mark.parametrize("rows", [2_000, pytest.param(100_000, marks=pytest.mark.soak)])
def test_while_a_rotation_runs_nothing_fails_and_no_write_is_lost(
    service: Service, rows: int
) -> None:
    fill(service, rows)
    use(service, NEW, OLD)
    with Traffic(service, rows) as traffic:
        while traffic.reads < 2:
            time.sleep(0.01)
        reads = traffic.reads
        said = drg(service, "keys", "rotate")
        during = traffic.reads - reads
    assert f"person: {rows} rows, " in said
    assert traffic.wrong == []
    assert during > 0
    assert traffic.written
    use(service, NEW)
    for key, ssn in list(traffic.written.items())[:200]:
        assert service.get(f"/person/{key}").json()["ssn"] == ssn
        found = service.post("/person/query", {"ssn": ssn}).json()["results"]
        assert [row["id"] for row in found] == [key]
    assert f"person.ssn: {rows} under the first key." in drg(service, "doctor")

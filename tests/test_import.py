"""``drg import``, as a shell runs it, against a running service."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import run
from tests.service import Service, entry, free_port, payload, running

DRG = Path(sys.executable).with_name("drg")

BOOKS = entry(
    "book",
    {"name": "title", "type": "string", "constraints": {"required": True, "maxLength": 20}},
    {"name": "isbn", "type": "string", "constraints": {"unique": True}},
    {"name": "pages", "type": "integer"},
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("import")
    with running(folder, server_url, workers=1, DRG_MAX_IMPORT_BYTES="4000000") as service:
        service.generate(payload(BOOKS))
        yield service


@pytest.fixture(autouse=True)
def _empty_tables(service: Service) -> None:
    service.execute("TRUNCATE book RESTART IDENTITY")


def drg(
    service: Service, *arguments: str | Path, text: str = "", **settings: str
) -> tuple[int, str, str]:
    done = run("drg", "import", *arguments, "--url", service.url, text=text, **settings)
    return done.returncode, done.stdout, done.stderr


def titles(service: Service) -> list[str]:
    rows = service.execute("SELECT title FROM book ORDER BY id")
    return [row[0] for row in rows]


def test_a_csv_file_is_imported(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "books.csv"
    file.write_text("title,pages\n" + "".join(f"t{n},{n}\n" for n in range(5_000)))
    assert drg(service, "book", file) == (0, "5,000 rows added to book.\n", "")
    assert titles(service)[4_999] == "t4999"


def test_ndjson_comes_from_standard_input(service: Service) -> None:
    done = drg(service, "book", "-", "--format", "ndjson", text='{"title": "a"}\n{"title": "b"}\n')
    assert done == (0, "2 rows added to book.\n", "")
    assert titles(service) == ["a", "b"]


def test_every_bad_row_is_told_and_nothing_is_added(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "books.csv"
    file.write_text(f"title,pages\nok,1\n{'x' * 21},2\nok,two\n,4\n")
    code, out, err = drg(service, "book", file)
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "drg: Nothing was added: not every row is valid.",
        "drg: row 2: title: must have a length of at most 20.",
        'drg: row 3: pages: must be a whole number, not "two".',
        "drg: row 4: title: is required, and is empty here.",
    ]
    assert titles(service) == []


def test_a_dry_run_finds_what_the_database_would_refuse_and_changes_nothing(
    service: Service, tmp_path: Path
) -> None:
    file = tmp_path / "books.csv"
    file.write_text("title,isbn\na,1\nb,2\n")
    assert drg(service, "book", file, "--dry-run") == (
        0,
        "2 rows can be added to book; nothing was changed.\n",
        "",
    )
    assert titles(service) == []
    assert drg(service, "book", file)[0] == 0
    code, _, err = drg(service, "book", file, "--dry-run")
    assert code == 1
    assert "drg: row 1: isbn: 1 exists already.\ndrg: row 2: isbn: 2 exists already." in err


def test_rows_that_are_there_are_changed_or_left(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "books.csv"
    file.write_text("title,isbn\na,1\nb,2\n")
    drg(service, "book", file)
    file.write_text("title,isbn\nA,1\nc,3\n")
    code, out, err = drg(service, "book", file, "--upsert", "--on-conflict", "isbn")
    assert code == 0, err
    assert out == "2 rows for book: 1 added, 1 changed, 0 left as they are.\n"
    file.write_text("title,isbn\nX,1\nd,4\n")
    code, out, err = drg(service, "book", file, "--ignore-duplicates", "--on-conflict", "isbn")
    assert code == 0, err
    assert out == "2 rows for book: 1 added, 0 changed, 1 left as they are.\n"
    assert titles(service) == ["A", "b", "c", "d"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["book", "FILE", "--upsert", "--ignore-duplicates"], "exclude each other"),
        (["book", "FILE", "--on-conflict", "isbn"], "goes with"),
        (["book", "-"], "--format csv or ndjson or jsonl"),
    ],
)
def test_what_makes_no_sense_is_told(
    service: Service, tmp_path: Path, arguments: list[str], told: str
) -> None:
    file = tmp_path / "books.csv"
    file.write_text("title\na\n")
    code, _, err = drg(service, *(str(file) if a == "FILE" else a for a in arguments))
    assert code == 2
    assert told in err


def test_an_unknown_table_and_no_service_are_told(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "books.csv"
    file.write_text("title\na\n")
    code, _, err = drg(service, "boook", file)
    assert (code, "There is nothing at /boook" in err) == (1, True)
    other = Service(tmp_path, None, port=free_port())
    code, _, err = drg(other, "book", file)
    assert code == 1
    assert err.startswith(f"drg: No answer comes from {other.url}")


def test_a_file_that_is_too_large_is_told(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "books.csv"
    file.write_text("title\n" + "a\n" * 3_000_000)
    code, out, err = drg(service, "book", file)
    assert (code, out) == (1, "")
    assert err.startswith("drg: ")
    assert titles(service) == []

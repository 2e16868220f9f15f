"""What is asked of every server: a table. A workload is a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.ground import MILLION, ROWS


class Dialect(StrEnum):
    """How a server's URLs look."""

    DRG = "this service's"
    POSTGREST = "PostgREST's"


@dataclass(frozen=True)
class Request:
    """What is sent. ``{n}`` in path and body is a number that changes from request to request."""

    path: str
    method: str = "GET"
    body: str = ""


@dataclass(frozen=True)
class Workload:
    """One kind of request.

    :ivar requests: how it looks in each dialect; a server whose dialect is not there is left out.
    :ivar numbers: ``{n}`` goes from 1 to this.
    :ivar expected: a text that a right answer contains.
    :ivar changes: rows are not what they were after it.
    :ivar only: the keys of the servers that can do it; empty means all.
    """

    key: str
    title: str
    requests: Mapping[Dialect, Request]
    numbers: int = 1
    expected: str = ""
    changes: bool = False
    only: tuple[str, ...] = ()


def _both(drg: Request, postgrest: Request) -> dict[Dialect, Request]:
    return {Dialect.DRG: drg, Dialect.POSTGREST: postgrest}


def _page(table: str, offset: int = 0) -> dict[Dialect, Request]:
    path = f"/{table}?offset={offset}&limit=20"
    return _both(Request(path), Request(f"{path}&order=id"))


_ROW = '{"id": {n}, "name": "another name {n}"}'
_NEW = '{"name": "new name {n}"}'

WORKLOADS = (
    Workload(
        "one",
        "GET one",
        _both(Request("/people/{n}"), Request("/people?id=eq.{n}")),
        numbers=ROWS,
        expected='"name 1"',
    ),
    Workload("page", "GET page of 20", _page("people"), expected='"name 20"'),
    Workload("wide", "GET page of 20, 30 columns", _page("wide"), expected='"code 20"'),
    Workload(
        "filter",
        "filter by equality",
        _both(
            Request("/people/query", "POST", '{"name": "name {n}"}'),
            Request("/people?name=eq.name%20{n}"),
        ),
        numbers=ROWS,
        expected='"name 1"',
    ),
    Workload(
        "indexed",
        "filter by equality, unique field, 30 columns",
        _both(
            Request("/wide/query", "POST", '{"code": "code {n}"}'),
            Request("/wide?code=eq.code%20{n}"),
        ),
        numbers=ROWS,
        expected='"code 1"',
    ),
    Workload(
        "embed",
        "20 parents, each with its 10 children",
        _both(
            Request("/authors?select=id,name,books(id,title)&limit=20"),
            Request("/authors?select=id,name,books(id,title)&limit=20&order=id"),
        ),
        expected='"title 200"',
        only=("ours", "ours-token", "postgrest", "postgrest-token"),
    ),
    Workload(
        "post",
        "POST",
        _both(Request("/people", "POST", _NEW), Request("/people", "POST", _NEW)),
        numbers=ROWS,
        changes=True,
    ),
    Workload(
        "put",
        "PUT",
        _both(Request("/people/{n}", "PUT", _ROW), Request("/people?id=eq.{n}", "PUT", _ROW)),
        numbers=ROWS,
        changes=True,
    ),
    Workload(
        "related",
        "PUT many-to-many",
        {Dialect.DRG: Request("/people/{n}/teams", "PUT", "[1, 2, 3, {n}]")},
        numbers=100,
        changes=True,
        only=("ours", "ours-token"),
    ),
    Workload("million", "GET page of 20 at 1M rows", _page("million"), expected='"name 20"'),
    Workload(
        "offset",
        "GET page of 20 at 1M rows, offset 900,000",
        _page("million", MILLION * 9 // 10),
    ),
)

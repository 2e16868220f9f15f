"""A campus: every shape of key and of relation, as a payload, as SQLAlchemy's tables and as rows.

The ways from table to table are written down by hand, so that the service's own are not asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from tests.service import entry, payload

_METADATA = sa.MetaData()


def _integer(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer)


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text)


SCHOOL = sa.Table("school", _METADATA, _integer("id"), _text("name"), _text("city"))
PEOPLE = sa.Table(
    "people",
    _METADATA,
    _integer("id"),
    _text("name"),
    _integer("age"),
    sa.Column("height", sa.Numeric),
    sa.Column("active", sa.Boolean),
    sa.Column("born", sa.Date),
    sa.Column("tags", JSONB),
    sa.Column("address", JSONB),
    _integer("limit"),
    _text("a.b"),
    _integer("school_id"),
    _integer("boss_id"),
    _text("building"),
    _integer("room_number"),
)
CLUB = sa.Table("club", _METADATA, _integer("id"), _text("name"))
#: The key is (number, building).
ROOM = sa.Table(
    "room", _METADATA, _text("building"), _integer("number"), _text("name"), _integer("seats")
)
#: Without a key.
NOTE = sa.Table(
    "note",
    _METADATA,
    _text("text"),
    _integer("stars"),
    _integer("author_id"),
    _integer("reader_id"),
    _text("building"),
    _integer("number"),
)
MEMBERS = sa.Table("club/people", _METADATA, _integer("club_id"), _integer("people_id"))
FRIENDS = sa.Table("people/people", _METADATA, _integer("parent_id"), _integer("child_id"))
HOSTS = sa.Table(
    "club/room", _METADATA, _integer("club_id"), _integer("room_number"), _text("room_building")
)

#: What tells a table's rows from each other and orders them in the end; without a key, all there is.
IDENTITY: Mapping[str, tuple[str, ...]] = {
    "school": ("id",),
    "people": ("id",),
    "club": ("id",),
    "room": ("number", "building"),
    "note": ("text", "stars", "author_id", "reader_id", "building", "number"),
}
KEYLESS = "note"


@dataclass(frozen=True)
class Way:
    """A way from one table to another.

    :ivar asked: what it is called in a question, with a hint where it takes one.
    :ivar pairs: columns that are equal: ours and theirs; with ``through``, ours and the association's.
    :ivar met: with ``through``, the association's columns and theirs.
    """

    asked: str
    target: sa.Table
    many: bool
    pairs: Mapping[str, str]
    through: sa.Table | None = None
    met: Mapping[str, str] | None = None

    @property
    def name(self) -> str:
        """What it is called in the answer, if it is given no other name."""
        return self.asked.partition("!")[0]


def _one(asked: str, target: sa.Table, **pairs: str) -> Way:
    return Way(asked, target, False, pairs)


def _many(asked: str, target: sa.Table, **pairs: str) -> Way:
    return Way(asked, target, True, pairs)


_IN_ROOM = {"room_number": "number", "room_building": "building"}

WAYS: Mapping[str, tuple[Way, ...]] = {
    "school": (_many("people", PEOPLE, id="school_id"),),
    "people": (
        _one("school", SCHOOL, school_id="id"),
        _one("school_id", SCHOOL, school_id="id"),
        _one("boss_id", PEOPLE, boss_id="id"),
        _many("people!boss_id", PEOPLE, id="boss_id"),
        _one("room", ROOM, building="building", room_number="number"),
        _one("room!building", ROOM, building="building", room_number="number"),
        _many("note!author_id", NOTE, id="author_id"),
        _many("note!reader_id", NOTE, id="reader_id"),
        Way("club", CLUB, True, {"id": "people_id"}, MEMBERS, {"club_id": "id"}),
        Way("people!child_id", PEOPLE, True, {"id": "parent_id"}, FRIENDS, {"child_id": "id"}),
        Way("people!parent_id", PEOPLE, True, {"id": "child_id"}, FRIENDS, {"parent_id": "id"}),
    ),
    "club": (
        Way("people", PEOPLE, True, {"id": "club_id"}, MEMBERS, {"people_id": "id"}),
        Way("room", ROOM, True, {"id": "club_id"}, HOSTS, _IN_ROOM),
    ),
    "room": (
        _many("people", PEOPLE, building="building", number="room_number"),
        _many("note", NOTE, building="building", number="number"),
        Way(
            "club",
            CLUB,
            True,
            {number: column for column, number in _IN_ROOM.items()},
            HOSTS,
            {"club_id": "id"},
        ),
    ),
    "note": (
        _one("author_id", PEOPLE, author_id="id"),
        _one("people!reader_id", PEOPLE, reader_id="id"),
        _one("room", ROOM, building="building", number="number"),
    ),
}


def _refers(fields: Any, table: str, targets: Any = "id") -> dict[str, Any]:
    return {"fields": fields, "reference": {"resource": table, "fields": targets}}


def campus() -> dict[str, Any]:
    """The payload."""

    def field(name: str, type_: str = "string") -> dict[str, Any]:
        return {"name": name, "type": type_}

    def whole(name: str) -> dict[str, Any]:
        return field(name, "integer")

    people = entry(
        "people",
        field("name"),
        whole("age"),
        field("height", "number"),
        field("active", "boolean"),
        field("born", "date"),
        field("tags", "array"),
        field("address", "object"),
        whole("limit"),
        field("a.b"),
        whole("school_id"),
        whole("boss_id"),
        field("building"),
        whole("room_number"),
        foreignKeys=[
            _refers("school_id", "school"),
            _refers("boss_id", ""),
            _refers(["building", "room_number"], "room", ["building", "number"]),
        ],
    )
    note = entry(
        "note",
        field("text"),
        whole("stars"),
        whole("author_id"),
        whole("reader_id"),
        field("building"),
        whole("number"),
        key=None,
        foreignKeys=[
            _refers("author_id", "people"),
            _refers("reader_id", "people"),
            _refers(["number", "building"], "room", ["number", "building"]),
        ],
    )
    room = entry(
        "room",
        field("building"),
        whole("number"),
        field("name"),
        whole("seats"),
        key=["number", "building"],
    )
    school = entry("school", field("name"), field("city"))
    club = entry("club", field("name"))
    pairs = [("people", "club"), ("people", "people"), ("room", "club")]
    return payload(school, people, club, room, note, pairs=pairs)


#: Enough rows that most questions find some, and enough nulls and equals that their order matters.
ROWS = """
INSERT INTO school SELECT n, 'School ' || chr(64 + n % 4), CASE WHEN n % 3 > 0 THEN 'City ' || n % 2 END
  FROM generate_series(1, 7) n;
INSERT INTO room SELECT b, n, CASE WHEN n % 2 > 0 THEN 'Room ' || chr(64 + n) END, NULLIF(n * 7 % 5, 0)
  FROM unnest(ARRAY['A', 'b', 'C, "D"']) b, generate_series(1, 4) n;
INSERT INTO people SELECT n,
  (ARRAY['Ann Smith', 'ann', 'Bob', 'Cy, "C."', 'a%_b', 'Ève', '', NULL, 'null', 'x*y'])[1 + n % 10],
  CASE WHEN n % 7 > 0 THEN n * 13 % 40 END,
  CASE WHEN n % 5 > 0 THEN 1.5 + n % 9 * 0.05 END,
  CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN false ELSE true END,
  CASE WHEN n % 6 > 0 THEN date '1990-01-01' + n * 37 % 900 END,
  CASE n % 5 WHEN 0 THEN NULL WHEN 1 THEN '[]' WHEN 2 THEN '["a", "b"]' WHEN 3 THEN '["b", 3]'
    ELSE '["a", "c,d"]' END::jsonb,
  CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN '{"city": "Oslo", "geo": {"lat": 59.9}}'
    WHEN 2 THEN '{"city": "Rome", "geo": {"lat": 41}}' ELSE '{"city": null}' END::jsonb,
  n % 3, CASE WHEN n % 2 = 0 THEN 'x' ELSE 'y' END, NULLIF(n % 7, 0),
  CASE WHEN n % 4 > 0 THEN 1 + n * 3 % 12 END,
  CASE WHEN n % 6 > 0 THEN (ARRAY['A', 'b', 'C, "D"'])[1 + n % 3] END,
  CASE WHEN n % 5 > 0 THEN 1 + n % 4 END
  FROM generate_series(1, 60) n;
INSERT INTO note SELECT (ARRAY['good', 'bad', 'ann', NULL])[1 + n % 4], NULLIF(n % 4, 0),
  CASE WHEN n % 6 > 0 THEN 1 + n * 7 % 20 END, CASE WHEN n % 5 > 0 THEN 1 + n * 11 % 20 END,
  CASE WHEN n % 7 > 0 THEN (ARRAY['A', 'b', 'C, "D"'])[1 + n % 3] END, NULLIF(n % 5, 0)
  FROM generate_series(1, 50) n;
INSERT INTO note SELECT * FROM note WHERE stars = 2;
INSERT INTO club SELECT n, 'Club ' || chr(64 + n) FROM generate_series(1, 5) n;
INSERT INTO "club/people" SELECT c, p FROM generate_series(1, 5) c, generate_series(1, 60) p
  WHERE (c * p) % 4 = 1;
INSERT INTO "people/people" SELECT a, b FROM generate_series(1, 60) a, generate_series(1, 60) b
  WHERE (a * 3 + b * b) % 23 = 1;
INSERT INTO "club/room" (club_id, room_number, room_building)
  SELECT c, number, building FROM generate_series(1, 4) c, room WHERE (c + number) % 3 = 1
"""  # fmt: skip

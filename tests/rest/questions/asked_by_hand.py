"""Random questions, each as a query string and as SQLAlchemy built without the service's code."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

_METADATA = sa.MetaData()

SCHOOL = sa.Table(
    "school",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("city", sa.Text),
)
PEOPLE = sa.Table(
    "people",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("age", sa.Integer),
    sa.Column("height", sa.Numeric),
    sa.Column("active", sa.Boolean),
    sa.Column("born", sa.Date),
    sa.Column("tags", JSONB),
    sa.Column("address", JSONB),
    sa.Column("limit", sa.Integer),
    sa.Column("a.b", sa.Text),
    sa.Column("school_id", sa.Integer, sa.ForeignKey("school.id")),
)
CLUB = sa.Table(
    "club", _METADATA, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text)
)
MEMBERS = sa.Table(
    "club/people", _METADATA, sa.Column("club_id", sa.Integer), sa.Column("people_id", sa.Integer)
)

#: Enough rows that most questions find some, and enough nulls and equals that their order matters.
ROWS = """
INSERT INTO school SELECT n, 'School ' || chr(64 + n % 4), CASE WHEN n % 3 > 0 THEN 'City ' || n % 2 END
  FROM generate_series(1, 7) n;
INSERT INTO people SELECT n,
  (ARRAY['Ann Smith', 'ann', 'Bob', 'Cy, "C."', 'a%_b', 'Ève', '', NULL, 'null', 'x*y'])[1 + n % 10],
  CASE WHEN n % 7 > 0 THEN n * 13 %% 40 END,
  CASE WHEN n % 5 > 0 THEN 1.5 + n % 9 * 0.05 END,
  CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN false ELSE true END,
  CASE WHEN n % 6 > 0 THEN date '1990-01-01' + n * 37 %% 900 END,
  CASE n % 5 WHEN 0 THEN NULL WHEN 1 THEN '[]' WHEN 2 THEN '["a", "b"]' WHEN 3 THEN '["b", 3]'
    ELSE '["a", "c,d"]' END::jsonb,
  CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN '{"city": "Oslo", "geo": {"lat": 59.9}}'
    WHEN 2 THEN '{"city": "Rome", "geo": {"lat": 41}}' ELSE '{"city": null}' END::jsonb,
  n % 3, CASE WHEN n % 2 = 0 THEN 'x' ELSE 'y' END, NULLIF(n % 7, 0)
  FROM generate_series(1, 60) n;
INSERT INTO club SELECT n, 'Club ' || chr(64 + n) FROM generate_series(1, 5) n;
INSERT INTO "club/people" SELECT c, p FROM generate_series(1, 5) c, generate_series(1, 60) p
  WHERE (c * p) %% 4 = 1
""".replace("%%", "%")  # fmt: skip

_TEXTS = [
    "Ann Smith",
    "ann",
    "Bob",
    'Cy, "C."',
    "a%_b",
    "Ève",
    "",
    "null",
    "zz",
    "x*y",
    "(a)",
    "b\\c",
]
_VALUES: dict[str, list[Any]] = {
    "id": [1, 7, 30, 59, 1000],
    "name": _TEXTS,
    "age": [0, 1, 13, 26, 39],
    "height": ["1.5", "1.50", "1.7", "1.9"],
    "active": ["true", "false"],
    "born": ["1990-02-07", "1991-01-01", "1992-06-30"],
    "limit": [0, 1, 2],
    "a.b": ["x", "y", "z"],
    "school_id": [1, 2, 6, 7],
}
_COMPARED = {
    "eq": lambda column, value: column == value,
    "neq": lambda column, value: column != value,
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
    "isdistinct": lambda column, value: column.is_distinct_from(value),
}
_PATTERNS = ["*a*", "A*", "*", "a%", "_nn", "*b", ""]
_EXPRESSIONS = ["^a", "b$", "a.b", "(?:ann|bob)", "[A-C]", "^$", "é"]


@dataclass
class Both:
    """One thing asked, in the grammar and in SQLAlchemy."""

    text: str
    term: Any


def _name(field: str) -> str:
    return f'"{field}"' if field in ("a.b", "limit") else field


def _quoted(value: object) -> str:
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _literal(column: Any, value: object) -> Any:
    return sa.cast(sa.literal(str(value), sa.Text), column.type)


class Chooser:
    """Makes questions about people, by a seed."""

    def __init__(self, seed: int) -> None:
        self._chosen = random.Random(seed)

    def _condition(self, table: sa.Table, grouped: bool) -> tuple[str, str, Any]:
        """A field, what stands behind it, and the same in SQLAlchemy."""
        chosen = self._chosen
        field = chosen.choice([name for name in _VALUES if name in table.c] + ["tags", "address"])
        if field not in table.c:
            field = "name"
        column = table.c[field]
        kind = chosen.random()
        if field in ("tags", "address"):
            name, text, term = self._inside(field, column)
        elif kind < 0.1:
            word, term = chosen.choice(
                [("null", column.is_(None)), ("not_null", column.is_not(None))]
            )
            name, text = _name(field), f"is.{word}"
        elif kind < 0.25:
            values = chosen.sample(_VALUES[field], chosen.randint(0, 2))
            name, text = _name(field), f"in.({','.join(map(_quoted, values))})"
            term = column.in_([_literal(column, value) for value in values])
        elif kind < 0.4 and isinstance(column.type, sa.Text):
            operator = chosen.choice(["like", "ilike"])
            pattern = chosen.choice(_PATTERNS)
            name, text = _name(field), f"{operator}.{_quoted(pattern) if grouped else pattern}"
            term = getattr(column, operator)(pattern.replace("*", "%"))
        elif kind < 0.5 and isinstance(column.type, sa.Text):
            operator = chosen.choice(["match", "imatch"])
            pattern = chosen.choice(_EXPRESSIONS)
            name, text = _name(field), f"{operator}.{_quoted(pattern) if grouped else pattern}"
            flags = "i" if operator == "imatch" else None
            term = column.regexp_match(pattern, flags=flags)
        else:
            operator, value = chosen.choice(list(_COMPARED)), chosen.choice(_VALUES[field])
            name, text = _name(field), f"{operator}.{_quoted(value) if grouped else value}"
            term = _COMPARED[operator](column, _literal(column, value))
        if chosen.random() < 0.2:
            text, term = f"not.{text}", sa.not_(term)
        return name, text, term

    def _inside(self, field: str, column: Any) -> tuple[str, str, Any]:
        chosen = self._chosen
        if field == "tags":
            element = chosen.choice(["a", "b", "c,d"])
            return chosen.choice(
                [
                    (field, f'cs.["{element}"]', column.contains([element])),
                    (field, 'cd.["a", "b", 3]', column.contained_by(["a", "b", 3])),
                    (field, 'ov.["a", 3]', sa.or_(column.contains(["a"]), column.contains([3]))),
                    ("tags->>0", "eq.b", column[0].astext == "b"),
                ]
            )
        return chosen.choice(
            [
                ("address->>city", "eq.Oslo", column["city"].astext == "Oslo"),
                ("address->>city", "is.null", column["city"].astext.is_(None)),
                (
                    "address->geo->lat",
                    "gt.50",
                    column["geo"]["lat"] > sa.cast(sa.literal("50", sa.Text), JSONB),
                ),
            ]
        )

    def _filter(self, table: sa.Table, depth: int) -> Both:
        """A member of a group."""
        if depth and self._chosen.random() < 0.3:
            return self._group(table, depth - 1)
        name, text, term = self._condition(table, True)
        return Both(f"{name}.{text}", term)

    def _group(self, table: sa.Table, depth: int) -> Both:
        word, joined = self._chosen.choice([("and", sa.and_), ("or", sa.or_)])
        members = [self._filter(table, depth) for _ in range(self._chosen.randint(1, 3))]
        term = joined(*(member.term for member in members)).self_group()
        text = f"{word}({','.join(member.text for member in members)})"
        if self._chosen.random() < 0.2:
            return Both(f"not.{text}", sa.not_(term))
        return Both(text, term)

    def filters(self, table: sa.Table, prefix: str = "") -> tuple[list[tuple[str, str]], list[Any]]:
        """Up to three parameters, and the conditions that they are."""
        parameters, terms = [], []
        for _ in range(self._chosen.choice([0, 1, 1, 2, 3])):
            if self._chosen.random() < 0.4:
                group = self._group(table, 2)
                name, _, members = group.text.partition("(")
                parameters.append((prefix + name, f"({members}"))
                terms.append(group.term)
            else:
                name, text, term = self._condition(table, False)
                parameters.append((prefix + name, text))
                terms.append(term)
        return parameters, terms

    def order(self, table: sa.Table) -> tuple[str, list[Any]]:
        """What rows are ordered by: text, and columns that end with the key."""
        texts, terms = [], []
        names = [name for name in (*_VALUES, "address") if name in table.c]
        for field in self._chosen.sample(names, self._chosen.randint(0, 2)):
            text, term = _name(field), table.c[field].asc()
            if self._chosen.random() < 0.5:
                text, term = f"{text}.desc", table.c[field].desc()
            nulls = self._chosen.choice(["", ".nullsfirst", ".nullslast"])
            if nulls:
                term = term.nulls_first() if nulls == ".nullsfirst" else term.nulls_last()
            texts.append(text + nulls)
            terms.append(term)
        if table is PEOPLE and self._chosen.random() < 0.15:
            school = sa.select(SCHOOL.c.name).where(SCHOOL.c.id == PEOPLE.c.school_id)
            texts.append("school(name).desc")
            terms.append(school.correlate(PEOPLE).scalar_subquery().desc())
        return ",".join(texts), [*terms, table.c.id]

    def question(self) -> tuple[list[tuple[str, str]], Any, Any]:
        """Parameters, the ids that they ask for, and what is embedded.

        :returns: the parameters; a selection of ids; that of a person's clubs, or ``None``.
        """
        parameters, terms = self.filters(PEOPLE)
        order, columns = self.order(PEOPLE)
        if order:
            parameters.append(("order", order))
        found = sa.select(PEOPLE.c.id)
        embeds = self._chosen.random() < 0.4
        clubs = None
        select = "id"
        if embeds:
            inner = self._chosen.random() < 0.5
            inside, conditions = self.filters(CLUB, "club.")
            by, club_columns = self.order(CLUB)
            parameters += inside
            if by:
                parameters.append(("club.order", by))
            of_person = sa.and_(MEMBERS.c.club_id == CLUB.c.id, MEMBERS.c.people_id == PEOPLE.c.id)
            clubs = sa.select(CLUB.c.id).select_from(CLUB, MEMBERS, PEOPLE)
            clubs = clubs.where(of_person, *conditions).order_by(*club_columns)
            if inner:
                has = sa.select(CLUB.c.id).select_from(CLUB, MEMBERS).where(of_person, *conditions)
                terms.append(sa.exists(has.correlate(PEOPLE)))
            most = self._chosen.choice([None, None, 1, 2])
            if most is not None:
                parameters.append(("club.limit", str(most)))
                clubs = clubs.limit(most)
            select += ",club!inner(id)" if inner else ",club(id)"
        parameters.append(("select", select))
        limit = self._chosen.choice([3, 20, 100])
        offset = self._chosen.choice([0, 0, 0, 2, 10])
        parameters += [("limit", str(limit)), ("offset", str(offset))]
        found = found.where(*terms).order_by(*columns).limit(limit).offset(offset)
        return parameters, found, clubs

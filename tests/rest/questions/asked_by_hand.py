"""Random questions, each as a query string and as SQLAlchemy built without the service's code."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from tests.rest.questions.campus import (
    IDENTITY,
    KEYLESS,
    NOTE,
    PEOPLE,
    ROOM,
    WAYS,
    Way,
)

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
    "boss_id": [1, 4, 7],
    "city": ["City 0", "City 1"],
    "building": ["A", "b", 'C, "D"', "E"],
    "room_number": [1, 2, 4],
    "number": [1, 2, 4],
    "seats": [1, 2, 3],
    "text": ["good", "ann", "bad"],
    "stars": [1, 2, 3],
    "author_id": [1, 2, 8],
    "reader_id": [1, 12],
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


Source = sa.FromClause


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


@dataclass
class Asking:
    """A question about one table, in SQLAlchemy.

    :ivar source: the table, under a name of its own.
    :ivar order: columns that tell all rows from each other, but for rows that are equal in everything.
    :ivar embeds: by their names in the answer.
    """

    source: Source
    identity: tuple[str, ...]
    terms: list[Any] = dataclasses.field(default_factory=list)
    order: list[Any] = dataclasses.field(default_factory=list)
    limit: int | None = None
    offset: int | None = None
    embeds: dict[str, Embedding] = dataclasses.field(default_factory=dict)

    def rows(self, connection: sa.Connection, *joined: Source, on: Any = ()) -> list[sa.RowMapping]:
        """The rows that are found, with all of their columns."""
        found = sa.select(*self.source.c).select_from(self.source, *joined)
        found = found.where(*on, *self.terms).order_by(*self.order)
        found = found.limit(self.limit).offset(self.offset)
        return [*connection.execute(found).mappings()]

    def shown(self, connection: sa.Connection, row: sa.RowMapping) -> dict[str, Any]:
        """A row as the service is to answer it: what is embedded is asked for row by row."""
        answer = {name: row[name] for name in self.identity}
        for name, embedding in self.embeds.items():
            answer[name] = embedding.shown(connection, row)
        return answer


@dataclass
class Embedding:
    """What is embedded in the rows of another question."""

    way: Way
    asking: Asking
    through: Source | None

    def on(self, left: Callable[[str], Any]) -> list[Any]:
        """What joins these rows to one of the table that embeds them.

        :param left: what that one has in a column.
        """
        target = self.asking.source
        if self.through is None:
            return [left(own) == target.c[other] for own, other in self.way.pairs.items()]
        assert self.way.met is not None
        return [
            *(left(own) == self.through.c[there] for own, there in self.way.pairs.items()),
            *(self.through.c[here] == target.c[other] for here, other in self.way.met.items()),
        ]

    @property
    def joined(self) -> list[Source]:
        return [] if self.through is None else [self.through]

    def exists(self, source: Source) -> Any:
        """Whether a row of the table that embeds them has any."""
        target = self.asking.source
        found = sa.select(sa.literal(1)).select_from(target, *self.joined)
        found = found.where(*self.on(lambda name: source.c[name]), *self.asking.terms)
        return sa.exists(found.correlate(source))

    def shown(self, connection: sa.Connection, row: sa.RowMapping) -> Any:
        """The rows that are embedded in this one."""
        on = self.on(lambda name: sa.literal(row[name]))
        rows = self.asking.rows(connection, *self.joined, on=on)
        shown = [self.asking.shown(connection, each) for each in rows]
        return shown if self.way.many else next(iter(shown), None)


class Chooser:
    """Makes questions about a campus, by a seed."""

    def __init__(self, seed: int) -> None:
        self._chosen = random.Random(seed)
        self._names = 0

    def _new(self) -> str:
        """A name that nothing has."""
        self._names += 1
        return f"h{self._names}"

    def _condition(self, table: Source, grouped: bool) -> tuple[str, str, Any]:
        """A field, what stands behind it, and the same in SQLAlchemy."""
        chosen = self._chosen
        field = chosen.choice([name for name in (*_VALUES, "tags", "address") if name in table.c])
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

    def _filter(self, table: Source, depth: int) -> Both:
        """A member of a group."""
        if depth and self._chosen.random() < 0.3:
            return self._group(table, depth - 1)
        name, text, term = self._condition(table, True)
        return Both(f"{name}.{text}", term)

    def _group(self, table: Source, depth: int) -> Both:
        word, joined = self._chosen.choice([("and", sa.and_), ("or", sa.or_)])
        members = [self._filter(table, depth) for _ in range(self._chosen.randint(1, 3))]
        term = joined(*(member.term for member in members)).self_group()
        text = f"{word}({','.join(member.text for member in members)})"
        if self._chosen.random() < 0.2:
            return Both(f"not.{text}", sa.not_(term))
        return Both(text, term)

    def filters(self, table: Source, prefix: str = "") -> tuple[list[tuple[str, str]], list[Any]]:
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

    def order(self, source: Source, table: str) -> tuple[str, list[Any]]:
        """What rows are ordered by: text, and columns that end with the key."""
        texts, terms = [], []
        names = [name for name in (*_VALUES, "address") if name in source.c]
        chosen = self._chosen.sample(names, self._chosen.randint(0, 2))
        if table == KEYLESS:  # nothing else would order its rows
            rest = [name for name in IDENTITY[table] if name not in chosen]
            chosen += self._chosen.sample(rest, len(rest))
        for name in chosen:
            text, term = self._directed(_name(name), source.c[name])
            texts.append(text)
            terms.append(term)
        ways = [way for way in WAYS[table] if not way.many and "!" not in way.asked]
        if ways and self._chosen.random() < 0.15:
            way = self._chosen.choice(ways)
            target = way.target.alias(self._new())
            on = Embedding(way, Asking(target, ()), None).on(lambda name: source.c[name])
            related = sa.select(target.c.name).where(*on).correlate(source).scalar_subquery()
            text, term = self._directed(f"{way.asked}(name)", related)
            texts.insert(0, text)
            terms.insert(0, term)
        return ",".join(texts), [*terms, *(source.c[name] for name in IDENTITY[table])]

    def _directed(self, text: str, column: Any) -> tuple[str, Any]:
        term = column.asc()
        if self._chosen.random() < 0.5:
            text, term = f"{text}.desc", column.desc()
        nulls = self._chosen.choice(["", ".nullsfirst", ".nullslast"])
        if nulls:
            term = term.nulls_first() if nulls == ".nullsfirst" else term.nulls_last()
        return text + nulls, term

    def question(self) -> tuple[str, list[tuple[str, str]], Asking]:
        """A table, the parameters of a question about it, and the same by hand."""
        table = self._chosen.choice([PEOPLE, PEOPLE, ROOM, NOTE])
        asking, parameters, select = self._asking(table, "", 2)
        asking.limit = self._chosen.choice([3, 20, 100])
        asking.offset = self._chosen.choice([0, 0, 0, 2, 10])
        parameters += [
            ("select", select),
            ("limit", str(asking.limit)),
            ("offset", str(asking.offset)),
        ]
        self._chosen.shuffle(parameters)
        return table.name, parameters, asking

    def _asking(
        self, table: sa.Table, prefix: str, depth: int
    ) -> tuple[Asking, list[tuple[str, str]], str]:
        """What is asked of a table, the parameters that ask it, and what they select.

        :param depth: how many tables may stand in each other in it.
        """
        source = table.alias(self._new())
        parameters, terms = self.filters(source, prefix)
        order, columns = self.order(source, table.name)
        if order:
            parameters.append((f"{prefix}order", order))
        asking = Asking(source, IDENTITY[table.name], terms, columns)
        number = self._chosen.choice([0, 1, 1, 2]) if depth else 0
        embedded = [self._embedded(table, prefix, depth, asking, parameters) for _ in range(number)]
        return asking, parameters, ",".join([*IDENTITY[table.name], *embedded])

    def _embedded(
        self,
        table: sa.Table,
        prefix: str,
        depth: int,
        asking: Asking,
        parameters: list[tuple[str, str]],
    ) -> str:
        """Embed a table in what is asked; what is selected for that."""
        way = self._chosen.choice(WAYS[table.name])
        name = way.name
        taken = {*asking.embeds, *IDENTITY[table.name]}
        if name in taken or self._chosen.random() < 0.3:
            name = self._new()
        inner, inside, selected = self._asking(way.target, f"{prefix}{name}.", depth - 1)
        parameters += inside
        if way.many:
            inner.limit = self._chosen.choice([None, None, 1, 2])
            inner.offset = self._chosen.choice([None, None, None, 1])
            for word, number in (("limit", inner.limit), ("offset", inner.offset)):
                if number is not None:
                    parameters.append((f"{prefix}{name}.{word}", str(number)))
        through = None if way.through is None else way.through.alias(self._new())
        embedding = asking.embeds[name] = Embedding(way, inner, through)
        label = "" if name == way.name else f"{name}:"
        must = self._chosen.random() < 0.3
        if must:
            asking.terms.append(embedding.exists(asking.source))
        elif name not in table.c and self._chosen.random() < 0.2:
            word, term = self._chosen.choice(
                [("is.null", sa.not_), ("not.is.null", lambda exists: exists)]
            )
            parameters.append((prefix + name, word))
            asking.terms.append(term(embedding.exists(asking.source)))
        return f"{label}{way.asked}{'!inner' if must else ''}({selected})"

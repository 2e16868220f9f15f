"""The SQL of one table, compiled to text once per shape and kept.

A statement's parameters are numbered (``p0``, ``p1`` …) in the order of the fields it was built for, so
that a field's name never becomes a parameter's.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2

from data_resource_api.compiler.fields import Field
from data_resource_api.compiler.relationships import Association
from data_resource_api.compiler.tables import ResourceTable
from data_resource_api.rest.pages import BACKWARDS, Start

_DIALECT: Final = PGDialect_psycopg2()  # type: ignore[no-untyped-call]

#: Makes an alias that cannot be a generated table's name, which would hide it.
_NO_TABLE: Final = "//"

#: Shapes kept for one table and kind of statement; a client can make any number of them.
_KEPT: Final = 256


#: What a statement gives: its rows, each of its columns' values.
Rows = Sequence[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL text in psycopg2's ``pyformat`` style and the values it is run with."""

    sql: str
    parameters: dict[str, Any]


def compile_sql(statement: Any) -> str:
    """The text of a SQLAlchemy statement for psycopg2."""
    return str(statement.compile(dialect=_DIALECT))


def compile_statement(statement: Any) -> Statement:
    """The text of a SQLAlchemy statement, and the values that it holds already."""
    compiled = statement.compile(dialect=_DIALECT)
    held = {name: value for name, value in compiled.params.items() if value is not None}
    return Statement(str(compiled), held)


def parameter(name: str) -> sa.BindParameter[Any]:
    """A parameter whose type PostgreSQL infers from where it stands."""
    return sa.bindparam(name, type_=sa.types.NULLTYPE)


def keyed(values: Iterable[Any]) -> dict[str, Any]:
    """``key0``, ``key1`` … for the values of a primary key."""
    return {f"key{index}": value for index, value in enumerate(values)}


def numbered(values: Any) -> dict[str, Any]:
    """``p0``, ``p1`` … for values in order."""
    return {f"p{index}": value for index, value in enumerate(values)}


class TableStatements:
    """The statements of one table."""

    def __init__(self, resource: ResourceTable) -> None:
        self.table = resource.table
        self.columns = [resource.table.c[name] for name in resource.fields]
        self.key = [resource.table.c[name] for name in resource.key]
        self._is_local = resource.entry.is_local
        self._index_columns = {
            field.protection.index_column
            for field in resource.searchable_fields
            if field.protection is not None
        }
        self.generated = any(field.generated for field in resource.fields.values())
        self.returning: list[sa.ColumnElement[Any]] = [*self.key] or [sa.literal_column("1")]
        self.insert_sql = functools.lru_cache(_KEPT)(self._insert)
        self.update_sql = functools.lru_cache(_KEPT)(self._update)
        self.values_sql = functools.cache(self._values)
        self.query_sql = functools.lru_cache(_KEPT)(self._query)
        self.page_sql = functools.cache(self._page_sql)
        self.export_sql = functools.cache(self._export_sql)
        self.counted_page_sql = functools.cache(self._counted_page_sql)

    def _is_key(self) -> sa.ColumnElement[bool]:
        return sa.and_(
            *(column == parameter(f"key{index}") for index, column in enumerate(self.key))
        )

    def _page(self, start: Start) -> sa.Select[Any]:
        """One page's columns; backwards where it ends at a key: ``offset`` or ``key``, ``limit``."""
        page = sa.select(*self.columns).limit(parameter("limit"))
        match start:
            case Start.AFTER:
                page = page.where(self._compared(operator.gt))
            case Start.BEFORE:
                page = page.where(self._compared(operator.lt))
            case Start.OFFSET:
                page = page.offset(parameter("offset"))
        down = start in BACKWARDS
        return page.order_by(*(column.desc() if down else column for column in self.key))

    def _compared(self, compare: Callable[[Any, Any], Any]) -> sa.ColumnElement[bool]:
        """The key against a cursor, ``k0`` …, in the order of the rows."""
        given = [parameter(f"k{index}") for index in range(len(self.key))]
        if len(self.key) == 1:
            return compare(self.key[0], given[0])  # type: ignore[no-any-return]
        return compare(sa.tuple_(*self.key), sa.tuple_(*given))  # type: ignore[no-any-return]

    def _page_sql(self, start: Start) -> str:
        """One page → rows of the columns; backwards where it ends at a key."""
        return compile_sql(self._page(start))

    def _export_sql(self, start: Start) -> str:
        """As ``page_sql``, in the order of the key whatever the start; a ``limit`` of null is none."""
        page = self._page(start)
        if start in BACKWARDS:
            rows = page.subquery(f"page{_NO_TABLE}")
            page = sa.select(*(rows.c[column.key] for column in self.columns))
            page = page.order_by(*(rows.c[column.key] for column in self.key))
        return compile_sql(page)

    def _counted_page_sql(self, start: Start) -> str:
        """The count, up to ``most``, and one page → rows of (count, present, *columns)."""
        bounded: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(self.table)
        bounded_rows = bounded.limit(parameter("most")).subquery("bounded")
        counted = sa.select(sa.func.count().label("n")).select_from(bounded_rows)
        count = counted.subquery("counted")
        labels = {column: f"c{index}" for index, column in enumerate(self.columns)}
        page = (
            self._page(start)
            .with_only_columns(
                sa.true().label("present"),
                *(column.label(label) for column, label in labels.items()),
            )
            .subquery("page")
        )
        down = start in BACKWARDS
        in_order = [page.c[labels[column]] for column in self.key]
        return compile_sql(
            sa.select(count.c.n, *page.c)
            .select_from(count.outerjoin(page, sa.true()))
            .order_by(*(column.desc() if down else column for column in in_order))
        )

    @functools.cached_property
    def estimate(self) -> Statement:
        """How many rows the planner expects: one row of one JSON text."""
        every = compile_sql(sa.select(sa.literal_column("1")).select_from(self.table))
        return Statement(f"EXPLAIN (FORMAT JSON) {every}", {})

    @functools.cached_property
    def read(self) -> str:
        """One row: ``key0`` … → a row of the columns, or none."""
        return compile_sql(sa.select(*self.columns).where(self._is_key()))

    @functools.cached_property
    def exists(self) -> str:
        """Whether a row is there: ``key0`` … → its key, or none."""
        return compile_sql(sa.select(*self.key).where(self._is_key()))

    @functools.cached_property
    def lock(self) -> str:
        """As ``exists``; the row cannot go away until the transaction ends."""
        locked = sa.select(*self.key).where(self._is_key()).with_for_update(key_share=True)
        return compile_sql(locked)

    @functools.cached_property
    def read_locked(self) -> str:
        """As ``read``; nobody else can change the row, or refer to it, until the transaction ends."""
        return compile_sql(sa.select(*self.columns).where(self._is_key()).with_for_update())

    def draw(self, attempt: int) -> Statement:
        """A next generated key, free if it can be told: the sequence moves on, never to a client's.

        :param attempt: 0, then one more each time that the key turned out to be taken.
        """
        quoted = self.table.name.replace('"', '""')
        sequence = {"table": f'"{self.table.schema}"."{quoted}"', "column": self.key[0].name}
        if self._is_local:
            return Statement(self._draw_free, sequence)
        return Statement(self._draw_on, {**sequence, "steps": 4**attempt})

    @functools.cached_property
    def _draw_free(self) -> str:
        """The next key that no row has."""
        following = self._following().label("id")
        drawn = sa.select(following).cte(f"draw{_NO_TABLE}", recursive=True)
        taken = sa.exists().where(self.key[0] == drawn.c.id)
        drawn = drawn.union_all(sa.select(following).select_from(drawn).where(taken))
        free = sa.select(drawn.c.id).where(~sa.exists().where(self.key[0] == drawn.c.id))
        return compile_sql(free)

    @functools.cached_property
    def _draw_on(self) -> str:
        """The key that is ``steps`` further on, whoever has it.

        Citus neither recurses over a table of several nodes nor asks a sequence beside one on this node.
        """
        steps = sa.func.generate_series(sa.literal_column("1"), parameter("steps"))
        following = sa.func.max(self._following()).label("id")
        return compile_sql(sa.select(following).select_from(steps.table_valued("step")))

    def _following(self) -> sa.ColumnElement[Any]:
        sequence = sa.func.pg_get_serial_sequence(parameter("table"), parameter("column"))
        return sa.func.nextval(sequence)

    def _insert(self, names: tuple[str, ...], skip_taken_key: bool) -> str:
        """Insert one row; with ``skip_taken_key`` a taken key gives no row instead of an error."""
        values = {self.table.c[name]: parameter(f"p{index}") for index, name in enumerate(names)}
        statement = insert(self.table)
        if values:
            statement = statement.values({column.key: value for column, value in values.items()})
        else:
            statement = statement.values({self.columns[0].key: sa.literal_column("DEFAULT")})
        if skip_taken_key:
            statement = statement.on_conflict_do_nothing(index_elements=self.key)
        return compile_sql(statement.returning(*self.returning))

    def _update(self, names: tuple[str, ...]) -> str:
        """Change one row: ``p0`` …, ``key0`` … → its key, or none."""
        if not names:
            return self.exists
        values = {
            self.table.c[name].key: parameter(f"p{index}") for index, name in enumerate(names)
        }
        changed = sa.update(self.table).where(self._is_key()).values(values)
        return compile_sql(changed.returning(*self.key))

    def _query(self, names: tuple[str, ...], nulls: tuple[str, ...]) -> str:
        """Rows equal in all ``names`` and null in all ``nulls``, in key order."""
        conditions = [
            self._among(name, f"p{index}")
            if name in self._index_columns
            else self.table.c[name] == parameter(f"p{index}")
            for index, name in enumerate(names)
        ]
        conditions += [self.table.c[name].is_(None) for name in nulls]
        return compile_sql(
            sa.select(*self.columns)
            .where(*conditions)
            .order_by(*self.key)
            .offset(parameter("offset"))
            .limit(parameter("limit"))
        )

    def _values(self, names: tuple[str, ...]) -> str:
        """Some columns of one row: ``key0`` … → their values, or none."""
        return compile_sql(sa.select(*(self.table.c[name] for name in names)).where(self._is_key()))

    def _among(self, name: str, values: str) -> sa.ColumnElement[bool]:
        return self.table.c[name] == sa.any_(sa.cast(parameter(values), ARRAY(sa.LargeBinary)))

    def index_taken(self, field: Field, but_key: bool) -> str:
        """Whether a row has one of these blind ``indexes``, but for the row with this key."""
        assert field.protection is not None
        conditions = [self._among(field.protection.index_column, "indexes")]
        if but_key:
            conditions.append(sa.not_(self._is_key()))
        return compile_sql(
            sa.select(sa.literal_column("1")).where(*conditions).limit(sa.literal_column("1"))
        )


class AssociationStatements:
    """The statements of a many-to-many relationship, seen from the parent.

    :param reverse: of a table to itself: the children are the parents.
    """

    def __init__(
        self,
        association: Association,
        parent: ResourceTable,
        child: ResourceTable,
        *,
        reverse: bool = False,
    ) -> None:
        own, other = association.oriented(parent.name, reverse=reverse)
        self._table = association.table
        self._parent, self._child = own.columns, other.columns
        self._parent_key = [parent.table.c[name] for name in parent.key]
        self._child_key = [child.table.c[name] for name in child.key]
        self._key = [parameter(f"key{index}") for index in range(len(own.columns))]
        #: The values of each column of the children's keys, one array a column.
        self._ids = [
            sa.cast(parameter(f"ids{index}"), ARRAY(column.type))
            for index, column in enumerate(other.columns)
        ]
        names = [f"key{index}" for index in range(len(other.columns))]
        given = sa.func.unnest(*self._ids).table_valued(*names)
        self._given = given.render_derived(name=f"given{_NO_TABLE}")
        self._id = [self._given.c[name] for name in names]

    def _is_parent(self, columns: Iterable[sa.Column[Any]]) -> list[sa.ColumnElement[bool]]:
        return [column == value for column, value in zip(columns, self._key, strict=True)]

    def _is_given(self, columns: Iterable[sa.Column[Any]]) -> sa.ColumnElement[bool]:
        equal = (column == id_ for column, id_ in zip(columns, self._id, strict=True))
        return sa.exists(sa.select(sa.literal_column("1")).select_from(self._given).where(*equal))

    @functools.cached_property
    def read(self) -> str:
        """The parent and its children's ids: the key → rows of (parent, *child, null without any)."""
        is_own = (column == key for column, key in zip(self._parent, self._parent_key, strict=True))
        joined = self._parent_key[0].table.outerjoin(self._table, sa.and_(*is_own))
        return compile_sql(
            sa.select(self._parent_key[0], *self._child)
            .select_from(joined)
            .where(*self._is_parent(self._parent_key))
            .order_by(*self._child)
        )

    @functools.cached_property
    def lock(self) -> str:
        """The key: nobody else can take a child away until the transaction ends."""
        children = sa.select(*self._child).where(*self._is_parent(self._parent))
        return compile_sql(children.with_for_update())

    @functools.cached_property
    def missing(self) -> str:
        """Those of the ids that are no child's; Citus wants the inner query to stand alone."""
        if len(self._id) == 1:
            found = sa.select(self._child_key[0]).where(self._child_key[0] == sa.any_(self._ids[0]))
            return compile_sql(sa.select(self._id[0]).where(self._id[0].not_in(found)))
        found = sa.select(*self._child_key).where(self._is_given(self._child_key))
        return compile_sql(sa.select(*self._id).where(sa.tuple_(*self._id).not_in(found)))

    @functools.cached_property
    def remove_others(self) -> str:
        """The key and the ids: forget every child that is not among them."""
        if len(self._id) == 1:
            is_other = self._child[0] != sa.all_(self._ids[0])
        else:
            is_other = sa.not_(self._is_given(self._child))
        others = sa.delete(self._table).where(*self._is_parent(self._parent), is_other)
        return compile_sql(others)

    @functools.cached_property
    def add(self) -> str:
        """The key and the ids: relate them; those that are already are left as they are."""
        own = (
            sa.cast(value, column.type)
            for value, column in zip(self._key, self._parent, strict=True)
        )
        pairs = sa.select(*own, *self._id)
        names = [column.name for column in (*self._parent, *self._child)]
        added = insert(self._table).from_select(names, pairs)
        return compile_sql(added.on_conflict_do_nothing())

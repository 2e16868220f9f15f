"""Rows on their way into a table wait in a temporary one, which goes away with the transaction.

COPY fills it; from there, SQL finds out which rows clash or refer to nothing, and moves all of them into
the table in one statement for each set of fields. A staged row has its number ``n``, the number of its set
of fields ``shape``, whether its key was ``drawn`` from the sequence, and its columns ``c0``, ``c1`` ….
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg2
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert

from data_resource_api.compiler.fields import Field
from data_resource_api.compiler.tables import ResourceTable
from data_resource_api.rest.intake.preferences import Resolution
from data_resource_api.rest.intake.rows import MOST_FAULTS, RowSource, older_column, staged_columns
from data_resource_api.rest.statements import Statement, compile_sql, parameter

#: No table of a resource can be called so.
_NAME: Final = "rows//"
_QUOTED: Final = f'pg_temp."{_NAME}"'


@dataclass(slots=True)
class Outcome:
    """How a statement that may fail ended.

    :ivar rows: how many it changed.
    :ivar error: what PostgreSQL refuses of the values; the transaction goes on.
    """

    rows: int = 0
    error: psycopg2.Error | None = None


@dataclass(frozen=True, slots=True)
class Attempt(Statement):
    """A statement of a transaction that goes on when PostgreSQL refuses what it is given."""

    outcome: Outcome = field(default_factory=Outcome)

    def run(self, cursor: Any) -> tuple[()]:
        """Run it, and note how it ended.

        :raises psycopg2.Error: it failed for another reason than the rows.
        """
        cursor.execute("SAVEPOINT attempt")
        try:
            self.send(cursor)
        except (psycopg2.IntegrityError, psycopg2.DataError) as error:
            self.outcome.error = error
            cursor.execute("ROLLBACK TO SAVEPOINT attempt")
            return ()
        self.outcome.rows = cursor.rowcount
        cursor.execute("RELEASE SAVEPOINT attempt")
        return ()

    def send(self, cursor: Any) -> None:
        """Have PostgreSQL do it."""
        cursor.execute(self.sql, self.parameters)


@dataclass(frozen=True, slots=True)
class Copy(Attempt):
    """COPY from a source of rows."""

    source: RowSource | None = None

    def send(self, cursor: Any) -> None:
        """Have PostgreSQL read the source."""
        cursor.copy_expert(self.sql, self.source)


class Staging:
    """The statements between a table and its staged rows.

    :param tables: all of the resource's, for what rows refer to.
    :param older: unique fields whose blind index may be under a key other than the first.
    """

    def __init__(
        self, resource: ResourceTable, tables: Mapping[str, ResourceTable], older: Sequence[Field]
    ) -> None:
        self._resource = resource
        self._tables = tables
        self._older = older
        self.table = resource.table
        names = staged_columns(resource, older)
        self._columns = {name: f"c{index}" for index, name in enumerate(names)}
        self._rows = self._alias("s")

    def _alias(self, name: str) -> Any:
        columns: list[Any] = [
            sa.column(n) for n in ("n", "shape", "drawn", *self._columns.values())
        ]
        return sa.table(_NAME, *columns, schema="pg_temp").alias(name)

    def _staged(self, name: str, rows: Any = None) -> sa.ColumnElement[Any]:
        rows = self._rows if rows is None else rows
        found: sa.ColumnElement[Any] = rows.c[self._columns[name]]
        return found

    # ── filling ──────────────────────────────────────────────────────────────────────────────────

    @functools.cached_property
    def create(self) -> Statement:
        """Make the temporary table, with the types that the table's columns have."""
        older = {older_column(field) for field in self._older}
        columns = [
            sa.cast(sa.null(), ARRAY(sa.LargeBinary)).label(label)
            if name in older
            else self.table.c[name].label(label)
            for name, label in self._columns.items()
        ]
        one: sa.ColumnElement[Any] = sa.literal_column("0")
        selected = sa.select(
            sa.cast(one, sa.BigInteger).label("n"),
            sa.cast(one, sa.Integer).label("shape"),
            sa.false().label("drawn"),
            *columns,
        )
        sql = compile_sql(selected)
        return Statement(
            f"CREATE TEMPORARY TABLE {_QUOTED[8:]} ON COMMIT DROP AS {sql} WITH NO DATA", {}
        )

    #: Forget the rows; another request of the same transaction may stage others.
    drop: Final = Statement(f"DROP TABLE {_QUOTED}", {})

    #: Tell the planner how many rows there are.
    analyze: Final = Statement(f"ANALYZE {_QUOTED}", {})

    def number(self) -> Statement:
        """Have rows without a key draw one as they are copied."""
        label = self._columns[self._resource.key[0]]
        return Statement(
            f"ALTER TABLE {_QUOTED} ALTER drawn SET DEFAULT true, ALTER {label} SET DEFAULT "
            "nextval(pg_get_serial_sequence(%(table)s, %(column)s))",
            self._sequence(),
        )

    def copy(self, source: RowSource) -> Copy:
        """Fill it with what a source gives."""
        labels = ", ".join(("n", "shape", *(self._columns[name] for name in source.columns)))
        return Copy(f"COPY {_QUOTED} ({labels}) FROM STDIN", {}, source=source)

    # ── generated keys ───────────────────────────────────────────────────────────────────────────

    def _sequence(self) -> dict[str, str]:
        quoted = self.table.name.replace('"', '""')
        return {
            "table": f'"{self.table.schema}"."{quoted}"',
            "column": str(self._resource.key[0]),
        }

    def draw(self, conflict: Sequence[str]) -> Attempt:
        """Give each new row without a key the sequence's next."""
        rows = self._target()
        key = self._columns[self._resource.key[0]]
        following = sa.func.nextval(
            sa.func.pg_get_serial_sequence(parameter("table"), parameter("column"))
        )
        statement = (
            sa.update(rows)
            .where(rows.c[key].is_(None))
            .values({key: following, "drawn": sa.true()})
        )
        if conflict and tuple(conflict) != tuple(self._resource.key):
            statement = statement.where(~self._exists(conflict, rows))
        return Attempt(compile_sql(statement), self._sequence())

    def take_back(self) -> Attempt:
        """Take drawn keys away that another row has, there or among those that are added."""
        rows, others = self._target(), self._alias("o")
        name = self._resource.key[0]
        key = rows.c[self._columns[name]]
        chosen = sa.exists().where(
            self._staged(name, others) == key, others.c.drawn.is_not(sa.true())
        )
        taken = sa.exists().where(self.table.c[name] == key)
        return Attempt(
            compile_sql(
                sa.update(rows)
                .where(rows.c.drawn, sa.or_(taken, chosen))
                .values({self._columns[name]: sa.null()})
            ),
            {},
        )

    def _target(self) -> Any:
        columns: list[Any] = [
            sa.column(n) for n in ("n", "shape", "drawn", *self._columns.values())
        ]
        return sa.table(_NAME, *columns, schema="pg_temp")

    # ── moving into the table ────────────────────────────────────────────────────────────────────

    def _match(self, conflict: Sequence[str], rows: Any = None) -> sa.ColumnElement[bool]:
        return sa.and_(*(self.table.c[name] == self._staged(name, rows) for name in conflict))

    def _exists(self, conflict: Sequence[str], rows: Any = None) -> sa.ColumnElement[bool]:
        return sa.exists().where(self._match(conflict, rows))

    def _of_shapes(self, rows: Any = None) -> sa.ColumnElement[bool]:
        rows = self._rows if rows is None else rows
        found: sa.ColumnElement[bool] = rows.c.shape == sa.any_(
            sa.cast(parameter("shapes"), ARRAY(sa.Integer))
        )
        return found

    def insert(
        self,
        names: Sequence[str],
        shapes: Sequence[int],
        resolution: Resolution | None,
        conflict: Sequence[str],
    ) -> Attempt:
        """Insert the rows of these shapes, in their order; the outcome says how many were new."""
        selected = (
            sa.select(*(self._staged(name) for name in names))
            .where(self._of_shapes())
            .order_by(self._rows.c.n)
        )
        if resolution is not None:
            selected = selected.where(~self._exists(conflict))
        statement = insert(self.table).from_select([self.table.c[name] for name in names], selected)
        if resolution is not None:
            columns = [self.table.c[name] for name in conflict]
            changed = {
                self.table.c[name]: statement.excluded[name]
                for name in self._changed(names, conflict)
            }
            if resolution is Resolution.MERGE and changed:
                statement = statement.on_conflict_do_update(index_elements=columns, set_=changed)
            else:
                statement = statement.on_conflict_do_nothing(index_elements=columns)
        return Attempt(compile_sql(statement), {"shapes": list(shapes)})

    def update(
        self, names: Sequence[str], shapes: Sequence[int], conflict: Sequence[str]
    ) -> Attempt | None:
        """Change the rows that are there already; ``None`` where no field would change."""
        changed = self._changed(names, conflict)
        if not changed:
            return None
        statement = (
            sa.update(self.table)
            .where(self._match(conflict), self._of_shapes())
            .values({self.table.c[name].key: self._staged(name) for name in changed})
        )
        return Attempt(compile_sql(statement), {"shapes": list(shapes)})

    def _changed(self, names: Sequence[str], conflict: Sequence[str]) -> list[str]:
        fixed = {*conflict, *self._resource.key}
        return [name for name in names if name not in fixed]

    @functools.cached_property
    def defaults(self) -> Statement:
        """The columns that have a value when none is given: rows of their names."""
        quoted = self.table.name.replace('"', '""')
        return Statement(
            "SELECT attname::text FROM pg_attribute "
            "WHERE attrelid = %(table)s::regclass AND attnum > 0 AND NOT attisdropped "
            "AND (atthasdef OR attidentity <> '')",
            {"table": f'"{self.table.schema}"."{quoted}"'},
        )

    def keys(self, conflict: Sequence[str]) -> Statement:
        """The keys of all rows, in the order that they came in."""
        key = self._resource.key
        if not conflict or tuple(conflict) == tuple(key):
            found = sa.select(*(self._staged(name) for name in key))
        else:
            columns = [sa.func.coalesce(self.table.c[n], self._staged(n)) for n in key]
            found = sa.select(*columns).select_from(
                self._rows.outerjoin(self.table, self._match(conflict))
            )
        return Statement(compile_sql(found.order_by(self._rows.c.n)), {})

    # ── what is wrong with the rows ──────────────────────────────────────────────────────────────

    def new_rows(self, shapes: Sequence[int], conflict: Sequence[str]) -> Statement:
        """Rows of these shapes that are not there yet: their numbers."""
        found = sa.select(self._rows.c.n).where(self._of_shapes(), ~self._exists(conflict))
        return Statement(self._first(found), {"shapes": list(shapes)})

    def repeated(self, names: Sequence[str]) -> Statement:
        """Rows that have the same values as an earlier one: (n, the earlier one's n)."""
        columns = [self._staged(name) for name in names]
        first = sa.func.min(self._rows.c.n).over(partition_by=columns).label("first")
        numbered = (
            sa.select(self._rows.c.n, first)
            .where(*(column.is_not(None) for column in columns))
            .subquery("numbered")
        )
        found = sa.select(numbered.c.n, numbered.c.first).where(numbered.c.n > numbered.c.first)
        return Statement(compile_sql(found.order_by(numbered.c.n).limit(_most())), {})

    def taken(self, names: Sequence[str], but: Sequence[str]) -> Statement:
        """Rows whose values another row of the table has: (n, *values).

        :param but: what tells the row itself, where it may be there.
        """
        columns = [self._staged(name) for name in names]
        clash = sa.exists().where(
            *(self.table.c[n] == column for n, column in zip(names, columns, strict=True)),
            *([sa.not_(self._match(but))] if but else ()),
        )
        texts = [sa.cast(column, sa.Text) for column in columns]
        return Statement(self._first(sa.select(self._rows.c.n, *texts).where(clash)), {})

    def indexed_before(self, field: Field, but: Sequence[str]) -> Statement:
        """Rows whose value another row has under an older key: their numbers."""
        assert field.protection is not None
        clash = sa.exists().where(
            self.table.c[field.protection.index_column]
            == sa.any_(self._staged(older_column(field))),
            *([sa.not_(self._match(but))] if but else ()),
        )
        return Statement(self._first(sa.select(self._rows.c.n).where(clash)), {})

    def dangling(self) -> Iterator[tuple[tuple[str, ...], Statement]]:
        """Per foreign key: its fields, and rows that refer to nothing: (n, *values)."""
        for key in self._resource.foreign_keys:
            parent = self._tables[key.resource]
            columns = [self._staged(name) for name in key.fields]
            target = parent.table.alias("parent")
            found = sa.exists().where(
                *(target.c[n] == c for n, c in zip(key.references, columns, strict=True))
            )
            conditions = [*(column.is_not(None) for column in columns), ~found]
            if parent.name == self._resource.name:
                among = self._alias("o")
                pairs = zip(key.references, columns, strict=True)
                conditions.append(
                    ~sa.exists().where(*(self._staged(n, among) == c for n, c in pairs))
                )
            texts = [sa.cast(column, sa.Text) for column in columns]
            rows = sa.select(self._rows.c.n, *texts).where(*conditions)
            yield key.fields, Statement(self._first(rows), {})

    def _first(self, rows: sa.Select[Any]) -> str:
        return compile_sql(rows.order_by(self._rows.c.n).limit(_most()))

    def uniques(self) -> Iterator[tuple[str, ...]]:
        """The sets of columns that no two rows may have the same values in."""
        for constraint in sorted(self.table.constraints, key=lambda item: str(item.name)):
            if isinstance(constraint, (sa.PrimaryKeyConstraint, sa.UniqueConstraint)):
                names = tuple(str(column.name) for column in constraint.columns)
                if names:
                    yield names


def _most() -> sa.ColumnElement[Any]:
    return sa.literal_column(str(MOST_FAULTS + 1))

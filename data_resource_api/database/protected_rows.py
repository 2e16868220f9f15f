"""The rows of a table with protected columns, as the keys see them: inspected, and re-encrypted.

Columns are read and written here as the BYTEA that they are; nothing decrypted leaves this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from psycopg2 import errors as pg

from data_resource_api.compiler.protection import Protection
from data_resource_api.compiler.tables import SCHEMA, ResourceTable
from data_resource_api.encryption.engines import Undecryptable

#: Rows of one transaction.
BATCH: Final = 200
#: How many rows with unreadable values are named.
NAMED: Final = 5


@dataclass(slots=True)
class ColumnReport:
    """How the values of one protected column decrypt.

    :ivar first: under the first key, bound to the column; :ivar older: under another key.
    :ivar unbound: under the first key, but not bound, as the original wrote them.
    :ivar stale: with a blind index that no key makes, or without one: a search misses them.
    :ivar rows: the keys of the first few rows whose value is unreadable.
    """

    name: str
    first: int = 0
    older: int = 0
    unbound: int = 0
    unreadable: int = 0
    stale: int = 0
    rows: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Rotation:
    """What a rotation of one table did.

    :ivar rows: all that were looked at; :ivar rotated: those that were (or would be) re-encrypted.
    :ivar unreadable: values that no key decrypts, left as they are.
    :ivar clashes: rows whose unique value another row has too, left as they are.
    """

    rows: int = 0
    rotated: int = 0
    unreadable: int = 0
    clashes: int = 0
    named: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Change:
    """New values of some columns of a row, by name, each with the one it replaces."""

    key: tuple[Any, ...]
    values: dict[str, tuple[bytes | None, bytes | None]]


class ProtectedRows:
    """One table's protected columns.

    A table without a primary key is walked by ``ctid``.
    """

    def __init__(self, engine: sa.Engine, table: ResourceTable) -> None:
        self._engine = engine
        self.name = table.name
        self._by_place = not table.key
        self._protections: dict[str, Protection] = {
            str(field.name): field.protection
            for field in table.protected_fields
            if field.protection is not None
        }
        index_names = [item.index_column for item in self._protections.values()]
        names = dict.fromkeys([*self._protections, *filter(None, index_names)])
        self._columns = {
            name: sa.column(sa.sql.quoted_name(name, True), sa.LargeBinary()) for name in names
        }
        self._has_key = bool(table.key)
        self._key: list[sa.ColumnClause[Any]] = [
            sa.column(sa.sql.quoted_name(name, True), sa.types.NULLTYPE)
            for name in table.key or ("ctid",)
        ]
        self._table = sa.table(
            sa.sql.quoted_name(table.name, True),
            *self._key,
            *self._columns.values(),
            schema=SCHEMA,
        )

    def count(self) -> int:
        """How many rows there are."""
        with self._engine.connect() as connection:
            found = connection.scalar(sa.select(sa.func.count()).select_from(self._table))
        return int(found or 0)

    # ── looking ──────────────────────────────────────────────────────────────────────────────────

    def inspect(self) -> list[ColumnReport]:
        """Decrypt every value, and tell how; rows are streamed.

        :raises Unavailable: the service that holds a key cannot be reached.
        """
        reports = {name: ColumnReport(f"{self.name}.{name}") for name in self._protections}
        with self._transaction() as connection:
            connection = connection.execution_options(stream_results=True, yield_per=1_000)
            for row in connection.execute(sa.select(*self._key, *self._columns.values())):
                key, stored = self._split(row)
                for name, report in reports.items():
                    self._inspect_value(name, key, stored, report)
        return list(reports.values())

    def _inspect_value(
        self,
        name: str,
        key: tuple[Any, ...],
        stored: dict[str, bytes | None],
        report: ColumnReport,
    ) -> None:
        protection, value = self._protections[name], stored[name]
        if value is None:
            return
        try:
            opened = protection.engine.open_bytes(value)
        except Undecryptable:
            report.unreadable += 1
            if len(report.rows) < NAMED:
                report.rows.append(self._shown(key))
            return
        if opened.key:
            report.older += 1
        elif opened.bound:
            report.first += 1
        else:
            report.unbound += 1
        index = stored.get(protection.index_column)
        report.stale += index not in protection.indexes_of_text(opened.text)

    # ── rotating ─────────────────────────────────────────────────────────────────────────────────

    def rotate(self, progress: Callable[[int], None], *, dry_run: bool = False) -> Rotation:
        """Encrypt every value under the first key, bound to its column; renew its blind index.

        Each batch is a transaction. A row that somebody changes meanwhile is read again; nobody's
        change is overwritten. What is done already is passed over, so it can be stopped and started again.

        :param progress: is told of every batch's number of rows.
        :raises Unavailable: the service that holds a key cannot be reached.
        """
        report = Rotation()
        while True:
            before, rows = report.rotated, 0
            report.unreadable, report.clashes, report.named = 0, 0, []
            for batch in self._batches():
                changes = self._changes(batch, report)
                report.rotated += len(changes) if dry_run else self._apply(changes, report)
                rows += len(batch)
                progress(len(batch))
            report.rows = rows
            # A row without a key moves when it is changed, and may have moved past us.
            if not self._by_place or dry_run or report.rotated == before:
                return report

    def _batches(self) -> Iterator[Sequence[sa.Row[Any]]]:
        selected = sa.select(*self._key, *self._columns.values()).order_by(*self._key).limit(BATCH)
        after: tuple[Any, ...] | None = None
        while True:
            wanted = selected if after is None else selected.where(self._is_after(after))
            with self._engine.connect() as connection:
                batch = connection.execute(wanted).all()
            if not batch:
                return
            yield batch
            after = self._split(batch[-1])[0]

    def _is_after(self, key: tuple[Any, ...]) -> sa.ColumnElement[bool]:
        values = [sa.bindparam(None, value, sa.types.NULLTYPE) for value in key]
        if len(values) == 1:
            return self._key[0] > values[0]
        return sa.tuple_(*self._key) > sa.tuple_(*values)

    def _is_row(self, key: tuple[Any, ...]) -> list[sa.ColumnElement[bool]]:
        return [
            column == sa.bindparam(None, value, sa.types.NULLTYPE)
            for column, value in zip(self._key, key, strict=True)
        ]

    def _changes(self, batch: Sequence[sa.Row[Any]], report: Rotation) -> list[_Change]:
        found = []
        for row in batch:
            key, stored = self._split(row)
            values: dict[str, tuple[bytes | None, bytes | None]] = {}
            for name, protection in self._protections.items():
                values |= self._renewed(name, protection, key, stored, report)
            if values:
                found.append(_Change(key, values))
        return found

    def _renewed(
        self,
        name: str,
        protection: Protection,
        key: tuple[Any, ...],
        stored: dict[str, bytes | None],
        report: Rotation,
    ) -> dict[str, tuple[bytes | None, bytes | None]]:
        value = stored[name]
        if value is None:
            return {}
        try:
            opened = protection.engine.open_bytes(value)
        except Undecryptable:
            report.unreadable += 1
            if len(report.named) < NAMED:
                report.named.append(f"{self.name}.{name} of row {self._shown(key)}")
            return {}
        index = protection.indexes_of_text(opened.text)[0]
        old_index = stored.get(protection.index_column)
        if opened.key == 0 and opened.bound and index == old_index:
            return {}
        renewed: dict[str, tuple[bytes | None, bytes | None]] = {
            name: (value, protection.engine.encrypt(opened.text).encode())
        }
        if protection.index_column:
            renewed[protection.index_column] = (old_index, index)
        return renewed

    def _apply(self, changes: list[_Change], report: Rotation) -> int:
        """Make the changes; read rows again that somebody else has changed meanwhile."""
        done = 0
        while changes:
            lost: list[_Change] = []
            try:
                with self._transaction() as connection:
                    lost = [change for change in changes if not self._update(connection, change)]
            except sa.exc.IntegrityError as error:
                if not isinstance(error.orig, pg.UniqueViolation):
                    raise
                if len(changes) == 1:
                    report.clashes += 1
                    return done
                return done + sum(self._apply([change], report) for change in changes)
            done += len(changes) - len(lost)
            changes = self._changes(self._again(lost), report)
        return done

    def _update(self, connection: sa.Connection, change: _Change) -> bool:
        unchanged = [
            self._columns[name].is_not_distinct_from(old)
            for name, (old, _) in change.values.items()
        ]
        values = {self._columns[name]: new for name, (_, new) in change.values.items()}
        update = sa.update(self._table).where(*self._is_row(change.key), *unchanged)
        return connection.execute(update.values(values)).rowcount == 1

    def _again(self, changes: list[_Change]) -> list[sa.Row[Any]]:
        selected = sa.select(*self._key, *self._columns.values())
        rows: list[sa.Row[Any]] = []
        with self._engine.connect() as connection:
            for change in changes:
                rows += connection.execute(selected.where(*self._is_row(change.key))).all()
        return rows

    # ── rows ─────────────────────────────────────────────────────────────────────────────────────

    def _transaction(self) -> Any:
        return self._engine.execution_options(isolation_level="READ COMMITTED").begin()

    def _split(self, row: sa.Row[Any]) -> tuple[tuple[Any, ...], dict[str, bytes | None]]:
        size = len(self._key)
        stored = {
            name: None if value is None else bytes(value)
            for name, value in zip(self._columns, row[size:], strict=True)
        }
        return tuple(row[:size]), stored

    def _shown(self, key: tuple[Any, ...]) -> str:
        """A row's key, or its place in the table where it has none."""
        shown = ", ".join(map(str, key))
        return shown if self._has_key else f"with ctid {shown}"

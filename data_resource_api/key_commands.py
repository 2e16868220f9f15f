"""``drg keys rotate`` and ``drg doctor``: the keys of protected columns, and what they can read.

Exit status: 0 when all is well, 1 when something is unreadable or was refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
import sqlalchemy as sa

from data_resource_api.encryption.engines import EncryptionFailure
from data_resource_api.errors import DrgError

if TYPE_CHECKING:
    from data_resource_api.database.protected_rows import ColumnReport, ProtectedRows, Rotation


class Refused(click.ClickException):
    """What was asked cannot be done; each line tells why."""

    def show(self, file: Any = None) -> None:
        """Print every line to standard error."""
        for line in self.message.splitlines():
            click.echo(f"drg: {line}", err=True, file=file)


@click.group()
def keys() -> None:
    """The keys of protected columns."""


@keys.command()
@click.argument("table", required=False)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
def rotate(table: str | None, dry_run: bool) -> None:
    """Encrypt every protected value of TABLE (of every table) under its first key.

    The service may go on meanwhile. When it is stopped, start it again: what is done stays done.
    """
    done = [_rotate(rows, dry_run) for rows in _protected_tables(table)]
    unreadable = sum(report.unreadable for report in done)
    clashes = sum(report.clashes for report in done)
    if unreadable:
        named = "; ".join(name for report in done for name in report.named)
        raise Refused(
            f"{_count(unreadable, 'value')} cannot be decrypted by any key and "
            f"{'was' if unreadable == 1 else 'were'} left alone: {named}. "
            "Add the key that wrote them to the variable's list, and rotate again."
        )
    if clashes:
        raise Refused(
            f"{_count(clashes, 'row')} left alone: another row has the same unique value. "
            "Change one of them, and rotate again."
        )


def _rotate(rows: ProtectedRows, dry_run: bool) -> Rotation:
    with (
        _database(),
        click.progressbar(length=rows.count(), label=rows.name) as bar,
    ):
        report = rows.rotate(bar.update, dry_run=dry_run)
    verb = "would be re-encrypted" if dry_run else "re-encrypted"
    click.echo(f"{rows.name}: {_count(report.rows, 'row')}, {report.rotated} {verb}.")
    return report


@click.command()
def doctor() -> None:
    """Check that every protected value can be decrypted, and by which key."""
    with _database():
        reports = [report for rows in _protected_tables(None) for report in rows.inspect()]
    for report in reports:
        click.echo(f"{report.name}: {_told(report)}")
    unreadable = [report for report in reports if report.unreadable]
    stale = [report for report in reports if report.stale]
    if unreadable or stale:
        raise Refused("\n".join([*map(_unreadable, unreadable), *map(_stale, stale)]))


def _told(report: ColumnReport) -> str:
    counts = {
        "under the first key": report.first,
        "under an older key": report.older,
        "not bound to the column": report.unbound,
        "unreadable": report.unreadable,
    }
    told = ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "no values"
    rest = report.older + report.unbound
    return f"{told}{'; run `drg keys rotate`' if rest else ''}."


def _unreadable(report: ColumnReport) -> str:
    return (
        f"{report.name}: {_count(report.unreadable, 'value')} cannot be decrypted by any key "
        f"(row {'; row '.join(report.rows)}{'; …' if report.unreadable > len(report.rows) else ''})."
    )


def _stale(report: ColumnReport) -> str:
    return (
        f"{report.name}: {_count(report.stale, 'value')} cannot be found by a search, for the blind "
        "index is missing or of a lost key; run `drg keys rotate`."
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _protected_tables(name: str | None) -> list[ProtectedRows]:
    from data_resource_api.app import create_app
    from data_resource_api.database.protected_rows import ProtectedRows

    generator = create_app().extensions["data_resource_api"]
    live = generator.current
    if live.problem is not None:
        raise Refused("\n".join([live.problem.detail, *live.problem.errors]))
    if live.resource is None:
        raise Refused("Nothing has been generated yet.")
    tables = live.resource.tables
    if name is not None and name.lower() not in tables:
        raise Refused(f"No table is called {name}. There are {', '.join(tables)}.")
    wanted: Iterable[Any] = tables.values() if name is None else [tables[name.lower()]]
    found = [ProtectedRows(generator.engine, table) for table in wanted if table.protected_fields]
    if not found:
        click.echo("Nothing is protected here.")
    return found


@contextmanager
def _database() -> Iterator[None]:
    """Tell in a sentence what the database or a key service refuses."""
    try:
        yield
    except DrgError as error:
        raise Refused(error.detail) from error
    except EncryptionFailure as error:
        raise Refused(str(error)) from error
    except sa.exc.OperationalError as error:
        raise Refused("The database cannot be reached, or took too long; start again.") from error


__all__ = ["doctor", "keys"]

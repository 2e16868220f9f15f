"""What adding many rows, or rows that may be there already, does: all of them, or none.

A plan (see ``rest.plan``) of one transaction: stage the rows, find what is wrong with them, give them keys,
and move them into the table.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from data_resource_api.errors import BadRequest, Conflict, DrgError, Unavailable
from data_resource_api.rest.context import OperationContext
from data_resource_api.rest.intake.preferences import Resolution, WritePreferences
from data_resource_api.rest.intake.rows import RowFaults, RowSource, missing
from data_resource_api.rest.intake.staging import Attempt, Staging
from data_resource_api.rest.response import Reply, created, json_reply, shown_key
from data_resource_api.rest.statements import Rows, Statement

if TYPE_CHECKING:
    import psycopg2

#: Rows from which on the planner should know how many there are.
_MANY: Final = 500

#: How often keys that others have taken are drawn again; each time at least half of them succeed.
_MOST_DRAWS: Final = 100


@dataclass(frozen=True, slots=True)
class Intake:
    """Rows to add.

    :ivar conflict: the fields that tell whether a row is there already; empty without a resolution.
    :ivar single: the client sent one object, and is answered as such.
    :ivar tells_keys: whether the answer lists the rows' keys.
    """

    source: RowSource
    preferences: WritePreferences
    conflict: tuple[str, ...] = ()
    single: bool = False
    tells_keys: bool = False


class Refused(Exception):
    """PostgreSQL refuses a row, and it cannot be told which."""

    def __init__(self, error: psycopg2.Error) -> None:
        super().__init__()
        self.error = error


Steps = Generator[Statement, Rows, None]


class _Totals:
    added = 0
    updated = 0


def take_in(context: OperationContext, intake: Intake) -> Generator[Statement, Rows, Reply]:
    """Add the rows.

    :raises DrgError: with every fault that could be found, and nothing was added.
    :raises Refused: PostgreSQL's error says more than could be found.
    """
    staging, source = context.staging, intake.source
    generated = context.statements.generated
    yield staging.create
    if generated and context.table.key[0] not in source.columns and not intake.conflict:
        yield staging.number()
    yield from _copied(staging, source)
    if source.count > _MANY:
        yield staging.analyze
    yield from _check_repeated(staging, intake)
    yield from _check_older(context, intake)
    if intake.preferences.resolution is Resolution.MERGE:
        yield from _check_new(context, intake)
    if generated:
        yield from _draw_keys(context, intake)
    totals = _Totals()
    yield from _move(context, intake, totals)
    keys: list[Any] = []
    if intake.tells_keys and context.table.key:
        rows = yield staging.keys(intake.conflict)
        keys = [*rows]
    yield staging.drop
    return _reply(context, intake, totals, keys)


def _copied(staging: Staging, source: RowSource) -> Steps:
    copy = staging.copy(source)
    yield copy
    source.check()
    error = copy.outcome.error
    if error is not None:
        raise Refused(error)


def _check_repeated(staging: Staging, intake: Intake) -> Steps:
    """Which of two equal rows a merge means, nobody can tell."""
    if intake.preferences.resolution is not Resolution.MERGE:
        return
    faults = RowFaults()
    for number, first in (yield staging.repeated(intake.conflict)):
        faults.add(number, f"{', '.join(intake.conflict)}: is in row {first} already.")
    _refuse(faults, BadRequest)


def _check_older(context: OperationContext, intake: Intake) -> Steps:
    faults = RowFaults()
    but = intake.conflict if intake.preferences.resolution else ()
    for field in context.older_indexes:
        for (number,) in (yield context.staging.indexed_before(field, but)):
            faults.add(number, f"{field.name}: this value exists already.")
    _refuse(faults, Conflict)


def _check_new(context: OperationContext, intake: Intake) -> Steps:
    """Rows that are not there yet need every required field."""
    faults = RowFaults()
    shapes = intake.source.shapes
    for names, shape in shapes.items():
        lines = missing(context.table, names)
        if not lines:
            continue
        for (number,) in (yield context.staging.new_rows([shape], intake.conflict)):
            for line in lines:
                faults.add(number, line)
    _refuse(faults, BadRequest)


def _draw_keys(context: OperationContext, intake: Intake) -> Steps:
    staging = context.staging
    for attempt in range(_MOST_DRAWS):
        yield staging.draw(intake.conflict)
        back = staging.take_back()
        yield back
        if not back.outcome.rows:
            return
        # Rows with keys of their own stand where the sequence is: it is led past them.
        yield context.statements.draw(min(attempt, 10))
    raise Unavailable("No free keys were found; try again.")


def _move(context: OperationContext, intake: Intake, totals: _Totals) -> Steps:
    staging, resolution = context.staging, intake.preferences.resolution
    merging = resolution is Resolution.MERGE
    groups = yield from _groups(context, intake, merging)
    for names, shapes in groups.items():
        if merging:
            update = staging.update(names, shapes, intake.conflict)
            if update is not None:
                yield from _attempt(context, intake, update)
                totals.updated += update.outcome.rows
        key = context.table.key[:1] if context.statements.generated else ()
        columns = tuple(dict.fromkeys((*names, *key)))
        insert = staging.insert(columns, shapes, resolution, intake.conflict)
        yield from _attempt(context, intake, insert)
        totals.added += insert.outcome.rows


def _groups(
    context: OperationContext, intake: Intake, merging: bool
) -> Generator[Statement, Rows, Mapping[tuple[str, ...], list[int]]]:
    """Columns → the shapes that can be moved with them.

    What a new row leaves out is null, but for the columns that have a default.
    """
    shapes = intake.source.shapes
    if merging or len(shapes) == 1:
        return {names: [shape] for names, shape in shapes.items()}
    defaults = {row[0] for row in (yield context.staging.defaults)}
    every = dict.fromkeys(name for names in shapes for name in names)
    groups: dict[tuple[str, ...], list[int]] = {}
    for names, shape in shapes.items():
        columns = tuple(name for name in every if name in names or name not in defaults)
        groups.setdefault(columns, []).append(shape)
    return groups


def _attempt(context: OperationContext, intake: Intake, attempt: Attempt) -> Steps:
    yield attempt
    error = attempt.outcome.error
    if error is None:
        return
    yield from _find_faults(context, intake)
    raise Refused(error)


def _find_faults(context: OperationContext, intake: Intake) -> Steps:
    """What the database holds against which row.

    :raises Conflict: with all of it.
    """
    staging, faults = context.staging, RowFaults()
    merging = intake.preferences.resolution is Resolution.MERGE
    found: list[tuple[int, str]] = []
    for names in staging.uniques():
        if intake.conflict and set(names) == set(intake.conflict):
            continue
        shown = [context.index_fields.get(name, name) for name in names]
        secret = shown != [*names]
        for number, first in (yield staging.repeated(names)):
            found.append((number, f"{', '.join(shown)}: is in row {first} already."))
        for number, *values in (yield staging.taken(names, intake.conflict if merging else ())):
            told = "this value" if secret else ", ".join(values)
            found.append((number, f"{', '.join(shown)}: {told} exists already."))
    for names, statement in staging.dangling():
        for number, *values in (yield statement):
            line = f"{', '.join(names)}: there is no row {', '.join(values)} to refer to."
            found.append((number, line))
    for number, line in sorted(found):
        faults.add(number, line)
    _refuse(faults, Conflict)


def _refuse(faults: RowFaults, kind: type[DrgError]) -> None:
    if faults.count:
        raise kind(
            "Nothing was added: rows clash with others, or are not complete.", faults.lines()
        )


def _reply(
    context: OperationContext, intake: Intake, totals: _Totals, keys: Iterable[Any]
) -> Reply:
    count, preferences = intake.source.count, intake.preferences
    body: dict[str, object]
    if preferences.rollback:
        body = {"message": "Nothing was changed: the rows can be added.", "count": count}
        return _counted(json_reply(200, body, preferences.applied), count)
    if intake.single:
        return _single(context, totals, [*keys], preferences)
    body = {"message": "Successfully added new resources."}
    if preferences.resolution is not None:
        body |= {"added": totals.added, "updated": totals.updated}
    if not intake.tells_keys:
        body["count"] = count
    elif ids := [shown_key(context.keys, row) for row in keys]:
        body["ids"] = ids
    return _counted(json_reply(201, body, preferences.applied), count)


def _counted(reply: Reply, count: int) -> Reply:
    return replace(reply, rows=count)


def _single(
    context: OperationContext,
    totals: _Totals,
    keys: Sequence[Sequence[Any]],
    preferences: WritePreferences,
) -> Reply:
    if totals.added:
        reply = created(context.path, context.keys, keys[0] if keys else ())
        return replace(reply, headers={**reply.headers, **preferences.applied})
    changed = "Successfully updated resource." if totals.updated else "The resource exists already."
    return json_reply(
        200, {"message": changed, "id": shown_key(context.keys, keys[0])}, preferences.applied
    )

"""What a POST of rows asks for, where it is more than one new row: a list, a stream, an upsert."""

from __future__ import annotations

from data_resource_api.compiler.faults import nearest, quote
from data_resource_api.errors import BadRequest, Forbidden, PreconditionRequired
from data_resource_api.rest.api_request import ApiRequest, RawRequest
from data_resource_api.rest.context import OperationContext
from data_resource_api.rest.intake.csv_rows import CsvSource
from data_resource_api.rest.intake.plan import Intake
from data_resource_api.rest.intake.preferences import (
    Resolution,
    WritePreferences,
    write_preferences,
)
from data_resource_api.rest.intake.rows import ObjectSource, RowSource
from data_resource_api.rest.intake.streams import CSV, json_lines


def read_intake(context: OperationContext, raw: RawRequest, request: ApiRequest) -> Intake | None:
    """What is to be added; ``None`` where it is one new row and nothing is preferred.

    :raises BadRequest: the preferences or the parameters are wrong, or the header of a CSV is.
    :raises Forbidden: rows would be changed, and the caller may not do that.
    """
    preferences = write_preferences(raw.prefer)
    single = isinstance(request.body, dict)
    conflict = _conflict(context, request.on_conflict, preferences)
    if single and preferences.resolution is None and not preferences.rollback:
        return None
    if preferences.resolution is Resolution.MERGE:
        _check_changing(context, raw)
    source = _source(context, raw, request, preferences.resolution is Resolution.MERGE)
    return Intake(source, preferences, conflict, single, tells_keys=raw.stream is None)


def _source(
    context: OperationContext, raw: RawRequest, request: ApiRequest, partial: bool
) -> RowSource:
    table, older = context.table, context.older_indexes
    if raw.stream is None:
        rows = [request.body] if isinstance(request.body, dict) else request.body
        if not rows:
            raise BadRequest("The list is empty; it must hold at least one row.")
        return ObjectSource(table, rows, older, partial=partial)
    limit = context.max_body_bytes
    if raw.media_type == CSV:
        return CsvSource(table, raw.stream, older, max_field=limit, partial=partial)
    lines = json_lines(raw.stream, max_nesting=context.max_nesting, max_line=limit)
    return ObjectSource(table, lines, older, partial=partial)


def _conflict(
    context: OperationContext, stated: str, preferences: WritePreferences
) -> tuple[str, ...]:
    """The columns that tell whether a row is there already.

    :raises BadRequest: no two rows may have the same values in them is not so.
    """
    table = context.table
    if preferences.resolution is None:
        if stated:
            raise BadRequest(
                "The query string is wrong.",
                [
                    "on_conflict: needs Prefer: resolution=merge-duplicates or ignore-duplicates.",
                ],
            )
        return ()
    choices = [table.key] if table.key else []
    choices += [(name,) for name, field in table.fields.items() if field.unique]
    names = tuple(stated.split(",")) if stated else table.key
    chosen = next((choice for choice in choices if choice and set(choice) == {*names}), None)
    if chosen is None:
        usable = " or ".join(",".join(choice) for choice in dict.fromkeys(choices))
        known = nearest(stated, [",".join(choice) for choice in choices]) if stated else None
        given = f"{quote(stated)} does not tell rows apart" if stated else "must be given"
        if usable:
            remedy = known or f"; it can be {usable}."
        else:
            remedy = f"; {table.name} has neither a primary key nor a unique field."
        raise BadRequest("The query string is wrong.", [f"on_conflict: {given}{remedy}"])
    if any(field.name in chosen for field in context.older_indexes):
        raise BadRequest(
            f"on_conflict: {chosen[0]} is protected, and rows may be indexed under an older key; "
            "use another field until `drg keys rotate` has run and the older keys are gone."
        )
    columns = []
    for name in chosen:
        protection = table.fields[name].protection
        columns.append(str(protection.index_column if protection else name))
    return tuple(columns)


def _check_changing(context: OperationContext, raw: RawRequest) -> None:
    """Who may add rows may not change them for that.

    :raises PreconditionRequired: changes have to say which state they are made for, and a merge cannot.
    :raises Forbidden: neither PUT nor PATCH of a row is enabled, or this caller may use neither.
    """
    if context.require_if_match:
        raise PreconditionRequired(
            "merge-duplicates cannot say which state of a row it knows; change rows with PUT or PATCH and "
            "If-Match (DRG_REQUIRE_IF_MATCH)."
        )
    refusal: Forbidden | None = None
    for security in context.changing:
        try:
            raw.authorize(security)
        except Forbidden as error:
            refusal = error
        else:
            return
    raise refusal or Forbidden(
        f"merge-duplicates changes rows, and neither PUT nor PATCH of {context.table.name} is enabled."
    )

"""What an operation does: an intent becomes statements, and their rows an answer.

A plan is a generator without input or output of its own: it yields a ``Statement``, is sent the rows,
and returns a ``Reply``. ``rest.transaction`` runs it. To add an operation, add a function and a row to
``PLANS``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Final

from data_resource_api.compiler.faults import nearest, quote
from data_resource_api.compiler.fields import FieldError
from data_resource_api.compiler.openapi import Kind
from data_resource_api.compiler.tables import ResourceTable
from data_resource_api.errors import (
    BadRequest,
    Conflict,
    DeleteUnimplemented,
    MessageNotFound,
)
from data_resource_api.rest.api_request import ApiRequest
from data_resource_api.rest.children import children
from data_resource_api.rest.conditional import conditional, row_state
from data_resource_api.rest.conditions import entity_tag
from data_resource_api.rest.context import OperationContext, Plan
from data_resource_api.rest.intake.rows import bind_row, missing
from data_resource_api.rest.keys import field_value, read_values
from data_resource_api.rest.pages import (
    BACKWARDS,
    Start,
    page_links,
    planned_rows,
)
from data_resource_api.rest.questions.plan import list_asked, query_asked, read_asked
from data_resource_api.rest.response import Reply, created, json_reply, shown_key
from data_resource_api.rest.statements import Rows, Statement, keyed, numbered

#: How often a generated key that a client's row has taken in between is drawn again.
_MOST_DRAWS: Final = 10


def _refuse(table: ResourceTable, faults: Sequence[str]) -> None:
    if faults:
        raise BadRequest(f"The body is not a valid {table.name}.", faults)


# ── the operations ───────────────────────────────────────────────────────────────────────────────


def _list(context: OperationContext, request: ApiRequest) -> Plan:
    if request.question is not None:
        return (yield from list_asked(context, request))
    position, limit = request.position, request.limit
    assert limit is not None
    # One row more than the page has tells whether rows follow it.
    parameters = {"limit": limit + 1, **context.cursor(position)}
    count = context.count.recent()
    if count is None:
        parameters["most"] = context.count.limit + 1
        sql = context.statements.counted_page_sql(position.start)
        counted = yield Statement(sql, parameters)
        count = counted[0][0]
        rows = [row[2:] for row in counted if row[1] is not None]
        if count > context.count.limit:
            estimate = yield context.statements.estimate
            count = context.count.remember(planned_rows(estimate[0][0]))
    else:
        rows = [*(yield Statement(context.statements.page_sql(position.start), parameters))]
    more = len(rows) > limit
    del rows[limit:]
    backwards = position.start in BACKWARDS
    if backwards:
        rows.reverse()
    exact = count <= context.count.limit
    if position.start is Start.OFFSET and not more and (rows or position.offset == 0):
        count, exact = position.offset + len(rows), True  # this page shows the end
    links = page_links(
        context.path,
        position,
        limit,
        count,
        exact=exact,
        follows=position.start is Start.BEFORE or (more and not backwards),
        keyed=bool(context.keys),
        ends=context.ends(rows) if rows else None,
    )
    found = context.writer.write_all(rows)
    return json_reply(200, {context.table.name: found, "links": links})


def _read(context: OperationContext, request: ApiRequest) -> Plan:
    if request.question is not None:
        return (yield from read_asked(context, request))
    rows = yield Statement(context.statements.read, keyed(context.key(request.key)))
    if not rows:
        raise context.not_found(request.key)
    return json_reply(200, context.writer.write(rows[0]))


def _create(context: OperationContext, request: ApiRequest) -> Plan:
    table = context.table
    bound, faults = bind_row(table, request.body)
    _refuse(table, faults + missing(table, request.body))
    names, parameters = tuple(bound), numbered(bound.values())
    generate = context.statements.generated and table.key[0] not in bound
    yield from _refuse_clashes(context, request.body)
    rows = yield Statement(context.statements.insert_sql(names, generate), parameters)
    for attempt in range(_MOST_DRAWS):
        if rows:
            break
        drawn = yield context.statements.draw(attempt)
        names_with_key = (table.key[0], *names)
        values = [drawn[0][0], *bound.values()]
        rows = yield Statement(
            context.statements.insert_sql(names_with_key, True), numbered(values)
        )
    return created(context.path, context.keys, rows[0])


def _change(
    context: OperationContext, request: ApiRequest
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The key's and the other fields' values of a PUT or PATCH, bound."""
    table = context.table
    key = dict(zip(table.key, context.key(request.key), strict=True))
    body = dict(request.body)
    wrong = []
    for name, value in key.items():
        if name not in body:
            continue
        stated = body.pop(name)
        try:
            same = field_value(table.fields[name], stated) == value
        except FieldError:
            same = False
        if not same:
            wrong.append(f"{name}: is {quote(stated)} and the path says {quote(request.key)}.")
    bound, faults = bind_row(table, body)
    _refuse(table, wrong + faults)
    return key, bound


def _refuse_clashes(
    context: OperationContext, body: Mapping[str, Any], key: Mapping[str, Any] | None = None
) -> Generator[Statement, Rows, None]:
    """Refuse values that rows have whose blind index is still under an older key.

    Clashes under the first key are the database's business, as of every unique field.
    """
    for field in context.older_indexes:
        value = body.get(field.name)
        if value is None:
            continue
        older = {"indexes": field.indexes(value)[1:]}
        others = context.statements.index_taken(field, key is not None)
        if (yield Statement(others, older if key is None else {**older, **keyed(key.values())})):
            raise Conflict(
                "The row clashes with one that exists.",
                [f"{field.name}: this value exists already."],
            )


def _updated(context: OperationContext, row: Sequence[Any]) -> Reply:
    message = "Successfully updated resource."
    return json_reply(200, {"message": message, "id": shown_key(context.keys, row)})


def _replace(context: OperationContext, request: ApiRequest) -> Plan:
    table = context.table
    key, bound = _change(context, request)
    parameters = {**numbered(bound.values()), **keyed(key.values())}
    yield from _refuse_clashes(context, request.body, key)
    update = Statement(context.statements.update_sql(tuple(bound)), parameters)
    rows = yield update
    if rows:
        return _updated(context, rows[0])
    _refuse(table, missing(table, {**bound, **key}))
    # The key comes after the fields, whose numbers are taken.
    insert = context.statements.insert_sql((*bound, *key), True)
    rows = yield Statement(insert, numbered([*bound.values(), *key.values()]))
    if rows:
        return created(context.path, context.keys, rows[0])
    rows = yield update  # somebody else has just created it
    if not rows:
        raise context.not_found(request.key)
    return _updated(context, rows[0])


def _modify(context: OperationContext, request: ApiRequest) -> Plan:
    key, bound = _change(context, request)
    yield from _refuse_clashes(context, request.body, key)
    update = context.statements.update_sql(tuple(bound))
    rows = yield Statement(update, {**numbered(bound.values()), **keyed(key.values())})
    if not rows:
        raise context.not_found(request.key)
    return _updated(context, rows[0])


def _delete(context: OperationContext, _: ApiRequest) -> Plan:
    yield from ()
    raise DeleteUnimplemented("Unimplemented unsecure delete", context.allowed)


def query_statement(context: OperationContext, request: ApiRequest, limit: int | None) -> Statement:
    """What a query's body asks for; its rows are the table's columns, in the order of the key.

    :raises BadRequest: with everything that is wrong with it.
    """
    table = context.table
    faults: list[str] = []
    bound: dict[str, Any] = {}
    nulls: list[str] = []
    for name, value in request.body.items():
        field = table.fields.get(name)
        if field is None:
            faults.append(
                f"{name}: is not a field of {table.name}{nearest(name, table.fields) or '.'}"
            )
        elif field.protected and not field.searchable:
            faults.append(f"{name}: is protected and cannot be looked for.")
        elif value is None:
            nulls.append(name)
        else:
            try:
                if field.protection is None:
                    bound[name] = field.bind_any(value)
                else:
                    bound[field.protection.index_column] = field.indexes(value)
            except FieldError as error:
                faults.append(f"{name}: {error}")
    if faults:
        raise BadRequest("The query cannot be asked.", faults)
    sql = context.statements.query_sql(tuple(bound), tuple(nulls))
    page = {"offset": request.position.offset, "limit": limit}
    return Statement(sql, {**numbered(bound.values()), **page})


def _query(context: OperationContext, request: ApiRequest) -> Plan:
    if request.question is not None:
        return (yield from query_asked(context, request))
    most = context.max_page_size
    limit = most + 1 if request.limit is None else request.limit
    rows = yield query_statement(context, request, limit)
    if not rows:
        raise MessageNotFound("No matches found")
    if len(rows) > most:
        raise BadRequest(
            f"More than {most} rows match; ask for them in pages with limit and offset."
        )
    return json_reply(200, {"results": context.writer.write_all(rows)})


def _related(context: OperationContext, request: ApiRequest) -> Plan:
    association = context.association(reverse=request.reverse)
    rows = yield Statement(association.read, keyed(context.key(request.key)))
    if not rows:
        raise context.not_found(request.key)
    return _ids(context, rows)


def _related_state(
    context: OperationContext, request: ApiRequest, *, lock: bool
) -> Generator[Statement, Rows, str | None]:
    """The tag of a related list; see :class:`conditional.State`."""
    association = context.association(reverse=request.reverse)
    key = keyed(context.key(request.key))
    if lock:
        yield Statement(context.statements.read_locked, key)
        # A change from the other side may take ids away.
        yield Statement(association.lock, key)
    rows = yield Statement(association.read, key)
    return entity_tag(_ids(context, rows).body) if rows else None


def _ids(context: OperationContext, rows: Rows) -> Reply:
    keys = context.related_keys
    return json_reply(200, [shown_key(keys, row[1:]) for row in rows if row[1] is not None])


def _change_related(replace: bool) -> Callable[[OperationContext, ApiRequest], Plan]:
    def plan(context: OperationContext, request: ApiRequest) -> Plan:
        association = context.association(reverse=request.reverse)
        key = keyed(context.key(request.key))
        fields = context.related_keys
        ids: dict[tuple[Any, ...], None] = {}
        faults = []
        for index, value in enumerate(request.body):
            try:
                ids[tuple(read_values(fields, value))] = None
            except FieldError as error:
                faults.append(f"[{index}]: {error}")
        if faults:
            raise BadRequest(f"The body must be a list of {context.related.name} keys.", faults)
        columns = zip(*ids, strict=True) if ids else ((),) * len(fields)
        given = {**key, **{f"ids{index}": list(values) for index, values in enumerate(columns)}}
        if not (yield Statement(context.statements.lock, key)):
            raise context.not_found(request.key)
        missing = yield Statement(association.missing, given)
        if missing:
            named = ", ".join(context.related.key)
            raise BadRequest(
                f"Nothing was changed: not every {context.related.name} exists.",
                [
                    f"There is no {context.related.name} with {named} {', '.join(map(str, row))}."
                    for row in missing
                ],
            )
        if replace:
            yield Statement(association.remove_others, given)
        yield Statement(association.add, given)
        rows = yield Statement(association.read, key)
        return _ids(context, rows)

    return plan


PLANS: Final[Mapping[Kind, Callable[[OperationContext, ApiRequest], Plan]]] = {
    Kind.LIST: _list,
    Kind.READ: _read,
    Kind.CREATE: _create,
    Kind.REPLACE: conditional(_replace, row_state),
    Kind.MODIFY: conditional(_modify, row_state),
    Kind.DELETE: _delete,
    Kind.QUERY: _query,
    Kind.RELATED: _related,
    Kind.CHILDREN: children,
    Kind.RELATE: conditional(_change_related(replace=True), _related_state),
    Kind.ADD_RELATED: conditional(_change_related(replace=False), _related_state),
}

#: Operations of several statements that must happen together or not at all.
ATOMIC: Final = frozenset({Kind.RELATE, Kind.ADD_RELATED})

#: Operations that change nothing and can be asked again when a connection turns out to be lost.
READS: Final = frozenset({Kind.LIST, Kind.READ, Kind.QUERY, Kind.RELATED, Kind.CHILDREN})

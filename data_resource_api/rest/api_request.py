"""What a client asks of one operation: typed, bounded, and checked as far as no table is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from data_resource_api.compiler.faults import json_name, nearest, quote
from data_resource_api.compiler.openapi import Kind, Operation
from data_resource_api.compiler.security import Security
from data_resource_api.compiler.tables import ResourceTable
from data_resource_api.errors import BadRequest, UnsupportedMediaType
from data_resource_api.json_text import read_json
from data_resource_api.rest.conditions import NONE, Conditions, read_conditions
from data_resource_api.rest.intake.streams import BodyStream
from data_resource_api.rest.output.forms import JSON, Form, preferred
from data_resource_api.rest.pages import Position, Start
from data_resource_api.rest.questions.asking import (
    BARE,
    FORM,
    QUESTION_PARAMETERS,
    asked_question,
    divide_body,
    form_parameters,
    with_equal,
)
from data_resource_api.rest.questions.grammar import shortened
from data_resource_api.rest.questions.syntax import Question

DEFAULT_LIMIT: Final = 20
_LARGEST: Final = 2**63 - 1

#: The parameters that say which page is asked for, per kind; a question has others beside them.
_PARAMETERS: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.LIST: ("offset", "limit", "after", "before", "from"),
    Kind.QUERY: ("offset", "limit"),
    Kind.CHILDREN: ("offset", "limit", "after", "before", "from"),
}
_CURSORS: Final = ("after", "before", "from")
_ROW_BODIES: Final = frozenset({Kind.CREATE, Kind.REPLACE, Kind.MODIFY, Kind.QUERY})
_ID_BODIES: Final = frozenset({Kind.RELATE, Kind.ADD_RELATED})

#: The operations whose rows come in every form.
IN_EVERY_FORM: Final = frozenset({Kind.LIST, Kind.READ, Kind.QUERY, Kind.CHILDREN})

#: The operations whose body is read.
TAKES_BODY: Final = _ROW_BODIES | _ID_BODIES


@dataclass(frozen=True, slots=True)
class RawRequest:
    """What HTTP brought.

    :ivar key: the path's ``{id}``, decoded, or an empty string.
    :ivar parameters: the query string's names and values, decoded, in order.
    :ivar media_type: of the body, without parameters, in lower case.
    :ivar position: of the write that a read has to see, or an empty string.
    :ivar accept: the header of that name, or an empty string.
    :ivar prefer: the header, or an empty string.
    :ivar stream: the body where it is read as it comes, and ``body`` is empty.
    :ivar authorize: lets this caller do what asks for this, or refuses.
    :ivar if_match: the header, or an empty string.
    :ivar if_none_match: the header, or an empty string.
    """

    key: str
    parameters: Iterable[tuple[str, str]]
    media_type: str
    body: bytes
    position: str
    accept: str
    authorize: Callable[[Security], None]
    if_match: str = ""
    if_none_match: str = ""
    prefer: str = ""
    stream: BodyStream | None = None


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One operation's intent.

    :ivar limit: ``None`` where the client gave none and the operation has no default.
    :ivar via: the foreign key that children refer by, as it is stated, or an empty string.
    :ivar reverse: a table's relationship to itself is looked at from the child's side.
    :ivar body: an object for rows or a list of new ones, a list for ids, ``None`` where the operation takes
        none or has a stream.
    :ivar form: of the rows that the client prefers.
    :ivar on_conflict: what tells whether a row is there already, as it is stated, or an empty string.
    :ivar question: ``None`` where nothing is asked beyond a plain page, row or equality.
    :ivar asked: the parameters that the question came with, for links.
    :ivar bare: the answer is to be the list of rows alone.
    :ivar conditions: ``conditions.NONE`` where the client states none.
    :ivar authorize: as in :class:`RawRequest`.
    """

    operation: Operation
    key: str
    position: Position
    limit: int | None
    body: Any
    form: Form
    conditions: Conditions
    authorize: Callable[[Security], None]
    reverse: bool = False
    via: str = ""
    on_conflict: str = ""
    question: Question | None = None
    asked: Sequence[tuple[str, str]] = ()
    bare: bool = False


def parse(
    operation: Operation,
    raw: RawRequest,
    table: ResourceTable,
    *,
    max_page_size: int,
    max_nesting: int,
) -> ApiRequest:
    """Check a request against what every table has in common, and its names against its table's.

    :param table: whose rows are asked for.
    :raises BadRequest: naming every parameter that is wrong, or what is wrong with the body.
    :raises UnsupportedMediaType: the operation takes a body and this one is not JSON.
    """
    kind = operation.kind
    faults: list[str] = []
    body: Any = None if raw.stream is not None else _body(operation, raw, max_nesting)
    parameters, choice = _choice(kind, raw.parameters)
    reverse = _reversed(operation, choice, faults)
    known = _PARAMETERS.get(kind, ())
    asks = QUESTION_PARAMETERS.get(kind)
    if kind is Kind.QUERY:
        body, said = _divided(body, table, (*known, *QUESTION_PARAMETERS[kind]), faults)
        parameters = [*parameters, *said]
    others: list[tuple[str, str]] = []
    position, limit = _page(known, parameters, others, faults)
    bare = bool(asks) and BARE in raw.accept
    question = None
    if asks is None:
        faults += [_unknown(name, (*known, *_CHOICES.get(kind, "").split())) for name, _ in others]
    elif others or bare or "count" in raw.prefer:
        taken = (*known, *asks, *_CHOICES.get(kind, "").split())
        question = asked_question(kind, table, others, taken, raw.prefer, faults)
    if faults:
        raise BadRequest("The query string is wrong.", faults)
    if kind is Kind.QUERY:
        if question is not None:
            question = with_equal(question, table, body)
        elif not body:
            raise BadRequest("The body must name at least one field to look for.")
    form = preferred(raw.accept) if raw.accept and kind in IN_EVERY_FORM else JSON
    if form is JSON:
        if limit is None and kind in (Kind.LIST, Kind.CHILDREN):
            limit = DEFAULT_LIMIT
        limit = None if limit is None else min(limit, max_page_size)
    return ApiRequest(
        operation=operation,
        key=raw.key,
        position=position,
        limit=limit,
        form=form,
        body=body,
        question=question,
        asked=[("via", choice), *others] if choice and kind is Kind.CHILDREN else others,
        bare=bare,
        on_conflict=choice if kind is Kind.CREATE else "",
        via=choice if kind is Kind.CHILDREN else "",
        reverse=reverse,
        conditions=read_conditions(raw.if_match, raw.if_none_match)
        if raw.if_match or raw.if_none_match
        else NONE,
        authorize=raw.authorize,
    )


def _page(
    known: Sequence[str],
    parameters: Iterable[tuple[str, str]],
    others: list[tuple[str, str]],
    faults: list[str],
) -> tuple[Position, int | None]:
    numbers: dict[str, int] = {}
    cursor: dict[str, str] = {}
    for name, text in parameters:
        if name not in known:
            others.append((name, text))
        elif name in numbers or name in cursor:
            faults.append(f"{name}: is given twice.")
        elif name in _CURSORS:
            cursor[name] = text
            if name == "from" and text != Start.END:
                faults.append(f'from: must be "end", not {quote(text)}.')
        else:
            least = 0 if name == "offset" else 1
            digits = text.isascii() and text.isdigit() and len(text) <= 19
            if not digits or not least <= int(text) <= _LARGEST:
                faults.append(
                    f"{name}: must be a whole number from {least} on, not {quote(text)}"
                    f"{_as_field(name, text)}."
                )
                continue
            numbers[name] = int(text)
    if len(cursor) > 1:
        faults.append(f"{' and '.join(cursor)}: only one of them can say where the page is.")
    return _position(numbers.get("offset", 0), cursor), numbers.get("limit")


def _as_field(name: str, text: str) -> str:
    """A parameter that was taken for a field: where the field is compared."""
    return f" (a field of this name is compared by and=({name}.eq.3))" if "." in text else ""


def _unknown(name: str, known: Sequence[str]) -> str:
    takes = f"; it takes {', '.join(known)}." if known else "; it takes none."
    return f"{shortened(name)}: is not a parameter here{nearest(name, known) or takes}"


def _divided(
    body: Any, table: ResourceTable, known: Sequence[str], faults: list[str]
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """What the body of a query compares for equality, and what it says in the grammar."""
    if isinstance(body, list):
        return {}, body
    return divide_body(body, table.fields, known, faults)


#: The one parameter of a kind of operation that chooses something by its name.
_CHOICES: Final[Mapping[Kind, str]] = {
    Kind.CREATE: "on_conflict",
    Kind.CHILDREN: "via",
    Kind.RELATED: "reverse",
    Kind.RELATE: "reverse",
    Kind.ADD_RELATED: "reverse",
}


def _choice(
    kind: Kind, parameters: Iterable[tuple[str, str]]
) -> tuple[Iterable[tuple[str, str]], str]:
    """The other parameters, and the first value of the one that chooses."""
    wanted = _CHOICES.get(kind)
    if wanted is None:
        return parameters, ""
    others, stated = [], ""
    for name, text in parameters:
        if name == wanted and text and not stated:
            stated = text
        else:
            others.append((name, text))
    return others, stated


def _reversed(operation: Operation, choice: str, faults: list[str]) -> bool:
    """Whether a relationship of a table to itself is looked at from the child's side."""
    if not choice or _CHOICES.get(operation.kind) != "reverse":
        return False
    if operation.table != operation.related:
        faults.append("reverse: is for the relationship of a table to itself.")
    elif choice not in ("true", "false"):
        faults.append(f"reverse: must be true or false, not {quote(choice)}.")
    return choice == "true"


def _position(offset: int, cursor: Mapping[str, str]) -> Position:
    for name, text in cursor.items():
        return Position(offset, Start.END if name == "from" else Start(name), text)
    return Position(offset)


def is_json(media_type: str) -> bool:
    """Whether a media type says JSON: ``application/json`` or ``application/…+json``."""
    return media_type == "application/json" or (
        media_type.startswith("application/") and media_type.endswith("+json")
    )


def _body(operation: Operation, raw: RawRequest, max_nesting: int) -> Any:
    if operation.kind not in TAKES_BODY:
        return None
    if operation.kind is Kind.QUERY and raw.media_type == FORM:
        return form_parameters(raw.body)
    if not is_json(raw.media_type):
        raise UnsupportedMediaType(
            f"The body must be application/json, not {quote(raw.media_type or 'unnamed')}."
        )
    body = read_json(raw.body, max_depth=max_nesting)
    if operation.kind in _ID_BODIES:
        return body if isinstance(body, list) else [body]
    if operation.kind is Kind.CREATE and isinstance(body, list):
        return body
    if not isinstance(body, dict):
        raise BadRequest(f"The body must be a JSON object, not {json_name(body)}.")
    return body

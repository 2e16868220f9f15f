"""Where a request's question stands: in the URL, in a form, in a JSON body, in ``Prefer``."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl

from data_resource_api.compiler.faults import json_name, nearest
from data_resource_api.compiler.openapi import Kind
from data_resource_api.compiler.tables import ResourceTable
from data_resource_api.errors import BadRequest
from data_resource_api.json_text import write_json
from data_resource_api.rest.questions.grammar import (
    COUNTS,
    MOST_PARAMETERS,
    OF_THE_TABLE,
    read_question,
    read_target,
)
from data_resource_api.rest.questions.operators import OPERATORS
from data_resource_api.rest.questions.reading import GrammarError
from data_resource_api.rest.questions.syntax import Condition, FieldPath, Question

#: The parameters that a question is asked with, per kind of operation.
QUESTION_PARAMETERS: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.LIST: OF_THE_TABLE,
    Kind.QUERY: OF_THE_TABLE,
    Kind.CHILDREN: OF_THE_TABLE,
    Kind.READ: ("select",),
}

#: A body that holds what the query string could.
FORM: Final = "application/x-www-form-urlencoded"
#: In ``Accept``: the bare list of rows, as PostgREST answers it and its clients expect it.
BARE: Final = "application/vnd.pgrst.array+json"

_COUNT: Final = re.compile(r'(?:^|[,\s])count\s*=\s*"?(\w+)', re.IGNORECASE)


def form_parameters(body: bytes) -> list[tuple[str, str]]:
    """The names and values of a form.

    :raises BadRequest: it cannot be read.
    """
    try:
        return parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_PARAMETERS,
        )
    except UnicodeDecodeError:
        raise BadRequest("The body is not UTF-8.") from None
    except ValueError:
        raise BadRequest(f"A question takes at most {MOST_PARAMETERS} parameters.") from None


def divide_body(
    body: Mapping[str, Any], fields: Collection[str], known: Collection[str], faults: list[str]
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """What a JSON body compares for equality, and what it says in the grammar.

    :param known: the parameters of the operation.
    :param faults: takes what is wrong with the latter.
    """
    equal: dict[str, Any] = {}
    said: list[tuple[str, str]] = []
    for name, value in body.items():
        if name in fields or not _is_parameter(name, known):
            equal[name] = value
        elif isinstance(value, str):
            said.append((name, value))
        elif isinstance(value, int) and not isinstance(value, bool):
            said.append((name, str(value)))
        else:
            faults.append(f"{name}: must be a text, as in a URL, not {json_name(value)}.")
    return equal, said


def _is_parameter(name: str, known: Collection[str]) -> bool:
    if name in known:
        return True
    try:
        target = read_target(name)
    except GrammarError:
        return False
    return bool(target.embedded or target.word in known or target.field.steps)


def asked_question(
    kind: Kind,
    table: ResourceTable,
    parameters: Sequence[tuple[str, str]],
    known: Sequence[str],
    prefer: str,
    faults: list[str],
) -> Question:
    """What parameters and preferences ask of a table; see :func:`grammar.read_question`."""
    question = read_question(
        parameters,
        table=table.name,
        fields=table.fields,
        operators=OPERATORS,
        known=known,
        faults=faults,
    )
    preferred = _COUNT.search(prefer) if prefer and "count" in known else None
    if preferred and question.count is None and preferred[1].lower() in COUNTS:
        return replace(question, count=COUNTS[preferred[1].lower()])
    return question


def with_equal(question: Question, table: ResourceTable, equal: Mapping[str, Any]) -> Question:
    """The question about rows that are equal in these fields too.

    :raises BadRequest: the table has not all of them.
    """
    unknown = [
        f"{name}: is not a field of {table.name}{nearest(name, table.fields) or '.'}"
        for name in equal
        if name not in table.fields
    ]
    if unknown:
        raise BadRequest("The query cannot be asked.", unknown)
    conditions = tuple(_equality(table, name, value) for name, value in equal.items())
    places: dict[object, str] = {condition: condition.field.name for condition in conditions}
    return replace(
        question,
        filters=(*question.filters, *conditions),
        places={**question.places, **places},
    )


def _equality(table: ResourceTable, name: str, value: object) -> Condition:
    field = FieldPath(name)
    if value is None:
        return Condition(field, "is", "null")
    if isinstance(value, str):
        return Condition(field, "eq", value)
    return Condition(field, "eq", write_json(value).decode())

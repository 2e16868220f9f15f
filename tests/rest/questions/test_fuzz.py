"""Questions at random: never a 5xx, and never a row that the caller may not see."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from data_resource_api.rest.questions.operators import OPERATORS
from tests.rest.questions.ebnf import DIVIDER, Grammar
from tests.rest.questions.people import PEOPLE, schools
from tests.rest.questions.test_grammar import mutated
from tests.service import Service, running
from tests.test_fuzz import LONG, SHORT

#: In a row of a table that nobody can list, and nowhere else.
SECRET = "ZQ-CANARY-77"

NAMES = [
    "id", "name", "age", "height", "active", "born", "tags", "address", '"a.b"', "limit", "school_id",
    "address->geo->>lat", "address->city", "tags->0", "tags->>-1", "nothing", "hidden", "hidden.name",
    "school", "club", "people",
]  # fmt: skip
VALUES = [
    "", "1", "-1", "1.5", "x", "null", "true", "*a*", "{a,b}", "{}", "[]", '{"city":"Oslo"}', "[1,2]",
    "(1,2)", '("a,b",x)', "2001-05-17", "infinity", "NaN", "9" * 30, "1e400", "\\", "(", "[", "a & ", "%",
    "%s", "%(q1)s", "'", '"', "$1", "é", "é" * 200, "(a|b)*c", "\\y", "a{99999}", "not_null", "all",
]  # fmt: skip
SELECTS = [
    "", "*", "id", "id,name", "*,school(*)", "school!inner(name),id", "club(*,people(id))", "hidden(*)",
    "*,hidden(*)", "school(people(school(people(id))))", "x:address->geo,tags", "people(*)",
    "x:hidden(name)",
    "school!hidden(*)", "school(hidden(*))",
]  # fmt: skip


@st.composite
def parameters(draw: Any) -> list[tuple[str, str]]:
    """Parameters that look like a question."""
    chosen: random.Random = draw(st.randoms(use_true_random=False))

    def comparison() -> str:
        options = chosen.choice(["", "", "", "", "(any)", "(english)", "(zz)"])
        negated = chosen.choice(["", "", "not."])
        return f"{negated}{chosen.choice([*OPERATORS, 'zz'])}{options}.{chosen.choice(VALUES)}"

    def group(depth: int) -> str:
        members = [
            f"{chosen.choice(['and', 'not.or', 'or'])}{group(depth - 1)}"
            if depth and chosen.random() < 0.3
            else f"{chosen.choice(NAMES)}.{comparison()}"
            for _ in range(chosen.randint(1, 3))
        ]
        return f"({','.join(members)})"

    made = [("select", chosen.choice(SELECTS))] if chosen.random() < 0.5 else []
    for _ in range(chosen.randint(0, 3)):
        table = chosen.choice(["", "", "", "school.", "club.", "hidden.", "club.people."])
        name, value = chosen.choice(
            [
                (chosen.choice(NAMES), comparison()),
                (chosen.choice(["and", "or", "not.and", "not.or"]), group(2)),
                ("order", chosen.choice([*NAMES, "school(name)", "hidden(name)"])
                 + chosen.choice(["", ".desc", ".asc.nullsfirst", ".zz"])),
                ("count", chosen.choice(["exact", "estimated", "none", "x"])),
                ("limit", chosen.choice(["1", "0", "3", "x"])),
                ("after", chosen.choice(["1", "x", "1,2"])),
            ]
        )  # fmt: skip
        made.append((table + name, value))
    return made


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    """Schools, with a table that nobody can list: people refer to it, and are referred to."""
    document = schools()
    schema = document["data_resource_schema"]
    number = {"name": "id", "type": "integer"}
    text = {"name": "name", "type": "string"}
    to_people = {"fields": "people_id", "reference": {"resource": "people", "fields": "id"}}
    fields = [number, text, {"name": "people_id", "type": "integer"}]
    entry = {"fields": fields, "primaryKey": "id", "foreignKeys": [to_people]}
    schema["data"]["dataDictionary"].append({"name": "hidden", "tableSchema": entry})
    with running(tmp_path_factory.mktemp("questions"), server_url) as service:
        service.generate(document)
        assert service.database is not None
        service.database.execute(PEOPLE)
        service.database.execute("INSERT INTO hidden VALUES (1, %s, 1)", [SECRET])
        yield service


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def asked(service: Service, session: requests.Session, query: str, path: str = "/people") -> None:
    """By URL, as a form and on one row: an answer, or a refusal that is the client's fault."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for response in (
        session.get(f"{service.url}{path}?{query}", timeout=60),
        session.post(f"{service.url}{path}/query", query, headers=form, timeout=60),
        session.get(f"{service.url}{path}/1?{query}", timeout=60),
    ):
        assert response.status_code in (200, 400, 404), (query, response.text)
        assert SECRET not in response.text, query
        response.json()


def written(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{quote(name)}={quote(value)}" for name, value in pairs)


@SHORT
@given(pairs=parameters())
def test_a_random_question_is_answered_or_refused(
    service: Service, session: requests.Session, pairs: list[tuple[str, str]]
) -> None:
    asked(service, session, written(pairs))


@pytest.mark.soak
@settings(LONG, max_examples=100_000)
@given(pairs=parameters())
def test_a_random_question_is_answered_or_refused_at_length(
    service: Service, session: requests.Session, pairs: list[tuple[str, str]]
) -> None:
    asked(service, session, written(pairs))


TEXTS = Grammar.published().texts("parameter", 6)


@SHORT
@given(parameter=TEXTS, seed=st.integers(0, 2**32))
def test_random_text_is_answered_or_refused(
    service: Service, session: requests.Session, parameter: str, seed: int
) -> None:
    """What the grammar makes, and what is nearly that."""
    asked(service, session, written([(parameter.split(DIVIDER)[0], parameter.split(DIVIDER)[1])]))
    asked(service, session, written(mutated(parameter, seed)))


@SHORT
@given(query=st.binary(max_size=60))
def test_random_bytes_are_answered_or_refused(
    service: Service, session: requests.Session, query: bytes
) -> None:
    asked(service, session, quote(query, safe="&=%+;.,()"))

"""Random questions give the rows that hand-built SQLAlchemy gives, in the same order."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
import requests
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rest.questions.asked_by_hand import PEOPLE, ROWS, Chooser
from tests.rest.questions.people import schools
from tests.service import Service, running
from tests.test_fuzz import LONG, SHORT


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("by_hand"), server_url) as service:
        service.generate(schools())
        assert service.database is not None
        service.database.execute(ROWS)
        yield service


@pytest.fixture(scope="module")
def connection(service: Service) -> Iterator[sa.Connection]:
    assert service.database is not None
    engine = sa.create_engine(service.database.url.replace("://", "+psycopg2://", 1))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def compared(
    service: Service, session: requests.Session, connection: sa.Connection, seed: int
) -> None:
    parameters, found, clubs = Chooser(seed).question()
    response = session.get(f"{service.url}/people?{urlencode(parameters)}", timeout=60)
    assert response.status_code == 200, (parameters, response.text)
    rows = response.json()["people"]
    ids = list(connection.scalars(found))
    assert [row["id"] for row in rows] == ids, parameters
    if clubs is None or not rows:
        return
    wanted = [list(connection.scalars(clubs.where(PEOPLE.c.id == id_))) for id_ in ids[:3]]
    assert [[club["id"] for club in row["club"]] for row in rows[:3]] == wanted, parameters


@SHORT
@given(seed=st.integers(0, 2**63))
def test_a_random_question_finds_what_sql_by_hand_finds(
    service: Service, session: requests.Session, connection: sa.Connection, seed: int
) -> None:
    compared(service, session, connection, seed)


@pytest.mark.soak
@settings(LONG, max_examples=100_000)
@given(seed=st.integers(0, 2**63))
def test_a_random_question_finds_what_sql_by_hand_finds_at_length(
    service: Service, session: requests.Session, connection: sa.Connection, seed: int
) -> None:
    compared(service, session, connection, seed)

"""Random questions give the rows that hand-built SQLAlchemy gives, in the same order."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
import requests
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rest.questions.asked_by_hand import Chooser
from tests.rest.questions.campus import ROWS, campus
from tests.service import Service, running
from tests.test_fuzz import LONG, SHORT

#: Rows of a page of which what is embedded is compared: by hand it is asked for row by row.
_COMPARED = 3


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("by_hand"), server_url) as service:
        service.generate(campus())
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
    table, parameters, asking = Chooser(seed).question()
    response = session.get(f"{service.url}/{table}?{urlencode(parameters)}", timeout=60)
    assert response.status_code == 200, (table, parameters, response.text)
    found = response.json()[table]
    rows = asking.rows(connection)
    keys = [{name: row[name] for name in asking.identity} for row in rows]
    assert [{name: row[name] for name in asking.identity} for row in found] == keys, parameters
    if asking.embeds:
        wanted = [asking.shown(connection, row) for row in rows[:_COMPARED]]
        assert found[:_COMPARED] == wanted, (table, parameters)


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

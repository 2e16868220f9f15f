"""The original's old values, models that take and give plain values, and databases that exist already."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy_utils import StringEncryptedType

from data_resource_api import DataResource, compile_data_resource
from data_resource_api.compiler.encryption import index_column_name
from data_resource_api.compiler.plain_text import show
from data_resource_api.encryption.engines import Undecryptable
from data_resource_api.json_text import write_json
from tests.encryption.test_http import document as every_type
from tests.encryption.test_http import protected
from tests.encryption.test_rotation import original
from tests.service import Database, Service, entry, payload, running

KEYS = {"PEOPLE_KEY": "the old key"}


@pytest.mark.parametrize(
    ("type_", "text", "shown"),
    [
        ("number", "Decimal('1.10')", "1.10"),
        ("number", "1.5E+3", "1500"),
        ("number", "-7", "-7"),
        ("number", "Decimal('NaN')", "\"Decimal('NaN')\""),
        ("number", "1e999999999", '"1e999999999"'),
        ("integer", "5", "5"),
        ("integer", "Decimal('5')", "5"),
        ("integer", "five", '"five"'),
        ("boolean", "True", "true"),
        ("boolean", "false", "false"),
        ("boolean", "maybe", '"maybe"'),
        ("object", "{'a': Decimal('1.10'), 'b': [True, None]}", '{"a": 1.10, "b": [true, null]}'),
        ("object", "{'a': -2.50}", '{"a": -2.50}'),
        ("object", '{"b": 1.10, "a": "x"}', '{"a": "x", "b": 1.10}'),
        ("object", "{'a': __import__('os')}", "\"{'a': __import__('os')}\""),
        ("object", "[" * 5000, '"' + "[" * 5000 + '"'),
        ("array", "[1, 2.50]", "[1, 2.50]"),
        ("array", "(1, 'a')", '[1, "a"]'),
        ("date", "2012-04-23", '"2012-04-23"'),
        ("date", "2012-04-23 00:00:00", '"2012-04-23"'),
        ("time", "18:25:43.511000", '"18:25:43.511Z"'),
        ("time", "18:25:43+00:00", '"18:25:43Z"'),
        ("datetime", "2012-04-23 18:25:43", '"2012-04-23T18:25:43Z"'),
        ("datetime", "2012-04-23T18:25:43.500000+02:00", '"2012-04-23T16:25:43.5Z"'),
        ("datetime", "long ago", '"long ago"'),
        ("string", "Decimal('1.10')", "\"Decimal('1.10')\""),
        ("yearmonth", "2012-04", '"2012-04"'),
    ],
)  # fmt: skip
def test_an_old_value_is_shown_as_its_type_or_as_text(type_: str, text: str, shown: str) -> None:
    assert write_json(show(type_, text)).decode() == shown


def person() -> dict[str, Any]:
    built = payload(
        entry(
            "person",
            protected("ssn", "string", searchable=True, constraints={"unique": True}),
            protected("income", "number"),
            protected("born", "date"),
            protected("seen", "datetime"),
            protected("active", "boolean"),
            protected("more", "object"),
            protected("visits", "integer"),
            {"name": "name", "type": "string"},
        )
    )
    built["data_resource_schema"]["data"]["encryptionSchema"] = {
        "*": {"type": "AES_256_GCM", "key": "PEOPLE_KEY"}
    }
    return built


@pytest.fixture
def resource() -> DataResource:
    return compile_data_resource(person(), environment=KEYS)


@pytest.fixture
def engine(database: Database) -> Iterator[sa.Engine]:
    engine = sa.create_engine(database.url.replace("postgresql:", "postgresql+psycopg2:"))
    yield engine
    engine.dispose()


def test_models_take_and_give_plain_values(
    resource: DataResource, engine: sa.Engine, database: Database
) -> None:
    """And keep the blind index, on which the unique constraint is."""
    resource.create_tables(engine)
    model = resource.models["person"]
    values = {
        "ssn": "canary",
        "income": Decimal("1.10"),
        "born": dt.date(1970, 1, 2),
        "seen": dt.datetime(2012, 4, 23, 18, 25, 43),  # noqa: DTZ001
        "active": True,
        "more": {"a": [1, None]},
        "visits": 7,
    }
    with Session(engine) as session:
        session.add(model(**values))
        session.commit()
    with Session(engine) as session:
        (found,) = session.scalars(sa.select(model))
        assert {name: getattr(found, name) for name in values} == values
        assert found.name is None
        found.income = "12.50"
        session.commit()
        assert found.income == Decimal("12.50")
        session.add(model(ssn="canary"))
        with pytest.raises(sa.exc.IntegrityError) as raised:
            session.commit()
        assert "canary" not in str(raised.value)
    assert "canary" not in str(database.execute("SELECT * FROM person"))
    assert isinstance(resource.tables["person"].table.c.ssn.type, StringEncryptedType)
    other = compile_data_resource(person(), environment={"PEOPLE_KEY": "another"})
    with Session(engine) as session, pytest.raises(Undecryptable, match=r"person\.ssn"):
        session.scalars(sa.select(other.models["person"])).all()


def test_a_service_finds_what_a_model_wrote(
    folder: Path, server_url: str, resource: DataResource
) -> None:
    with running(folder, server_url, workers=1, **KEYS) as service:
        service.generate(person())
        url = service.database.url.replace("postgresql:", "postgresql+psycopg2:")  # type: ignore[union-attr]
        engine = sa.create_engine(url)
        with Session(engine) as session:
            session.add(resource.models["person"](ssn="of a model", income=5))
            session.commit()
        engine.dispose()
        found = service.post("/person/query", {"ssn": "of a model"}).json()["results"]
        assert [(row["id"], row["income"]) for row in found] == [(1, 5)]
        assert service.post("/person", {"ssn": "of a model"}).status_code == 409


def test_a_database_of_the_original_is_compared_and_served(folder: Path, server_url: str) -> None:
    """Its encrypted columns are BYTEA; a blind index is a column that has to be added first."""
    database = Database(server_url)
    database.execute(
        "CREATE TABLE person (id serial PRIMARY KEY, ssn bytea, income bytea, born bytea, seen bytea,"
        " active bytea, more text, visits bytea, name text)"
    )
    database.execute(
        "INSERT INTO person (ssn, income, active) VALUES (%s, %s, %s)",
        (original("1-2"), original("Decimal('1.10')"), original("True")),
    )
    service = Service(folder, database, workers=1, **KEYS)
    try:
        service.start()
        answer = service.post("/generator", person() | {"touch_database": False})
        assert answer.status_code == 409
        assert answer.json()["errors"] == [
            "person.ssn_blind_index: the column is missing.",
            "person.more: is text and should be bytea.",
            "person: there is no unique constraint on ssn_blind_index.",
        ]
        database.execute("ALTER TABLE person ADD ssn_blind_index bytea UNIQUE")
        database.execute("ALTER TABLE person ALTER more TYPE bytea USING NULL")
        service.generate(person() | {"touch_database": False})
        row = service.get("/person/1").json()
        assert (row["ssn"], row["income"], row["active"]) == ("1-2", 1.1, True)
        service.stop()
        assert "Traceback" not in service.log()
    finally:
        service.kill()
        database.drop()


def test_the_ddl_has_bytea_columns_and_no_check_of_a_protected_field() -> None:
    resource = compile_data_resource(every_type(), environment={"PEOPLE_KEY": "k"})
    table = resource.tables["person"].table
    kinds = {column.name: str(column.type.compile()) for column in table.columns}
    assert kinds["note"] == "BLOB"  # SQLAlchemy's own name where no dialect is given
    assert not [item for item in table.constraints if isinstance(item, sa.CheckConstraint)]
    assert {"note", "ssn", "income"} <= {rule.field for rule in resource.api_rules} | {"income"}


def test_the_name_of_a_blind_index_fits_into_postgresql() -> None:
    long = [index_column_name("ü" * 30 + end) for end in ("a", "b")]
    assert all(len(name.encode()) <= 63 for name in long)
    assert len(set(long)) == 2
    assert index_column_name("ssn") == "ssn_blind_index"

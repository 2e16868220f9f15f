"""Tables with a distribution, the SQL that they become and the faults that are told."""

from __future__ import annotations

from typing import Any, cast

import pytest
import sqlalchemy as sa

from data_resource_api import compile_data_resource
from data_resource_api.errors import InvalidDocument
from tests.service import entry, payload

Entry = dict[str, Any]
REFERENCE = {"reference": True}


def integer(name: str, **constraints: Any) -> dict[str, Any]:
    return {"name": name, "type": "integer", "constraints": constraints}


def refers(fields: Any, resource: str, targets: Any = "id") -> dict[str, Any]:
    return {"fields": fields, "reference": {"resource": resource, "fields": targets}}


def spread(entry: Entry, distribution: object) -> Entry:
    return entry | {"distribution": distribution}


def table(name: str, distribution: object, *fields: Any, key: Any = "id", **schema: Any) -> Entry:
    return spread(entry(name, *fields, key=key, **schema), distribution)


def ddl(*entries: Entry, pairs: Any = ()) -> list[str]:
    """Every statement that ``create_tables`` runs, in order, white space folded."""
    statements: list[str] = []

    def record(statement: Any, *_: Any, **__: Any) -> None:
        sql = str(statement.compile(dialect=engine.dialect))
        statements.append(" ".join(sql.split()).replace("( ", "(").replace(" )", ")"))

    engine = sa.create_mock_engine("postgresql+psycopg2://", record)
    resource = compile_data_resource(payload(*entries, pairs=pairs))
    resource.create_tables(cast(sa.Engine, engine))
    return statements


def faults(*entries: Entry, pairs: Any = ()) -> tuple[str, ...]:
    with pytest.raises(InvalidDocument) as refused:
        compile_data_resource(payload(*entries, pairs=pairs))
    return refused.value.errors


PROVIDER = table("provider", {"key": "id"})

REGION = table("region", REFERENCE)

SESSION = table(
    "session",
    {"key": "provider_id"},
    integer("provider_id"),
    integer("number"),
    integer("region_id"),
    key=["provider_id", "number"],
    foreignKeys=[refers("provider_id", "provider"), refers("region_id", "region")],
)

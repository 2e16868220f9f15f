"""Database URLs: one host or several, libpq's form or SQLAlchemy's, the primary's or the replicas'."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2

from data_resource_api.errors import ConfigurationError
from data_resource_api.settings import Settings


def libpq(url: str) -> dict[str, Any]:
    """What libpq is given for a URL."""
    stated = Settings.from_environment({"DATABASE_URL": url}).sqlalchemy_url
    assert stated is not None
    return PGDialect_psycopg2().create_connect_args(sa.make_url(stated))[1]  # type: ignore[no-any-return, no-untyped-call]


def replicas(text: str) -> list[str]:
    return list(Settings.from_environment({"DATABASE_READ_URL": text}).database_read_url or ())


@pytest.mark.parametrize(
    ("hosts", "host", "port"),
    [
        ("db1:5432,db2:5433", "db1,db2", "5432,5433"),
        ("db1,db2:5433", "db1,db2", "5432,5433"),
        ("[::1]:5433,[fe80::1],db", "::1,fe80::1,db", "5433,5432,5432"),
    ],
)
def test_several_hosts_are_listed_as_libpq_lists_them(hosts: str, host: str, port: str) -> None:
    given = libpq(f"postgresql://me:p%40ss@{hosts}/mine?connect_timeout=3")
    assert given["host"] == host
    assert given["port"] == port
    assert (given["user"], given["password"], given["dbname"]) == ("me", "p@ss", "mine")
    assert given["connect_timeout"] == "3"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me@db1,db2/mine",
        "postgresql://me@/mine?host=db1&host=db2",
        "postgresql://me@/mine?host=db1,db2&port=5432,5432",
    ],
)
def test_of_several_hosts_the_one_that_takes_writes_is_meant(url: str) -> None:
    assert libpq(url)["target_session_attrs"] == "read-write"
    separator = "&" if "?" in url else "?"
    assert libpq(f"{url}{separator}target_session_attrs=any")["target_session_attrs"] == "any"


def test_one_host_is_taken_as_it_is() -> None:
    assert "target_session_attrs" not in libpq("postgresql://me@db1/mine")
    assert libpq("postgresql://me@/mine?host=/run/postgresql")["host"] == "/run/postgresql"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://db1:x,db2/mine",
        "postgresql://db1,,db2/mine",
        "postgresql://db1,db2/mine?host=db3",
        "postgresql://[::1,db2/mine",
    ],
)
def test_a_list_of_hosts_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL must be a URL like"):
        libpq(url)


@pytest.mark.parametrize("between", [" ", ",", ", ", "\n", " , "])
def test_replicas_are_separated_by_spaces_or_commas(between: str) -> None:
    """A comma may also stand between the hosts of one URL."""
    first, second = "postgresql://a:1,b:2/mine", "postgres://c/mine?sslmode=require"
    found = replicas(f"{first}{between}{second}")
    assert found == [
        "postgresql+psycopg2:///mine?host=a%2Cb&port=1%2C2",
        "postgresql+psycopg2://c/mine?sslmode=require",
    ]


def test_a_replica_that_is_no_url_is_refused_and_no_secret_is_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        replicas("postgresql://me:s3cr3t@a/mine mysql://me:s3cr3t@b/mine")
    assert "DATABASE_READ_URL must be a URL like" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    settings = Settings.from_environment({"DATABASE_READ_URL": "postgresql://me:s3cr3t@a/mine"})
    assert "s3cr3t" not in repr(settings)

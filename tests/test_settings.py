"""Settings: each variable is read once, checked, and named with its remedy where it is wrong."""

from __future__ import annotations

import dataclasses
import logging
import pickle
from pathlib import Path

import pytest
import sqlalchemy as sa

from data_resource_api.errors import ConfigurationError
from data_resource_api.settings import Settings

SECRET = "s3cr3t-p@ss/w:rd %"


def read(**environment: str) -> Settings:
    return Settings.from_environment(environment)


def refused(**environment: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(**environment)
    return list(caught.value.errors)


def url(**environment: str) -> sa.URL:
    stated = read(**environment).sqlalchemy_url
    assert stated is not None
    return sa.make_url(stated)


def test_nothing_has_to_be_set() -> None:
    settings = read()
    assert settings.app_env == "TEST"
    assert not settings.production
    assert settings.sqlalchemy_url is None
    assert settings.static_dir == Path("static")
    assert settings.data_dir == Path("var")


@pytest.mark.parametrize("text", ["local", "Local", "LOCAL", " LOCAL "])
def test_the_environment_is_named_in_any_case(text: str) -> None:
    assert read(APP_ENV=text).app_env == "LOCAL"


@pytest.mark.parametrize(
    ("name", "text", "remedy"),
    [
        ("APP_ENV", "STAGING", "must be one of TEST, LOCAL, PRODUCTION, not 'STAGING'."),
        ("DRG_LOG_LEVEL", "LOUD", "must be one of DEBUG, INFO, WARNING, ERROR, not 'LOUD'."),
        ("DRG_POOL_SIZE", "1", "must be a whole number from 2 to 1000, not '1'."),
        ("DRG_POOL_SIZE", "1e2", "must be a whole number from 2 to 1000, not '1e2'."),
        ("DRG_POOL_SIZE", "-8", "must be a whole number from 2 to 1000, not '-8'."),
        ("DRG_POOL_SIZE", "٨", "must be a whole number from 2 to 1000, not '٨'."),
        ("DRG_MAX_PAGE_SIZE", "0", "must be a whole number from 1 to 1000000, not '0'."),
        ("POSTGRES_PORT", "65536", "must be a whole number from 1 to 65535, not '65536'."),
        ("DRG_MAX_NESTING", "201", "must be a whole number from 10 to 200, not '201'."),
        ("DRG_CORS_ORIGINS", "*", "must name each origin: * would let every web page in, not '*'."),
        ("DRG_ALLOW_ANONYMOUS", "maybe", "must be 1 or 0, not 'maybe'."),
    ],
)
def test_a_wrong_value_is_named_with_its_remedy(name: str, text: str, remedy: str) -> None:
    assert refused(**{name: text}) == [f"{name} {remedy}"]


def test_every_wrong_value_is_named_at_once() -> None:
    assert len(refused(APP_ENV="X", DRG_POOL_SIZE="X", POSTGRES_PORT="X")) == 3


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_variable_is_as_good_as_none(text: str) -> None:
    assert read(APP_ENV=text, DRG_POOL_SIZE=text, DATABASE_URL=text) == read()


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("true", True), ("YES", True), ("0", False), ("no", False)]
)
def test_a_switch_has_its_usual_words(text: str, value: bool) -> None:
    assert read(DRG_ALLOW_ANONYMOUS=text).allow_anonymous is value


def test_origins_are_a_list_as_browsers_write_them() -> None:
    stated = "https://app.example.org, http://localhost:3000 http://[::1]:8080"
    origins = ("https://app.example.org", "http://localhost:3000", "http://[::1]:8080")
    assert read(DRG_CORS_ORIGINS=stated).cors_origins == origins


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "app.example.org",
        "https://app.example.org/",
        "https://App.example.org",
        "https://*.example.org",
        "https://me@app.example.org",
        "https://app.example.org:443",
        "http://app.example.org:80",
        "https://a.example https://app.example.org/x",
    ],
)
def test_what_no_browser_would_send_is_no_origin(text: str) -> None:
    (error,) = refused(DRG_CORS_ORIGINS=text)
    assert error.startswith("DRG_CORS_ORIGINS must be origins like https://app.example.org")


# ── the database ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_a_database_url_means_our_driver(scheme: str) -> None:
    stated = read(DATABASE_URL=f"{scheme}://me:pw@db:5433/mine?sslmode=require").sqlalchemy_url
    assert stated == "postgresql+psycopg2://me:pw@db:5433/mine?sslmode=require"


@pytest.mark.parametrize(
    "text", ["mysql://h/d", "h/d", "postgresql:h", "postgresql://me:hunter2@h:port/d", "://"]
)
def test_a_database_url_that_is_none_is_refused_and_not_shown(text: str) -> None:
    assert refused(DATABASE_URL=text) == [
        "DATABASE_URL must be a URL like postgresql://user:password@host:5432/database."
    ]


def test_the_url_wins_over_the_single_variables() -> None:
    both = url(DATABASE_URL="postgresql://h/one", POSTGRES_HOSTNAME="g", POSTGRES_DATABASE="two")
    assert (both.host, both.database) == ("h", "one")


def test_the_single_variables_may_hold_any_character() -> None:
    stated = url(
        POSTGRES_USER="a b@c",
        POSTGRES_PASSWORD=SECRET,
        POSTGRES_HOSTNAME="::1",
        POSTGRES_PORT="5433",
        POSTGRES_DATABASE="d/b?x",
    )
    assert stated.drivername == "postgresql+psycopg2"
    assert (stated.username, stated.password) == ("a b@c", SECRET)
    assert (stated.host, stated.port, stated.database) == ("::1", 5433, "d/b?x")


@pytest.mark.parametrize(
    "name", ["POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_HOSTNAME", "POSTGRES_DATABASE"]
)
def test_one_of_them_is_enough_to_mean_a_database_of_ones_own(name: str) -> None:
    """The rest is as libpq has it: localhost, 5432, and a database called like its user."""
    stated = url(**{name: "x"})
    assert stated.username == ("x" if name == "POSTGRES_USER" else "postgres")
    assert stated.host == ("x" if name == "POSTGRES_HOSTNAME" else "localhost")
    assert stated.port == 5432
    assert stated.database == (
        "x" if name in ("POSTGRES_USER", "POSTGRES_DATABASE") else "postgres"
    )


def test_a_host_may_be_the_folder_of_a_socket() -> None:
    stated = url(POSTGRES_HOSTNAME="/run/postgresql", POSTGRES_PORT="5433")
    assert stated.query == {"host": "/run/postgresql", "port": "5433"}


# ── production ───────────────────────────────────────────────────────────────────────────────────


def test_production_needs_a_database_and_a_provider_and_no_anonymous_clients() -> None:
    database, provider, anonymous = refused(APP_ENV="production", DRG_ALLOW_ANONYMOUS="1")
    assert database.startswith("APP_ENV=PRODUCTION needs DATABASE_URL")
    assert provider.startswith("APP_ENV=PRODUCTION needs OAUTH2_PROVIDER")
    assert anonymous.startswith("DRG_ALLOW_ANONYMOUS ")


# ── secrets and unknown names ────────────────────────────────────────────────────────────────────


def test_a_secret_is_in_no_representation() -> None:
    settings = read(DATABASE_URL="postgresql://me:hunter2@h/d", POSTGRES_PASSWORD=SECRET)
    for shown in (repr(settings), str(settings), f"{settings}"):
        assert "hunter2" not in shown
        assert SECRET not in shown


def test_settings_travel_to_another_process() -> None:
    settings = read(POSTGRES_PASSWORD=SECRET, DRG_POOL_SIZE="3")
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        read().pool_size = 3  # type: ignore[misc]


def test_an_unknown_name_is_a_warning_with_the_nearest_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    read(DRG_POLL_SIZE="8", DRG_ZZZ="1", OTHER="1")
    assert caplog.messages == [
        "The environment variable DRG_POLL_SIZE is not known; did you mean DRG_POOL_SIZE?",
        "The environment variable DRG_ZZZ is not known.",
    ]


def test_what_kubernetes_injects_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A service called drg, and one called drg-db, with a named port."""
    caplog.set_level(logging.WARNING)
    read(
        DRG_SERVICE_HOST="10.0.0.1",
        DRG_SERVICE_PORT="8081",
        DRG_SERVICE_PORT_HTTP="8081",
        DRG_PORT="tcp://10.0.0.1:8081",
        DRG_PORT_8081_TCP="tcp://10.0.0.1:8081",
        DRG_PORT_8081_TCP_PROTO="tcp",
        DRG_PORT_8081_TCP_PORT="8081",
        DRG_PORT_8081_TCP_ADDR="10.0.0.1",
        DRG_DB_SERVICE_HOST="10.0.0.2",
        DRG_DB_PORT_5432_TCP_ADDR="10.0.0.2",
    )
    assert not caplog.messages

"""Settings: each variable is read once, checked, and named with its remedy where it is wrong."""

from __future__ import annotations

import dataclasses
import logging
import pickle
import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from data_resource_api.errors import ConfigurationError
from data_resource_api.settings import Settings

SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN$|DATABASE_URL")
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
    assert settings.app_env.name == "TEST"
    assert not settings.production
    assert settings.sqlalchemy_url is None
    assert settings.static_dir == Path("static")
    assert settings.data_dir == Path("var")


@pytest.mark.parametrize("text", ["local", "Local", "LOCAL", " LOCAL "])
def test_the_environment_is_named_in_any_case(text: str) -> None:
    assert read(APP_ENV=text).app_env.name == "LOCAL"


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


# ── AWS ──────────────────────────────────────────────────────────────────────────────────────────

KEY = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
ADDRESSES = "DATABASE_URL, POSTGRES_HOSTNAME and POSTGRES_USER, or AWS_SM_ENABLED=1"
S3 = {
    "SCHEMA_STORAGE_TYPE": "S3",
    "AWS_S3_REGION": "us-west-1",
    "AWS_S3_STORAGE_BUCKET_NAME": "b",
    "AWS_S3_STORAGE_OBJECT_NAME": "o",
}


def test_what_a_switch_of_aws_needs_is_told_line_by_line() -> None:
    lines = refused(AWS_SM_ENABLED="1", AWS_DB_USE_IAM_ROLE="1", SCHEMA_STORAGE_TYPE="S3")
    assert lines == [
        "AWS_SM_ENABLED=1 needs AWS_SM_NAME.",
        "AWS_SM_ENABLED=1 needs AWS_SM_REGION.",
        "AWS_SM_ENABLED=1 needs AWS_SM_DBNAME.",
        "AWS_DB_USE_IAM_ROLE=1 needs AWS_DB_REGION_IAM_ROLE.",
        "SCHEMA_STORAGE_TYPE=S3 needs AWS_S3_REGION.",
        "SCHEMA_STORAGE_TYPE=S3 needs AWS_S3_STORAGE_BUCKET_NAME.",
        "SCHEMA_STORAGE_TYPE=S3 needs AWS_S3_STORAGE_OBJECT_NAME.",
        f"SCHEMA_STORAGE_TYPE=S3 needs {' and '.join(KEY)}, or AWS_S3_USE_IAM_ROLE=1.",
    ]


def test_what_is_switched_off_needs_nothing() -> None:
    settings = read(AWS_SM_ENABLED="0", AWS_DB_USE_IAM_ROLE="0", AWS_S3_USE_IAM_ROLE="0")
    assert settings == read()


def test_a_bucket_needs_a_key_or_a_role() -> None:
    assert read(**S3, AWS_S3_USE_IAM_ROLE="1").aws_keys is None
    keys = read(**S3, AWS_ACCESS_KEY_ID="i", AWS_SECRET_ACCESS_KEY=SECRET).aws_keys
    assert keys is not None
    assert (keys.access_key_id, keys.secret_access_key) == ("i", SECRET)
    assert SECRET not in repr(keys)


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
    ],
)
def test_half_a_key_is_told(given: str, missing: str) -> None:
    assert refused(**{given: SECRET}) == [f"{given} needs {missing}."]


def test_two_addresses_of_the_database_are_refused() -> None:
    named = {"AWS_SM_NAME": "n", "AWS_SM_REGION": "r", "AWS_SM_DBNAME": "d"}
    assert refused(AWS_SM_ENABLED="1", DATABASE_URL="postgresql://h/d", **named) == [
        "AWS_SM_ENABLED=1 and DATABASE_URL both name a database; keep one of them."
    ]


@pytest.mark.parametrize("url", [None, "postgresql://h/d", "postgresql://u@/d?host=/run"])
def test_a_token_is_for_a_host_and_a_user(url: str | None) -> None:
    stated = {"DATABASE_URL": url} if url else {}
    assert refused(AWS_DB_USE_IAM_ROLE="1", AWS_DB_REGION_IAM_ROLE="r", **stated) == [
        f"AWS_DB_USE_IAM_ROLE=1 needs the database's host and user: {ADDRESSES}."
    ]


# ── secrets in files ─────────────────────────────────────────────────────────────────────────────

SECRETS = [item for item in dataclasses.fields(Settings) if item.metadata["secret"]]
#: A text that the variable can have.
TEXTS = dict.fromkeys(("database_url", "database_read_url"), "postgresql+psycopg2://me:canary@h/d")


@pytest.mark.parametrize("setting", SECRETS, ids=lambda item: item.name)
def test_a_secret_may_be_in_a_file(
    setting: dataclasses.Field[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Settings, "check", lambda self: None)  # half a key is told elsewhere
    text = TEXTS.get(setting.name, "canary")
    file = tmp_path / "secret"
    file.write_text(f"{text}\n")
    name = setting.metadata["name"]
    settings = read(**{f"{name}_FILE": str(file)})
    assert getattr(settings, setting.name) in (text, (text,))
    assert "canary" not in repr(settings)


@pytest.mark.parametrize("setting", SECRETS, ids=lambda item: item.name)
def test_a_secret_that_is_there_twice_is_refused(
    setting: dataclasses.Field[str], tmp_path: Path
) -> None:
    name = setting.metadata["name"]
    (line,) = refused(**{name: "canary", f"{name}_FILE": str(tmp_path / "secret")})
    assert line == f"{name} and {name}_FILE are both set; keep one of them."


@pytest.mark.parametrize("setting", SECRETS, ids=lambda item: item.name)
def test_a_file_that_cannot_be_read_is_told(
    setting: dataclasses.Field[str], tmp_path: Path
) -> None:
    name = f"{setting.metadata['name']}_FILE"
    file = tmp_path / "nowhere"
    assert refused(**{name: str(file)}) == [
        f"{name}: {file} cannot be read: No such file or directory."
    ]
    file.write_bytes(b"\xff")
    assert refused(**{name: str(file)}) == [f"{name}: {file} is not UTF-8 text."]


def test_a_wrong_secret_in_a_file_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("canary")
    (line,) = refused(DATABASE_URL_FILE=str(tmp_path / "url"))
    assert line.startswith("DATABASE_URL must be a URL like ")
    assert "canary" not in line.replace(str(tmp_path), "")


def test_what_is_secret_by_its_name_is_secret() -> None:
    """A new setting cannot be forgotten."""
    named = {
        item.name
        for item in dataclasses.fields(Settings)
        if SECRET_NAME.search(item.metadata["name"])
    }
    assert named <= {item.name for item in SECRETS}


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

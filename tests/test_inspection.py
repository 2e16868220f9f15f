"""``drg config``: what is in force and where it came from, and nothing that is secret."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path

import pytest

from data_resource_api.settings import Settings
from tests.command_line import run

#: A value that each secret can have, with a canary in it where a password would be.
VALUES = {
    item.metadata["name"]: "postgresql://me:canary@db:5433/mine?sslmode=require&sslpassword=canary"
    if item.name in ("database_url", "database_read_url")
    else "canary"
    for item in dataclasses.fields(Settings)
    if item.metadata["secret"]
}
KEY = {"AWS_ACCESS_KEY_ID": "AKIA"}


def config(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return run("drg", "config", *arguments, **settings)


def values(**settings: str) -> dict[str, tuple[str | None, str]]:
    done = config("--json", **settings)
    assert done.returncode == 0, done.stderr
    assert "canary" not in done.stdout + done.stderr
    return {name: (row["value"], row["from"]) for name, row in json.loads(done.stdout).items()}


def test_every_variable_has_its_value_and_its_origin(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("canary")
    shown = values(
        APP_ENV="local",
        POSTGRES_HOSTNAME="db",
        POSTGRES_PASSWORD_FILE=str(file),
        OAUTH2_ALGORITHMS="RS256, ES256",
    )
    assert set(shown) == {item.metadata["name"] for item in dataclasses.fields(Settings)}
    assert shown["APP_ENV"] == ("LOCAL", "environment")
    assert shown["POSTGRES_HOSTNAME"] == ("db", "environment")
    assert shown["POSTGRES_PASSWORD"] == ("***", f"file {file}")
    assert shown["POSTGRES_PORT"] == ("5432", "default")
    assert shown["DRG_ALLOW_ANONYMOUS"] == ("0", "default")
    assert shown["OAUTH2_ALGORITHMS"] == ("RS256 ES256", "environment")
    assert shown["DATABASE_URL"] == (None, "default")


def test_no_secret_is_shown_from_the_environment() -> None:
    shown = values(**VALUES, **KEY)
    assert all("***" in str(shown[name][0]) for name in VALUES)


def test_no_secret_is_shown_from_a_file(tmp_path: Path) -> None:
    for name, value in VALUES.items():
        (tmp_path / name).write_text(value)
    shown = values(**{f"{name}_FILE": str(tmp_path / name) for name in VALUES}, **KEY)
    assert all(shown[name][1] == f"file {tmp_path / name}" for name in VALUES)


def test_of_a_databases_url_all_but_the_passwords_is_shown() -> None:
    assert values(**VALUES, **KEY)["DATABASE_URL"] == (
        "postgresql+psycopg2://me:***@db:5433/mine?sslmode=require&sslpassword=***",
        "environment",
    )


def test_a_password_in_another_url_is_hidden() -> None:
    shown = values(OAUTH2_URL="https://me:canary@id.example.org/")
    assert shown["OAUTH2_URL"][0] == "https://me:***@id.example.org/"


def test_a_secret_in_secrets_manager_is_named_and_not_fetched() -> None:
    """No AWS answers here."""
    shown = values(
        AWS_SM_ENABLED="1", AWS_SM_NAME="mine", AWS_SM_REGION="us-west-1", AWS_SM_DBNAME="d"
    )
    assert shown["DATABASE_URL"] == ("(fetched at the start)", "AWS Secrets Manager: mine")


def test_the_table_has_a_column_for_each(tmp_path: Path) -> None:
    """No database is asked either: there is none at this address."""
    done = config(DATABASE_URL="postgresql://me:canary@127.0.0.1:1/mine", DRG_STATIC_DIR="x")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["VARIABLE", "VALUE", "FROM"]
    assert ["DATABASE_URL", "postgresql+psycopg2://me:***@127.0.0.1:1/mine", "environment"] in lines
    assert ["DRG_STATIC_DIR", "x", "environment"] in lines
    assert ["POSTGRES_USER", "-", "default"] in lines


@pytest.mark.parametrize("name", ["DATABASE_URL", "POSTGRES_PASSWORD"])
def test_wrong_settings_are_told_as_at_the_start_and_without_a_secret(name: str) -> None:
    done = config(**{name: "canary", f"{name}_FILE": "/canary"}, DRG_POOL_SIZE="many")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"drg: {name} and {name}_FILE are both set; keep one of them.\n"
        "drg: DRG_POOL_SIZE must be a whole number from 2 to 1000, not 'many'.\n"
    )

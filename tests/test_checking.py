"""The OpenAPI document of a payload is checked in a process of its own."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from data_resource_api.checking import compiled
from data_resource_api.errors import Conflict, InvalidDocument
from tests.service import entry, payload


def document(**schema: Any) -> dict[str, Any]:
    made = payload(entry("t", {"name": "name", "type": "string"}))
    api = made["data_resource_schema"]["api"]["apiSpec"]
    api["components"] = {"schemas": {"thing": schema}}
    return made


BROKEN = document(type="strin")
#: A pattern and a default on which Python's regular expressions take longer than the sun has left.
ENDLESS = document(type="string", pattern="^(a+)+$", default="a" * 60 + "!")


def test_what_is_compiled_may_not_be_kept_before_the_check_is_done() -> None:
    with pytest.raises(InvalidDocument) as caught, compiled(BROKEN) as (_, require_valid):
        require_valid()
    assert "api.apiSpec.components.schemas.thing" in caught.value.errors[0]


def test_a_broken_document_is_told_before_a_conflict() -> None:
    with pytest.raises(InvalidDocument), compiled(BROKEN):
        raise Conflict("There is such a table.")


def test_faults_of_both_checks_are_told_together() -> None:
    stated = document(type="strin")
    stated["data_resource_schema"]["data"]["dataDictionary"][0]["tableSchema"]["primaryKey"] = "no"
    with pytest.raises(InvalidDocument) as caught, compiled(stated):
        pass
    assert {line.partition(".")[0] for line in caught.value.errors} == {"data", "api"}


def test_a_document_that_cannot_be_checked_in_time_is_refused() -> None:
    with pytest.raises(InvalidDocument) as caught, compiled(ENDLESS, seconds=1) as (_, require):
        require()
    assert caught.value.errors[0].startswith("api.apiSpec: cannot be checked in 1 s.")


def test_a_check_that_nobody_waits_for_ends_by_itself() -> None:
    command = [sys.executable, "-m", "data_resource_api.compiler.openapi_rules", "1"]
    api = ENDLESS["data_resource_schema"]["api"]["apiSpec"]
    done = subprocess.run(command, input=json.dumps(api).encode(), capture_output=True)
    assert done.returncode < 0


@pytest.mark.parametrize("program", ["/nowhere/python", "/bin/false"])
def test_where_no_process_can_check_the_worker_does(
    program: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    caplog.set_level(logging.WARNING, "data_resource_api")
    with pytest.raises(InvalidDocument), compiled(BROKEN) as (_, require_valid):
        require_valid()
    assert "A worker checks the OpenAPI document itself" in caplog.text


def test_who_compiles_does_not_load_what_only_the_check_needs() -> None:
    program = """if True:
        import json, sys
        import data_resource_api.server
        from data_resource_api.checking import compiled

        with compiled(json.load(sys.stdin)) as (_, require_valid):
            require_valid()
        print(*{"connexion", "tableschema", "tableschema_sql", "alembic"} & set(sys.modules))
    """
    given = json.dumps(document(type="string"))
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

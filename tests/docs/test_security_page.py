"""docs/security.md: each risk of OWASP's list is there, and each test that it names exists."""

from __future__ import annotations

import ast
import re

import pytest

from tests.docs.pages import DOCS
from tests.docs.test_completeness import code, rows, section
from tests.service import ROOT

#: https://owasp.org/API-Security/editions/2023/en/0x11-t10/
OWASP = [
    "API1 Broken object level authorization",
    "API2 Broken authentication",
    "API3 Broken object property level authorization",
    "API4 Unrestricted resource consumption",
    "API5 Broken function level authorization",
    "API6 Unrestricted access to sensitive business flows",
    "API7 Server side request forgery",
    "API8 Security misconfiguration",
    "API9 Improper inventory management",
    "API10 Unsafe consumption of APIs",
]
PROTECTIONS = ("## Threats", "## OWASP API Security Top 10 (2023)")


def protections() -> list[list[str]]:
    return [row for heading in PROTECTIONS for row in rows(section("security", heading))[1:]]


def test_every_risk_of_owasps_list_is_there() -> None:
    assert [row[0] for row in rows(section("security", PROTECTIONS[1]))[1:]] == OWASP


@pytest.mark.parametrize("row", protections(), ids=lambda row: row[0])
def test_every_threat_and_risk_has_tests_that_exist(row: list[str]) -> None:
    named = code(row[2])
    assert named
    for name in named:
        file, _, function = name.partition("::")
        assert re.fullmatch(r"tests/[\w/]+\.py", file), name
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        assert function in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


def test_the_policy_for_reports_leads_to_the_model_and_names_no_person() -> None:
    policy = (ROOT / "SECURITY.md").read_text("utf-8")
    assert "(docs/security.md)" in policy
    assert "@" not in policy
    assert "## Security model" in (DOCS / "security.md").read_text("utf-8")

"""What the code has, the page about questions has."""

from __future__ import annotations

import re

from data_resource_api.rest.questions.bounds import DEEPEST_EMBED, DEEPEST_GROUP, MOST
from data_resource_api.rest.questions.grammar import (
    MOST_PARAMETERS,
    OF_AN_EMBEDDED,
    OF_THE_TABLE,
)
from data_resource_api.rest.questions.operators import OPERATORS
from data_resource_api.rest.questions.sealed import SEALED_OPERATORS
from tests.docs.pages import DOCS
from tests.rest.questions.ebnf import Grammar

PAGE = (DOCS / "querying.md").read_text("utf-8")


def test_every_operator_is_in_the_page_and_in_its_grammar() -> None:
    """And nothing else is."""
    table = PAGE.split("| operator |")[1].split("\n\n")[0]
    shown = [
        name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])
    ]
    assert sorted(shown) == sorted(OPERATORS)
    words = {token.strip('"') for token in Grammar.published().rules["word"]} - {"|"}
    assert words | {"in"} == set(OPERATORS)


def test_every_parameter_is_in_the_grammar() -> None:
    rules = Grammar.published().rules
    words = {token.strip('"') for rule in ("parameter", "logic") for token in rules[rule]}
    for parameter in (*OF_THE_TABLE, *OF_AN_EMBEDDED):
        assert set(parameter.replace("not.", "not. ").split()) <= words, parameter


def test_every_rule_of_the_grammar_is_defined_and_used() -> None:
    rules = Grammar.published().rules
    used = {token for tokens in rules.values() for token in tokens if token.isalpha()}
    assert used == set(rules) - {"parameter"}


def test_the_bounds_are_in_the_page() -> None:
    numbers = {5: "five", 10: "ten"}
    for bound in (DEEPEST_EMBED, DEEPEST_GROUP):
        assert numbers[bound] in PAGE
    for thing, most in MOST.items():
        assert f"{most:,} {thing}" in PAGE
    assert f"{MOST_PARAMETERS} parameters" in PAGE


def test_what_a_protected_field_can_be_asked_is_in_both_pages() -> None:
    for page in (PAGE, (DOCS / "encryption.md").read_text("utf-8")):
        for name in SEALED_OPERATORS:
            assert re.search(rf"`(ssn=)?{name}(\.…)?`", page), name

"""Distribution over a Citus cluster: every fault with its place and remedy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from data_resource_api import compile_data_resource
from data_resource_api.errors import InvalidDocument
from tests.compiler.distributed import REFERENCE, Entry, ddl, faults, integer, refers, spread, table
from tests.service import entry, payload

STATED = "data.dataDictionary[0].distribution"


@pytest.mark.parametrize(
    ("distribution", "line"),
    [
        ([], f"{STATED}: must be an object, not a list."),
        (None, f"{STATED}: must be an object, not null."),
        ({}, f'{STATED}: must have either "key", a field\'s name, or "reference": true.'),
        (
            {"key": "id", "reference": True},
            f'{STATED}: must have either "key", a field\'s name, or "reference": true.',
        ),
        (
            {"key": "id", "refrence": True},
            f'{STATED}: "refrence" is not known here; did you mean "reference"?',
        ),
        (
            {"size": 3},
            f'{STATED}: "size" is not known here.',
        ),
        (
            {"reference": False},
            f"{STATED}.reference: must be true; a local table states no distribution.",
        ),
        (
            {"reference": 1},
            f"{STATED}.reference: must be true; a local table states no distribution.",
        ),
        ({"key": 7}, f"{STATED}.key: must be a field's name, not a number."),
        ({"key": "idd"}, f'{STATED}.key: no field is called "idd"; did you mean "id"?'),
        ({"key": ""}, f'{STATED}.key: no field is called "".'),
    ],
)
def test_what_cannot_be_read_is_the_only_fault(distribution: object, line: str) -> None:
    """What refers to such a table is not judged, and JSON Schema does not say it again."""
    child = table("c", REFERENCE, integer("t_id"), foreignKeys=[refers("t_id", "t")])
    assert faults(table("t", distribution), child, pairs=[("c", "t")]) == (line,)


@pytest.mark.parametrize("distribution", [{"key": "idd"}, {"reference": False}, {"ky": "id"}, 5])
def test_a_distribution_that_cannot_be_read_is_refused_without_validation_too(
    distribution: object,
) -> None:
    document = payload(table("t", distribution)) | {"ignore_validation": True}
    with pytest.raises(InvalidDocument):
        compile_data_resource(document)


@pytest.mark.parametrize(
    ("field", "line"),
    [
        (
            {"name": "x", "type": "string"},
            (
                '"x" may be null, and a row without its distribution key has no place. Give the field '
                '"constraints": {"required": true}.'
            ),
        ),
        (
            {"name": "x", "type": "object", "constraints": {"required": True}},
            '"x" is object; distribute by a field of a simple type.',
        ),
    ],
)
def test_a_key_has_a_value_in_every_row_that_can_be_hashed(field: Any, line: str) -> None:
    assert faults(table("t", {"key": "x"}, field, key=None)) == (f"{STATED}.key: {line}",)


def test_a_required_field_of_a_table_without_a_primary_key_can_be_the_key() -> None:
    assert "SELECT create_distributed_table('\"public\".\"t\"', 'x')" in ddl(
        table("t", {"key": "x"}, integer("x", required=True), key=None)
    )


def test_primary_and_unique_keys_must_include_the_distribution_key() -> None:
    text = {"name": "code", "type": "string", "constraints": {"unique": True}}
    owner = integer("owner", required=True, unique=True)
    schema = "data.dataDictionary[0].tableSchema"
    assert faults(table("t", {"key": "owner"}, owner, text)) == (
        (
            f'{schema}.primaryKey: must include "owner", the distribution key: a node sees its own rows '
            'only. Add it to the primary key, distribute by "id", or make the table a reference table '
            '("distribution": {"reference": true}).'
        ),
        (
            f'{schema}.fields[2].constraints.unique: cannot be held without "owner", the distribution '
            'key: a node sees its own rows only. Leave "unique" out, distribute by "code", or make the '
            'table a reference table ("distribution": {"reference": true}).'
        ),
    )


def test_a_reference_table_may_have_any_unique_fields() -> None:
    text = {"name": "code", "type": "string", "constraints": {"unique": True}}
    assert any("UNIQUE" in sql for sql in ddl(table("t", REFERENCE, text)))


def child(distribution: object) -> Entry:
    made = table(
        "c",
        distribution,
        integer("p_id", required=True),
        key=["id", "p_id"],
        foreignKeys=[refers("p_id", "p")],
    )
    made["tableSchema"]["fields"].insert(0, integer("id"))
    return made


PLACE = "data.dataDictionary[1].tableSchema.foreignKeys[0]"


@pytest.mark.parametrize(
    ("parent", "own", "line"),
    [
        (
            None,
            REFERENCE,
            (
                'refers to "p", which is local, and this table is a reference table. '
                'Give "p" "distribution": {"reference": true}, or a key.'
            ),
        ),
        (
            None,
            {"key": "p_id"},
            (
                'refers to "p", which is local, and this table is distributed by "p_id". '
                'Give "p" "distribution": {"reference": true}, or a key.'
            ),
        ),
        (
            REFERENCE,
            None,
            (
                'refers to "p", which is a reference table, and this table is local. '
                "Give this table a distribution, too."
            ),
        ),
        (
            {"key": "id"},
            None,
            (
                'refers to "p", which is distributed by "id", and this table is local. '
                "Give this table a distribution, too."
            ),
        ),
        (
            {"key": "id"},
            REFERENCE,
            (
                'refers to "p", which is distributed by "id", and no node of this reference table has '
                'all of its rows. Give "p" "distribution": {"reference": true}, or this table a key.'
            ),
        ),
        (
            {"key": "id"},
            {"key": "id"},
            (
                'must pair the distribution keys, "id" of this table with "id" of "p", so that both rows '
                'are on one node. Add them to it, or give "p" "distribution": {"reference": true}.'
            ),
        ),
    ],
)
def test_a_foreign_key_needs_both_rows_on_one_node(parent: object, own: object, line: str) -> None:
    entries: Iterable[Entry] = (table("p", parent), child(own))
    stated = [
        {name: value for name, value in each.items() if value is not None} for each in entries
    ]
    assert faults(*stated) == (f"{PLACE}: {line}",)


def test_keys_that_refer_to_one_another_must_be_of_one_type() -> None:
    """Citus puts tables side by side when their keys have the same type, and hashes by type."""
    wide = spread(entry("p", key="id"), {"key": "id"})
    wide["tableSchema"]["fields"][0]["constraints"] = {"maximum": 2**40}
    assert faults(wide, child({"key": "p_id"})) == (
        (
            f'{PLACE}: pairs the distribution keys "p_id", which is INTEGER, and "id", which is BIGINT: '
            "equal values would be on different nodes. Give both fields one type and one "
            '"minimum" and "maximum".'
        ),
    )


def test_a_distributed_table_can_refer_to_itself_by_its_key_only() -> None:
    tree = table("t", {"key": "id"}, integer("of"), foreignKeys=[refers("of", "")])
    (line,) = faults(tree)
    assert line.startswith(
        "data.dataDictionary[0].tableSchema.foreignKeys[0]: must pair the distri"
    )
    assert ddl(table("t", REFERENCE, integer("of"), foreignKeys=[refers("of", "")]))


@pytest.mark.parametrize(
    ("left", "right", "line"),
    [
        (
            {"key": "id"},
            {"key": "id"},
            (
                '"l" and "r" are both distributed by a key, and no node has both rows of every pair. '
                'Give the smaller of the two "distribution": {"reference": true}.'
            ),
        ),
        (
            {"key": "id"},
            None,
            (
                '"r" is local, and "l" is distributed by "id". '
                'Give "r" "distribution": {"reference": true}.'
            ),
        ),
        (
            None,
            REFERENCE,
            (
                '"l" is local, and "r" is a reference table. '
                'Give "l" "distribution": {"reference": true}.'
            ),
        ),
    ],
)
def test_a_pair_that_no_node_could_hold_is_a_fault(left: object, right: object, line: str) -> None:
    stated = [
        {name: value for name, value in each.items() if value is not None}
        for each in (table("l", left), table("r", right))
    ]
    assert faults(*stated, pairs=[("l", "r")]) == (f"data.relationships.manyToMany[0]: {line}",)

"""Distribution over a Citus cluster: the SQL as text, and every fault with its place and remedy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import pytest
import sqlalchemy as sa

from data_resource_api import compile_data_resource
from data_resource_api.compiler.distribution import Distribution, distribution_sql
from data_resource_api.compiler.relationships import PhysicalAssociation
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


# ── the SQL ──────────────────────────────────────────────────────────────────────────────────────


def test_tables_are_distributed_as_they_are_created_and_foreign_keys_come_last() -> None:
    """A key between tables that are not distributed yet would be refused, or convert one of them."""
    statements = ddl(SESSION, PROVIDER, REGION)
    assert statements[0] == "SET LOCAL citus.multi_shard_modify_mode TO 'sequential'"
    created = {
        'CREATE TABLE public."provider"': (
            """SELECT create_distributed_table('"public"."provider"', 'id')"""
        ),
        'CREATE TABLE public."region"': """SELECT create_reference_table('"public"."region"')""",
        'CREATE TABLE public."session"': (
            """SELECT create_distributed_table('"public"."session"', 'provider_id')"""
        ),
    }
    places = []
    for create, distribute in created.items():
        place = next(n for n, sql in enumerate(statements) if sql.startswith(create))
        assert "REFERENCES" not in statements[place]
        assert statements.index(distribute) > place
        places.append(statements.index(distribute))
    index = 'CREATE INDEX ix_session_region_id ON public."session" ("region_id")'
    assert statements.index(index) < statements.index(created['CREATE TABLE public."session"'])
    assert sorted(statements[max(places) + 1 :]) == [
        (
            'ALTER TABLE public."session" ADD CONSTRAINT fk_session_provider_id '
            'FOREIGN KEY("provider_id") REFERENCES public."provider" ("id")'
        ),
        (
            'ALTER TABLE public."session" ADD CONSTRAINT fk_session_region_id '
            'FOREIGN KEY("region_id") REFERENCES public."region" ("id")'
        ),
    ]


def test_a_payload_that_states_no_distribution_runs_no_statement_of_citus() -> None:
    plain = [
        {name: entry[name] for name in ("name", "tableSchema")} for entry in (PROVIDER, REGION)
    ]
    assert all(
        sql.startswith("CREATE TABLE") for sql in ddl(*plain, pairs=[("provider", "region")])[:2]
    )
    assert "citus" not in " ".join(ddl(*plain)).lower()
    assert "create_" not in " ".join(ddl(*plain))


def test_local_tables_beside_distributed_ones_keep_their_keys_in_create_table() -> None:
    child = entry("note", integer("of"), foreignKeys=[refers("of", "note")])
    (created,) = [sql for sql in ddl(PROVIDER, child) if 'TABLE public."note"' in sql]
    assert 'FOREIGN KEY("of") REFERENCES public."note" ("id")' in created


@pytest.mark.parametrize(
    ("name", "distribution", "sql"),
    [
        ("t", Distribution(), """SELECT create_reference_table('"public"."t"')"""),
        (
            "a/b",
            Distribution("a_id"),
            """SELECT create_distributed_table('"public"."a/b"', 'a_id')""",
        ),
        (
            """it's "x" 100%""",
            Distribution("""o'"Key" %s"""),
            """SELECT create_distributed_table('"public"."it''s ""x"" 100%"', 'o''"Key" %s')""",
        ),
    ],
)
def test_names_are_quoted_as_identifiers_and_the_key_as_a_text(
    name: str, distribution: Distribution, sql: str
) -> None:
    assert distribution_sql(name, distribution) == sql


def test_a_percent_sign_in_a_name_reaches_the_driver_doubled() -> None:
    statements = ddl(table("100%", {"key": "id"}))
    assert """SELECT create_distributed_table('"public"."100%%"', 'id')""" in statements


def test_reference_tables_may_refer_to_one_another_in_a_circle() -> None:
    left = table("l", REFERENCE, integer("r"), foreignKeys=[refers("r", "r")])
    right = table("r", REFERENCE, integer("l"), foreignKeys=[refers("l", "l")])
    statements = ddl(left, right)
    assert [sql.split(" ADD ")[0] for sql in sorted(statements) if " ADD " in sql] == [
        'ALTER TABLE public."l"',
        'ALTER TABLE public."r"',
    ]


def test_distributed_tables_may_refer_to_one_another_by_their_keys() -> None:
    """Further fields may stand beside the keys, which is how a composite key is referred to."""
    attendance = table(
        "attendance",
        {"key": "provider_id"},
        integer("provider_id"),
        integer("number"),
        integer("id"),
        key=["provider_id", "id"],
        foreignKeys=[refers(["number", "provider_id"], "session", ["number", "provider_id"])],
    )
    assert (
        'ALTER TABLE public."attendance" ADD CONSTRAINT fk_attendance_number_provider_id '
        'FOREIGN KEY("number", "provider_id") REFERENCES public."session" ("number", "provider_id")'
    ) in ddl(PROVIDER, REGION, SESSION, attendance)


@pytest.mark.parametrize(
    ("left", "right", "statement"),
    [
        (REFERENCE, REFERENCE, """SELECT create_reference_table('"public"."l/r"')"""),
        ({"key": "id"}, REFERENCE, """SELECT create_distributed_table('"public"."l/r"', 'l_id')"""),
        (REFERENCE, {"key": "id"}, """SELECT create_distributed_table('"public"."l/r"', 'r_id')"""),
    ],
)
def test_an_association_table_stands_beside_the_member_that_is_distributed(
    left: object, right: object, statement: str
) -> None:
    assert statement in ddl(table("l", left), table("r", right), pairs=[("r", "l")])


def test_an_association_table_of_another_name_is_distributed_by_its_own_column() -> None:
    document = payload(PROVIDER, REGION, pairs=[("provider", "region")])
    named = PhysicalAssociation(
        "Region/provider", {"provider": "Provider_id", "region": "region_id"}
    )
    resource = compile_data_resource(document, associations={"provider/region": named})
    assert resource.distributions["Region/provider"] == Distribution("Provider_id")


# ── the faults ───────────────────────────────────────────────────────────────────────────────────

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

"""Distribution over a Citus cluster: the SQL as text."""

from __future__ import annotations

import pytest

from data_resource_api import compile_data_resource
from data_resource_api.compiler.distribution import Distribution, distribution_sql
from data_resource_api.compiler.relationships import PhysicalAssociation
from tests.compiler.distributed import (
    PROVIDER,
    REFERENCE,
    REGION,
    SESSION,
    ddl,
    integer,
    refers,
    table,
)
from tests.service import entry, payload


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

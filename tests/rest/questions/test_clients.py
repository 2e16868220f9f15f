"""Clients that are made for PostgREST ask their questions of this service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from postgrest import CountMethod, SyncPostgrestClient

from data_resource_api.rest.questions.asking import BARE
from tests.service import Service


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[SyncPostgrestClient]:
    """postgrest-py, told once to ask for bare lists."""
    with SyncPostgrestClient(service.url, headers={"Accept": BARE}) as client:
        yield client


#: What the filter builder is told → the ids that it finds.
BUILT: list[tuple[Any, list[int]]] = [
    (lambda asked: asked.eq("name", "Bob"), [2]),
    (lambda asked: asked.eq("name", 'Cy, "C."'), [3]),
    (lambda asked: asked.neq("age", 18), [1, 3, 4]),
    (lambda asked: asked.gt("age", 18), [3, 4]),
    (lambda asked: asked.gte("age", 18).lte("age", 21), [2, 3]),
    (lambda asked: asked.lt("age", 18), [1]),
    (lambda asked: asked.in_("name", ["Bob", 'Cy, "C."', "smithers"]), [2, 3, 4]),
    (lambda asked: asked.in_("id", [1, 5, 9]), [1, 5]),
    (lambda asked: asked.is_("age", "null"), [5]),
    (lambda asked: asked.is_("active", "true"), [1, 3, 5]),
    (lambda asked: asked.not_.is_("age", "null"), [1, 2, 3, 4]),
    (lambda asked: asked.not_.in_("id", [1, 2]), [3, 4, 5]),
    (lambda asked: asked.like("name", "*smith*"), [4]),
    (lambda asked: asked.like("name", "%smith%"), [4]),
    (lambda asked: asked.ilike("name", "%smith%"), [1, 4]),
    (lambda asked: asked.or_("age.lt.18,name.eq.Bob"), [1, 2]),
    (lambda asked: asked.or_("age.lt.18,and(age.gt.18,active.is.true)"), [1, 3]),
    (lambda asked: asked.contains("tags", ["a"]), [1, 5]),
    (lambda asked: asked.contains("address", {"city": "Rome"}), [2]),
    (lambda asked: asked.contained_by("tags", ["a", "b"]), [1, 2, 3]),
    (lambda asked: asked.overlaps("tags", ["a", "c"]), [1, 5]),
    (lambda asked: asked.match({"active": True, "school_id": 1}), [1]),
    (lambda asked: asked.filter("address->>city", "eq", "Oslo"), [1]),
    (lambda asked: asked.order("age", desc=True, nullsfirst=True), [5, 4, 3, 2, 1]),
    (lambda asked: asked.order("active").order("id", desc=True), [2, 5, 3, 1, 4]),
    (lambda asked: asked.limit(2), [1, 2]),
    (lambda asked: asked.range(1, 3), [2, 3, 4]),
    (lambda asked: asked.order("id", desc=True).range(1, 2), [4, 3]),
]


@pytest.mark.parametrize(("build", "expected"), BUILT)
def test_the_filter_builder_finds_the_rows(
    client: SyncPostgrestClient, build: Any, expected: list[int]
) -> None:
    rows: Any = build(client.from_("people").select("*")).execute().data
    ids = [row["id"] for row in rows]
    assert ids == expected if "order" in build.__code__.co_names else sorted(ids) == expected


def test_the_builder_selects_and_embeds(client: SyncPostgrestClient) -> None:
    people = client.from_("people")
    asked = people.select("name", "years:age", "school(name)", "club(name)").eq("id", 2)
    assert asked.execute().data == [
        {
            "name": "Bob",
            "years": 18,
            "school": {"name": "North"},
            "club": [{"name": "Chess"}, {"name": "Rowing"}],
        }
    ]
    schools = client.from_("school").select("name,people!inner(name)").eq("people.name", "Bob")
    assert schools.execute().data == [{"name": "North", "people": [{"name": "Bob"}]}]
    ordered = (
        client.from_("school")
        .select("name,people(id)")
        .eq("id", 1)
        .order("id", desc=True, foreign_table="people")
        .limit(1, foreign_table="people")
    )
    assert ordered.execute().data == [{"name": "North", "people": [{"id": 2}]}]


def test_the_builder_counts(client: SyncPostgrestClient) -> None:
    answer = client.from_("people").select("id", count=CountMethod.exact).gte("age", 18).limit(1)
    assert answer.execute().count == 3

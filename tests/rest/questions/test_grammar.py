"""Text → questions, without a table or a database."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_resource_api.rest.questions.bounds import DEEPEST_EMBED, DEEPEST_GROUP, MOST
from data_resource_api.rest.questions.grammar import MOST_PARAMETERS, OF_THE_TABLE, read_question
from data_resource_api.rest.questions.syntax import (
    Condition,
    Counting,
    Embed,
    Every,
    FieldPath,
    Group,
    Joined,
    Order,
    Question,
    Selected,
)
from tests.rest.questions.ebnf import DIVIDER, Grammar
from tests.test_fuzz import LONG, SHORT

_OPERATORS = """
    eq neq gt gte lt lte like ilike match imatch is isdistinct in cs cd ov fts plfts phfts wfts
"""
OPERATORS = frozenset(_OPERATORS.split())
FIELDS = ("id", "age", "name", "created", "address", "limit", "a.b", "tags")
KNOWN = ("offset", "limit", "after", "before", "from", *OF_THE_TABLE)


def read(query: str | list[tuple[str, str]], fields: Any = FIELDS) -> tuple[Question, list[str]]:
    parameters = query if isinstance(query, list) else parse_qsl(query, keep_blank_values=True)
    faults: list[str] = []
    question = read_question(
        parameters, table="people", fields=fields, operators=OPERATORS, known=KNOWN, faults=faults
    )
    return question, faults


def condition(name: str, operator: str, value: Any, **more: Any) -> Condition:
    return Condition(FieldPath(name), operator, value, **more)


AGE = condition("age", "gte", "18")

#: A query string → the filters that it means.
FILTERS: list[tuple[str, tuple[Any, ...]]] = [
    ("age=gte.18", (AGE,)),
    ("age=not.gte.18", (condition("age", "gte", "18", negated=True),)),
    ("age=gte.18&age=lt.20", (AGE, condition("age", "lt", "20"))),
    ("name=ilike.*smith*", (condition("name", "ilike", "*smith*"),)),
    ("name=eq.a,b).\"c", (condition("name", "eq", 'a,b)."c'),)),
    ("name=eq.", (condition("name", "eq", ""),)),
    ("name=is.null", (condition("name", "is", "null"),)),
    ("name=fts(english).cat", (condition("name", "fts", "cat", options="english"),)),
    ("age=eq(any).{1,2}", (condition("age", "eq", "{1,2}", options="any"),)),
    ("id=in.(1,2)", (condition("id", "in", ("1", "2")),)),
    ("id=in.()", (condition("id", "in", ()),)),
    ('id=in.("")', (condition("id", "in", ("",)),)),
    ("id=in.(1,)", (condition("id", "in", ("1", "")),)),
    (r'name=not.in.(1,"a,b","c\"d\\",")")', (
        condition("name", "in", ("1", "a,b", 'c"d\\', ")"), negated=True),
    )),
    ("tags=cs.{a,b}", (condition("tags", "cs", "{a,b}"),)),
    ("address->geo->>lat=eq.1", (
        Condition(FieldPath("address", ("geo", "lat"), True), "eq", "1"),
    )),
    ("tags->0=eq.1", (Condition(FieldPath("tags", (0,)), "eq", "1"),)),
    ("tags->-1->>x-y=eq.1", (Condition(FieldPath("tags", (-1, "x-y"), True), "eq", "1"),)),
    ('tags->"0"->"a->b"=eq.1', (Condition(FieldPath("tags", ("0", "a->b")), "eq", "1"),)),
    ('"a.b"=eq.1', (condition("a.b", "eq", "1"),)),
    ('"limit"=eq.3', (condition("limit", "eq", "3"),)),
    ("and=(limit.eq.3)", (Group(Joined.AND, (condition("limit", "eq", "3"),)),)),
    ("or=(age.gte.18,name.is.null)", (
        Group(Joined.OR, (AGE, condition("name", "is", "null"))),
    )),
    ("not.and=(age.gte.18, name.not.eq.x)", (
        Group(Joined.AND, (AGE, condition("name", "eq", "x", negated=True)), negated=True),
    )),
    ("or=(age.gte.18,not.and(id.in.(1,2),or(a.eq.1,b.eq.)))", (
        Group(Joined.OR, (
            AGE,
            Group(Joined.AND, (
                condition("id", "in", ("1", "2")),
                Group(Joined.OR, (condition("a", "eq", "1"), condition("b", "eq", ""))),
            ), negated=True),
        )),
    )),
    (r'and=(name.eq."a,b)\"",tags.cs.{"x,}",{y}},tags.cs.[1,[2]],name.eq.a.b:c(d)', (
        Group(Joined.AND, (
            condition("name", "eq", 'a,b)"'),
            condition("tags", "cs", '{"x,}",{y}}'),
            condition("tags", "cs", "[1,[2]]"),
            condition("name", "eq", "a.b:c(d"),
        )),
    )),
    ("and=(and.eq.1,not.eq.2,or.eq.3)", (
        Group(Joined.AND, tuple(
            condition(name, "eq", value) for name, value in (("and", "1"), ("not", "2"), ("or", "3"))
        )),
    )),
    ("and=(tags->a->>0.eq.1)", (
        Group(Joined.AND, (Condition(FieldPath("tags", ("a", 0), True), "eq", "1"),)),
    )),
]  # fmt: skip


@pytest.mark.parametrize(("query", "filters"), FILTERS, ids=[query for query, _ in FILTERS])
def test_filters_are_read(query: str, filters: tuple[Any, ...]) -> None:
    assert read(query.replace("%", "%25").replace("&age", "&age")) == (
        Question(filters=filters),
        [],
    )


#: A query string → the fields and tables that are in the answer.
SELECTS: list[tuple[str, tuple[Any, ...] | None]] = [
    ("select=", None),
    ("select=*", (Every(),)),
    ("select=id,title:name, age", (
        Selected(FieldPath("id")), Selected(FieldPath("name"), "title"), Selected(FieldPath("age")),
    )),
    ("select=lat:address->geo->>lat", (
        Selected(FieldPath("address", ("geo", "lat"), True), "lat"),
    )),
    ('select="a.b","x,y":"a:b"', (
        Selected(FieldPath("a.b")), Selected(FieldPath("a:b"), "x,y"),
    )),
    ("select=*,provider(name)", (
        Every(), Embed("provider", Question((Selected(FieldPath("name")),))),
    )),
    ("select=payer:provider!billing_id!inner(*)", (
        Embed("provider", Question((Every(),)), "payer", "billing_id", True),
    )),
    ("select=provider!inner!billing_id(*)", (
        Embed("provider", Question((Every(),)), "", "billing_id", True),
    )),
    ("select=provider!left()", (Embed("provider", Question(())),)),
    ("select=a(b(c))", (
        Embed("a", Question((Embed("b", Question((Selected(FieldPath("c")),))),))),
    )),
]  # fmt: skip


@pytest.mark.parametrize(("query", "select"), SELECTS, ids=[query for query, _ in SELECTS])
def test_selections_are_read(query: str, select: tuple[Any, ...] | None) -> None:
    assert read(query) == (Question(select=select), [])


def test_orders_are_read() -> None:
    question, faults = read("order=created.desc.nullslast,id,age.nullsfirst,provider(a->>b).asc")
    assert not faults
    assert question.order == (
        Order(FieldPath("created"), True, False),
        Order(FieldPath("id")),
        Order(FieldPath("age"), False, True),
        Order(FieldPath("a", ("b",), True), False, None, "provider"),
    )


def test_parameters_of_embedded_tables_go_to_the_table_that_they_name() -> None:
    """By the name in the answer; the order of the parameters does not matter."""
    question, faults = read(
        "e.status=eq.x&e.or=(a.eq.1,b.eq.2)&e.p.order=n.desc&e.limit=3&e.offset=6&e.not.and=(a.eq.1)"
        "&select=id,e:enrolments!inner(*,p(n))"
    )
    assert not faults
    assert question.select is not None
    embed = question.select[1]
    assert isinstance(embed, Embed)
    asked = embed.question
    assert (asked.limit, asked.offset, embed.name, embed.inner) == (3, 6, "e", True)
    assert asked.filters == (
        condition("status", "eq", "x"),
        Group(Joined.OR, (condition("a", "eq", "1"), condition("b", "eq", "2"))),
        Group(Joined.AND, (condition("a", "eq", "1"),), negated=True),
    )
    assert asked.select is not None
    inner = asked.select[1]
    assert isinstance(inner, Embed)
    assert inner.question.order == (Order(FieldPath("n"), True),)


def test_an_embedded_table_can_be_absent_or_present() -> None:
    question, faults = read("select=*,e(*)&e=is.null")
    assert (question.filters, faults) == ((condition("e", "is", "null"),), [])


@pytest.mark.parametrize("word", ["exact", "estimated", "none"])
def test_counts_are_read(word: str) -> None:
    assert read(f"count={word}") == (Question(count=Counting(word)), [])
    assert read("count=planned")[0].count is Counting.ESTIMATED


#: A query string → the faults that are told of it.
FAULTS: list[tuple[str, list[str]]] = [
    ("lmit=3", ['lmit: is not a parameter here; did you mean "limit"?']),
    ("agee=gte.3", ['agee: is not a parameter here; did you mean "age"?']),
    ("q=1", [
        ("q: is not a parameter here, nor a field of people; there are offset, limit, after, before, "
        "from, select, order, count, and, or, not.and, not.or and the fields' names.")
    ]),
    ("age=18", [
        'age: an operator, a dot and a value are expected, as eq.18, not "18" at character 1.'
    ]),
    ("age=gtee.18", ['age: "gtee" is not an operator; did you mean "gte"?']),
    ("and=(age.zzz.18)", ['and: "zzz" is not an operator.']),
    ("id=in.1", ['id: a list in parentheses is expected, as (1,2), not "1" at character 4.']),
    ("id=in.(1", ["id: a list must be closed with a parenthesis, not the end."]),
    ("id=in.(1)x", ['id: nothing can follow a list, not "x" at character 7.']),
    ("or=(age.gte.18", ["or: a comma or the closing parenthesis is expected, not the end."]),
    ("or=()", ['or: a field\'s name is expected, not ")" at character 2.']),
    ("or=age.eq.1", [
        ("or: conditions in parentheses are expected, as (age.gte.18,name.eq.x), not "
        '"age.eq.1" at character 1.')
    ]),
    ("or=(age)", [
        'or: a dot and an operator are expected, as age.gte.18, not ")" at character 5.'
    ]),
    ("order=age.dsc", ['order: "dsc" is not a direction; did you mean "desc"?']),
    ("order=age.x", [
        'order: "x" is not a direction; it is one of asc, desc, nullsfirst, nullslast.'
    ]),
    ("order=age.nullslast.desc", ['order: "desc" cannot follow what stands before it.']),
    ("order=age&order=id", ["order: is given twice."]),
    ("order=", ["order: a field's name is expected, not the end."]),
    ("count=all", ['count: must be exact, estimated or none, not "all".']),
    ("select=id::text", [
        'select: "id" cannot be cast with ::; it has the type of its field.'
    ]),
    ("select=...p(*)", [
        "select: an embedded table cannot be spread with ...; leave the dots out."
    ]),
    ("select=p(*),p(*)", [
        'select: "p" is embedded twice; give one of them another name, as other:p(*).'
    ]),
    ("select=p(*", ["select: a comma or the closing parenthesis is expected, not the end."]),
    ("select=id,,x", ['select: a field\'s name is expected, not ",x" at character 4.']),
    ("select=a->>b->c", [
        'select: nothing can follow what ->> has made a text, not "->c" at character 6.'
    ]),
    ('select="a', ["select: a text in double quotes must end with one, not \"\"a\" at character 1."]),
    ("e.status=eq.x", ['e.status: "e" is not embedded by select, as select=*,e(*) does.']),
    ("select=enrol(*)&enrl.x=eq.x", [
        'enrl.x: "enrl" is not embedded by select; did you mean "enrol"?'
    ]),
    ("select=e(*)&e.limit=0", ['e.limit: must be a whole number from 1 on, not "0".']),
    ("select=e(*)&e.offset=-1", ['e.offset: must be a whole number from 0 on, not "-1".']),
    ("a.b=eq.1", ["a.b: a field with such a name stands in double quotes."]),
    ("name=eq.%00", ["name: holds the character U+0000."]),
    ("x%00=eq.", ["x\0: holds the character U+0000."]),
    ("a(=1", ['a(: a dot and another name are expected, not "(" at character 2.']),
    ("=1", [": the name of a parameter or of a field is expected, not the end."]),
    ("agee=eq.1&order=age.dsc&id=1", [
        'agee: is not a parameter here; did you mean "age"?',
        'order: "dsc" is not a direction; did you mean "desc"?',
        'id: an operator, a dot and a value are expected, as eq.18, not "1" at character 1.',
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("query", "expected"), FAULTS, ids=[query for query, _ in FAULTS])
def test_faults_are_told_with_their_remedy(query: str, expected: list[str]) -> None:
    """All at once, each beginning with the parameter that it is in."""
    assert read(query)[1] == expected


def test_questions_are_bounded() -> None:
    """The most of everything is taken, and one more is told."""

    def refused(query: str, word: str) -> None:
        [fault] = read(query)[1]
        assert word in fault

    def nested(opening: str, innermost: str, depth: int) -> str:
        return opening * depth + innermost + ")" * depth

    most = MOST["conditions"]
    assert not read(f"and=({','.join(['age.eq.1'] * most)})")[1]
    refused(f"and=({','.join(['age.eq.1'] * (most + 1))})", "200 conditions")
    half = f"({','.join(['age.eq.1'] * (most // 2))})"
    refused(f"select=e(*)&e.or={half}&and={half}&age=eq.1", "200 conditions")
    assert not read("or=" + nested("(or", "(a.eq.1)", DEEPEST_GROUP - 1))[1]
    refused("or=" + nested("(or", "(a.eq.1)", DEEPEST_GROUP), "10 deep")
    refused("or=" + nested("(or", "(a.eq.1)", 50_000), "10 deep")
    assert not read("select=" + nested("a(", "*", DEEPEST_EMBED))[1]
    refused("select=" + nested("a(", "*", DEEPEST_EMBED + 1), "5 deep")
    refused("select=" + ",".join(f"a{number}(*)" for number in range(21)), "20 embedded tables")
    refused("select=" + ",".join(["id"] * 1_001), "1000 selected fields")
    refused("order=" + ",".join(["id"] * 51), "50 fields to order by")
    refused("order=a" + "->b" * 101, "100 steps into JSON")
    refused("&".join(["x=1"] * (MOST_PARAMETERS + 1)), "300 parameters")


class _AnyName:
    """Every name is a field's."""

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Any:
        return iter(())


def _embedding(names: tuple[str, ...]) -> str:
    if not names:
        return "*"
    quoted = names[0].replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"({_embedding(names[1:])})'


def taken(parameter: str) -> None:
    """A parameter of the published grammar is one."""
    name, value = parameter.split(DIVIDER)
    parameters = [(name, value)]
    if "." in name:
        from data_resource_api.rest.questions.grammar import read_target

        embedded = read_target(name).embedded
        parameters.append(("select", _embedding(embedded)))
    faults = read(parameters, _AnyName())[1]
    assert not [fault for fault in faults if "twice" not in fault], parameters


PARAMETERS = Grammar.published().texts("parameter", 8)


@SHORT
@given(PARAMETERS)
def test_what_the_published_grammar_makes_is_read(parameter: str) -> None:
    taken(parameter)


@pytest.mark.soak
@settings(LONG, max_examples=10_000)
@given(PARAMETERS)
def test_what_the_published_grammar_makes_is_read_at_length(parameter: str) -> None:
    taken(parameter)


def mutated(parameter: str, seed: int) -> list[tuple[str, str]]:
    """A parameter with some of its characters lost, doubled or taken from elsewhere."""
    chosen = random.Random(seed)
    text = list(parameter)
    for _ in range(chosen.randint(1, 4)):
        place = chosen.randrange(len(text) + 1)
        text[place : place + chosen.randint(0, 2)] = chosen.choice(
            [
                "",
                "(",
                ")",
                ",",
                ".",
                '"',
                "\\",
                "->",
                "->>",
                "*",
                "!",
                ":",
                "not.",
                "or(",
                "\0",
                "{",
            ]
        )
    name, _, value = "".join(text).partition(DIVIDER)
    return [(name, value), ("select", "*,b(*)")]


@SHORT
@given(PARAMETERS, st.integers(0, 2**32))
def test_any_other_text_is_read_or_told_what_is_wrong(parameter: str, seed: int) -> None:
    """Never anything but a question or faults."""
    read(mutated(parameter, seed), _AnyName())


@SHORT
@given(st.lists(st.tuples(st.text(max_size=40), st.text(max_size=80)), max_size=3))
def test_random_text_is_read_or_told_what_is_wrong(parameters: list[tuple[str, str]]) -> None:
    read(parameters)


@pytest.mark.soak
@settings(LONG, max_examples=10_000)
@given(PARAMETERS, st.integers(0, 2**32))
def test_any_other_text_is_read_or_told_what_is_wrong_at_length(parameter: str, seed: int) -> None:
    read(mutated(parameter, seed), _AnyName())

"""The shape of a question → the parts of its SQL: what is selected, what must hold, in what order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from data_resource_api.compiler.data_resource import DataResource
from data_resource_api.compiler.fields import Field, FieldError
from data_resource_api.compiler.relations import Relation
from data_resource_api.compiler.tables import ResourceTable
from data_resource_api.rest.questions.operands import Operand, Term, array_literal
from data_resource_api.rest.questions.operators import OPERATORS, build_is
from data_resource_api.rest.questions.output import Embedded, OutputColumn, as_json
from data_resource_api.rest.questions.resolving import Resolver
from data_resource_api.rest.questions.sealed import sealed_condition
from data_resource_api.rest.questions.syntax import (
    Condition,
    Embed,
    Every,
    FieldPath,
    Filter,
    Group,
    Joined,
    Order,
    Question,
    Selected,
)

Source = sa.FromClause
Embeds = dict[str, tuple[Embed, Relation]]

#: The most bytes of a name in PostgreSQL, which cuts a longer one without saying so.
_LONGEST_NAME = 63


class Compiler:
    """What the parts of one question share.

    :ivar binders: the number of a value → its field's name and what makes a parameter's value of it.
    """

    def __init__(self, resource: DataResource, rights: Callable[[str], None]) -> None:
        self.names = Resolver(resource, rights)
        self.binders: dict[int, tuple[str, Callable[[Any], Any]]] = {}
        self._aliases = 0

    def _value(self, number: int | str, name: str, bind: Callable[[Any], Any]) -> Term:
        self.binders.setdefault(int(number), (name, bind))
        return sa.bindparam(f"q{number}", type_=sa.types.NULLTYPE)

    def _alias(self, table: sa.Table) -> Source:
        self._aliases += 1
        return table.alias(f"e{self._aliases}//")  # no generated table has a slash in its name

    def _joined(self, relation: Relation, source: Source) -> tuple[Source, list[Term], Source]:
        """The related rows: their table, what joins them to the source, and what to select from."""
        target = self._alias(relation.target.table)
        if relation.through is None:
            on = [source.c[own] == target.c[other] for own, other in relation.pairs]
            return target, on, target
        through = self._alias(relation.through[0])
        on = [source.c[own] == through.c[there] for own, there in relation.through[1]]
        met = [through.c[here] == target.c[other] for here, other in relation.pairs]
        return target, on, sa.join(through, target, sa.and_(*met))

    # ── filters ──────────────────────────────────────────────────────────────────────────────────

    def where(
        self, question: Question, table: ResourceTable, source: Source, embeds: Embeds
    ) -> list[Term]:
        """What must hold of the rows, also of those embedded with ``!inner``."""
        terms = [
            self._filter(each, table, source, embeds, question.places.get(each, ""))
            for each in question.filters
        ]
        terms += [self._has(resolved, source) for resolved in embeds.values() if resolved[0].inner]
        return terms

    def _has(self, resolved: tuple[Embed, Relation], source: Source) -> Term:
        embed, relation = resolved
        table, question = relation.target, embed.question
        target, on, joined = self._joined(relation, source)
        inner = self.where(question, table, target, self.names.embeds(question, table))
        one: Any = sa.select(sa.literal_column("1")).select_from(joined).where(*on, *inner)
        return sa.exists(one.correlate(source))

    def _filter(
        self, each: Filter, table: ResourceTable, source: Source, embeds: Embeds, place: str
    ) -> Term:
        if isinstance(each, Group):
            members = [self._filter(one, table, source, embeds, place) for one in each.members]
            joined = (sa.and_ if each.joined is Joined.AND else sa.or_)(*members)
            return sa.not_(joined.self_group()) if each.negated else joined
        name = each.field.name
        if name in embeds and each.operator == "is" and name not in table.fields:
            return self._presence(each, embeds[name], source, place)
        try:
            term = self._condition(each, table, source)
        except FieldError as error:
            self.names.faults.append(fault_at(place, name, error))
            return sa.true()
        return sa.not_(term) if each.negated else term

    def _presence(
        self, each: Condition, resolved: tuple[Embed, Relation], source: Source, place: str
    ) -> Term:
        if each.value not in ("null", "not_null"):
            self.names.faults.append(f"{place}: an embedded table is null or not_null.")
        has = self._has(resolved, source)
        return has if (each.value == "null") is each.negated else sa.not_(has)

    def _condition(self, each: Condition, table: ResourceTable, source: Source) -> Term:
        field = self.names.field(each.field, table)
        if field.protection is not None:
            number, name = str(each.value), each.field.name
            return sealed_condition(
                each, field, source, lambda bind: self._value(number, name, bind)
            )
        operator, options = OPERATORS[each.operator], each.options
        if options and operator.options is not None and options not in operator.options:
            known = " or ".join(f"({word})" for word in operator.options) or "nothing"
            raise FieldError(f"{each.operator} takes {known}, not ({options}).")
        operand = self._operand(each.field, field, source)
        if each.operator == "is":
            return build_is(operand, str(each.value))
        value = self._value(
            str(each.value), each.field.name, lambda text: operator.bind(operand, text, options)
        )
        return operator.build(operand, value, options)

    def _operand(self, path: FieldPath, field: Field, source: Source) -> Operand:
        column: Term = source.c[field.name]
        if path.steps:
            return Operand(_inside(path, column), None, not path.as_text)
        return Operand(column, field, issubclass(field.type.column, JSONB))

    # ── order ────────────────────────────────────────────────────────────────────────────────────

    def order(self, question: Question, table: ResourceTable, source: Source) -> list[Any]:
        """What rows are ordered by; in the end, by their key."""
        terms = []
        for each in question.order:
            try:
                term = self._order_term(each, table, source)
            except FieldError as error:
                self.names.faults.append(f"order: {each.field.name}: {error}")
                continue
            if term is None:
                continue
            term = term.desc() if each.descending else term.asc()
            if each.nulls_first is not None:
                term = term.nulls_first() if each.nulls_first else term.nulls_last()
            terms.append(term)
        return [*terms, *(source.c[name] for name in table.key)]

    def _order_term(self, each: Order, table: ResourceTable, source: Source) -> Any:
        if not each.relation:
            return self._ordered(each.field, table, source)
        relation = self.names.relation(each.relation, "", table, "order", one=True)
        if relation is None:
            return None
        target, on, joined = self._joined(relation, source)
        inner = self._ordered(each.field, relation.target, target)
        return sa.select(inner).select_from(joined).where(*on).correlate(source).scalar_subquery()

    def _ordered(self, path: FieldPath, table: ResourceTable, source: Source) -> Term:
        field = self.names.field(path, table)
        if field.protected:
            raise FieldError("is protected and cannot be ordered by.")
        return self._operand(path, field, source).column

    # ── what is selected ─────────────────────────────────────────────────────────────────────────

    def selected(
        self, question: Question, table: ResourceTable, source: Source, embeds: Embeds
    ) -> tuple[list[Term], tuple[OutputColumn, ...]]:
        """The columns of the answer: their SQL, and how they are shown."""
        columns: dict[str, tuple[Term, OutputColumn]] = {}
        #: What stands in the answer under a name because it was named, which ``*`` does not.
        named: dict[str, FieldPath | Embed] = {}
        for item in (Every(),) if question.select is None else question.select:
            match item:
                case Every():
                    for field in table.fields.values():
                        name = str(field.name)
                        if name not in embeds and name not in named:
                            shown = OutputColumn(name, field, False, field.show)
                            columns[name] = (source.c[field.name], shown)
                case Selected():
                    try:
                        column = self._selected(item, table, source)
                    except FieldError as error:
                        self.names.faults.append(f"select: {item.field.name}: {error}")
                        continue
                    name = column[1].name
                    if named.setdefault(name, item.field) != item.field:
                        self.names.faults.append(_ambiguous(name))
                    columns[name] = column
                case Embed() if item.name in embeds and item.question.select != ():
                    term, embedded = self._embedded(embeds[item.name], source)
                    shown = OutputColumn(item.name, None, True, embedded.show, embedded)
                    if named.setdefault(item.name, item) != item:
                        self.names.faults.append(_ambiguous(item.name))
                    columns[item.name] = (term, shown)
        both = columns.values()
        return [term for term, _ in both], tuple(column for _, column in both)

    def _selected(
        self, item: Selected, table: ResourceTable, source: Source
    ) -> tuple[Term, OutputColumn]:
        path = item.field
        field = self.names.field(path, table)
        if not path.steps:
            name = item.alias or str(field.name)
            return source.c[field.name], OutputColumn(name, field, False, field.show)
        last = next((step for step in reversed(path.steps) if isinstance(step, str)), path.name)
        term = _inside(path, source.c[field.name])
        if path.as_text:
            return term, OutputColumn(item.alias or last, None, False, None)
        return term, OutputColumn(item.alias or last, None, True, orjson.Fragment)

    def _embedded(self, resolved: tuple[Embed, Relation], source: Source) -> tuple[Term, Embedded]:
        """A scalar subquery that gives the embedded rows as JSON, and what Python has to do for it."""
        embed, relation = resolved
        table, question = relation.target, embed.question
        target, on, joined = self._joined(relation, source)
        embeds = self.names.embeds(question, table)
        where = self.where(question, table, target, embeds)
        terms, columns = self.selected(question, table, target, embeds)
        self._refuse_long_names(columns)
        rows: Any = (
            sa.select(
                *(
                    as_json(term, column).label(sa.quoted_name(column.name, True))
                    for term, column in zip(terms, columns, strict=True)
                )
            )
            .select_from(joined)
            .where(*on, *where)
            .correlate(source)
        )
        if relation.many:
            rows = rows.order_by(*self.order(question, table, target))
            if question.limit is not None:
                rows = rows.limit(self._value(question.limit, "limit", int))
            if question.offset:
                rows = rows.offset(self._value(question.offset, "offset", int))
        self._aliases += 1
        name = f"e{self._aliases}//"
        row = sa.func.row_to_json(sa.literal_column(f'"{name}"'))
        shown: Any = row
        if relation.many:
            shown = sa.func.coalesce(sa.func.json_agg(row), sa.literal_column("'[]'::json"))
        scalar = sa.select(shown).select_from(rows.subquery(name)).scalar_subquery()
        return scalar, Embedded.of(columns)

    def _refuse_long_names(self, columns: Sequence[OutputColumn]) -> None:
        self.names.faults += [
            f"select: {column.name}: a name in an embedded row has {_LONGEST_NAME} bytes at most."
            for column in columns
            if len(column.name.encode()) > _LONGEST_NAME
        ]


def fault_at(place: str, name: str, error: object) -> str:
    """What is wrong with a field, and the parameter that names it where it is not called the same."""
    return (
        f"{name}: {error}" if not place or place.startswith(name) else f"{place}: {name}: {error}"
    )


def _ambiguous(name: str) -> str:
    return (
        f"select: {name} would stand for two things; write other: before one, to give it that name."
    )


def _inside(path: FieldPath, column: Term) -> Term:
    """What stands at a place in a JSON field."""
    steps = sa.cast(sa.bindparam(None, array_literal(path.steps)), ARRAY(sa.Text))
    return column.op("#>>" if path.as_text else "#>")(steps)


def in_order(terms: Iterable[Any], *, backwards: bool) -> list[Any]:
    """Columns to order by, or to order backwards by."""
    return [term.desc() for term in terms] if backwards else [*terms]

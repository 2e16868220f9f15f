"""A ``Question`` about one table → SQL: one statement, whatever is embedded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2

from data_resource_api.compiler.data_resource import DataResource
from data_resource_api.compiler.faults import nearest, quote
from data_resource_api.compiler.fields import Field, FieldError
from data_resource_api.compiler.tables import ResourceTable
from data_resource_api.errors import BadRequest, DrgError
from data_resource_api.rest.context import Rows
from data_resource_api.rest.pages import BACKWARDS, Start, cursors
from data_resource_api.rest.questions.operators import OPERATORS, Operand, Term
from data_resource_api.rest.questions.output import Embedded, OutputColumn, write_rows
from data_resource_api.rest.questions.relations import Relation, relations_of
from data_resource_api.rest.questions.rights import Unlisted
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
from data_resource_api.rest.statements import Statement

_DIALECT: Final = PGDialect_psycopg2()  # type: ignore[no-untyped-call]

Source = sa.FromClause


def ask(
    question: Question,
    table: ResourceTable,
    resource: DataResource,
    rights: Callable[[str], None],
) -> Asked:
    """The SQL of a question about a table.

    :param rights: raises ``Unlisted`` for a table that nobody can list, and a ``DrgError`` for one that
        this caller may not.
    :raises BadRequest: names that nothing knows, values of the wrong type; all of them at once.
    """
    compiler = _Compiler(resource, rights)
    asked = Asked(question, table, compiler)
    if compiler.faults:
        raise BadRequest("The question cannot be asked.", dict.fromkeys(compiler.faults))
    return asked


class Asked:
    """A question's statements, and what their rows are.

    :ivar columns: of the answer, in order; in a row, the key's columns follow where it is ``keyed``.
    :ivar keyed: rows are in the order of their key, so that a page can start at one.
    """

    def __init__(self, question: Question, table: ResourceTable, compiler: _Compiler) -> None:
        self._compiler = compiler
        self._table = table
        source = table.table
        embeds = compiler.embeds(question, table)
        self._where = compiler.where(question, table, source, embeds)
        terms, self.columns = compiler.selected(question, table, source, embeds)
        self.keyed = not question.order and bool(table.key)
        self._key = [source.c[name] for name in table.key]
        self._order = compiler.order(question, table, source)
        self._select = sa.select(
            *(term.label(f"c{index}") for index, term in enumerate(terms)), *self._key
        ).select_from(source)

    def page(
        self, limit: int | None, offset: int, start: Start, cursor: dict[str, Any]
    ) -> Statement:
        """A page's rows, backwards where it is read so.

        :param cursor: the values of a key, ``k0`` …, for a page that starts at one.
        """
        order = self._order
        found = self._select.where(*self._where).limit(sa.bindparam("limit", limit))
        if start in BACKWARDS:
            order = [column.desc() for column in self._key]
        if start in (Start.AFTER, Start.BEFORE):
            given = [
                sa.bindparam(name, value, type_=sa.types.NULLTYPE)
                for name, value in cursor.items()
                if name.startswith("k")
            ]
            left: Any = self._key[0] if len(given) == 1 else sa.tuple_(*self._key)
            right: Any = given[0] if len(given) == 1 else sa.tuple_(*given)
            found = found.where(left > right if start is Start.AFTER else left < right)
        elif start is Start.OFFSET:
            found = found.offset(sa.bindparam("offset", offset))
        return _statement(found.order_by(*order))

    def count(self) -> Statement:
        """How many rows there are, on all pages."""
        return _statement(
            sa.select(sa.func.count()).select_from(self._table.table).where(*self._where)
        )

    def estimate(self) -> Statement:
        """How many rows the planner expects, as the JSON text of its plan."""
        one: Any = sa.select(sa.literal_column("1")).select_from(self._table.table)
        return _statement(one.where(*self._where), "EXPLAIN (FORMAT JSON) ")

    def write(self, rows: Rows) -> list[dict[str, Any]]:
        """Rows of a page as JSON objects.

        :raises EncryptionFailure: a protected value cannot be decrypted.
        """
        return write_rows(self.columns, rows, slice(len(self.columns), None))

    def ends(self, rows: Rows) -> tuple[str, str] | None:
        """Cursors of the first and the last of these rows."""
        fields = [self._table.fields[name] for name in self._table.key]
        start = len(self.columns)
        return cursors(fields, rows[0][start:], rows[-1][start:])


def _statement(select: Any, before: str = "") -> Statement:
    compiled = select.compile(dialect=_DIALECT)
    return Statement(before + str(compiled), dict(compiled.params))


class _Resolved:
    """An embed and the relation that it follows."""

    def __init__(self, embed: Embed, relation: Relation) -> None:
        self.embed = embed
        self.relation = relation


class _Compiler:
    """What the parts of one question share: parameters, aliases, faults."""

    def __init__(self, resource: DataResource, rights: Callable[[str], None]) -> None:
        self._resource = resource
        self._rights = rights
        self._values = 0
        self._aliases = 0
        self.faults: list[str] = []

    def _parameter(self, value: Any) -> Term:
        self._values += 1
        return sa.bindparam(f"q{self._values}", value, type_=sa.types.NULLTYPE)

    def _alias(self, table: sa.Table) -> Source:
        self._aliases += 1
        return table.alias(f"e{self._aliases}//")  # no generated table has a slash in its name

    # ── relations ────────────────────────────────────────────────────────────────────────────────

    def _relation(
        self, name: str, hint: str, table: ResourceTable, place: str, *, one: bool = False
    ) -> Relation | None:
        known = [each for each in relations_of(table, self._resource) if not (one and each.many)]
        found = [
            each
            for each in known
            if name in each.names and (not hint or hint in each.hints) and self._is_listed(each)
        ]
        by_key = [each for each in found if not each.many]
        if len(found) > 1 and len(by_key) == 1 and name in table.fields:
            found = by_key
        if len(found) == 1:
            self._rights(found[0].target.name)
            return found[0]
        if found:
            hints = sorted({hint for each in found for hint in each.hints})
            self.faults.append(
                f"{place}: more than one relation leads from {table.name} to {quote(name)}; say which, as "
                f"{name}!{hints[0]}."
            )
            return None
        names = {name for each in known if self._may_read(each) for name in each.names}
        said = f"{name}!{hint}" if hint else name
        kind = "is not a relation to one row" if one else "is not a relation"
        self.faults.append(
            f"{place}: {quote(said)} {kind} of {table.name}{nearest(name, names) or '.'}"
        )
        return None

    def _is_listed(self, relation: Relation) -> bool:
        try:
            self._rights(relation.target.name)
        except Unlisted:
            return False
        except DrgError:
            return True  # it exists, and the caller is told what it takes
        return True

    def _may_read(self, relation: Relation) -> bool:
        try:
            self._rights(relation.target.name)
        except (Unlisted, DrgError):
            return False
        return True

    def embeds(self, question: Question, table: ResourceTable) -> dict[str, _Resolved]:
        """The embedded tables of a question, by their names in the answer."""
        resolved = {}
        for item in question.select or ():
            if isinstance(item, Embed):
                relation = self._relation(item.relation, item.hint, table, "select")
                if relation is not None:
                    resolved[item.name] = _Resolved(item, relation)
        return resolved

    def _joined(self, relation: Relation, source: Source) -> tuple[Source, list[Term], Source]:
        """The related rows: their table, what joins them to the source, and what to select from."""
        target = self._alias(relation.target.table)
        if relation.through is None:
            on = [source.c[own] == target.c[other] for own, other in relation.pairs]
            return target, on, target
        through = self._alias(relation.through[0])
        on = [source.c[own] == through.c[there] for own, there in relation.through[1]]
        on += [through.c[here] == target.c[other] for here, other in relation.pairs]
        return target, on, sa.join(through, target, sa.true())

    # ── filters ──────────────────────────────────────────────────────────────────────────────────

    def where(
        self,
        question: Question,
        table: ResourceTable,
        source: Source,
        embeds: dict[str, _Resolved],
    ) -> list[Term]:
        """What must hold of the rows, also of those embedded with ``!inner``."""
        terms = [
            self._filter(each, table, source, embeds, question.places.get(each, ""))
            for each in question.filters
        ]
        terms += [
            self._has(resolved, source) for resolved in embeds.values() if resolved.embed.inner
        ]
        return terms

    def _has(self, resolved: _Resolved, source: Source) -> Term:
        relation, question = resolved.relation, resolved.embed.question
        target, on, joined = self._joined(relation, source)
        inner = self.where(
            question, relation.target, target, self.embeds(question, relation.target)
        )
        one: Any = sa.select(sa.literal_column("1")).select_from(joined).where(*on, *inner)
        return sa.exists(one.correlate(source))

    def _filter(
        self,
        each: Filter,
        table: ResourceTable,
        source: Source,
        embeds: dict[str, _Resolved],
        place: str,
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
            field = "" if place.startswith(name) or not place else f"{place}: "
            self.faults.append(f"{field}{name}: {error}")
            return sa.true()
        return sa.not_(term) if each.negated else term

    def _presence(self, each: Condition, resolved: _Resolved, source: Source, place: str) -> Term:
        if each.value not in ("null", "not_null"):
            self.faults.append(f"{place}: an embedded table is null or not_null.")
        has = self._has(resolved, source)
        return has if (each.value == "null") is each.negated else sa.not_(has)

    def _condition(self, each: Condition, table: ResourceTable, source: Source) -> Term:
        field = self._field(each.field, table)
        if field.protection is not None:
            return self._sealed(each, field, source)
        operator = OPERATORS[each.operator]
        if each.options and not operator.options:
            raise FieldError(f"{each.operator} takes nothing in parentheses.")
        operand = self._operand(each.field, field, source)
        return operator.build(operand, each.value, each.options)

    def _field(self, path: FieldPath, table: ResourceTable) -> Field:
        field = table.fields.get(path.name)
        if field is None:
            near = nearest(path.name, table.fields) or "."
            raise FieldError(f"is not a field of {table.name}{near}")
        if path.steps and (field.protected or not issubclass(field.type.column, JSONB)):
            raise FieldError(
                f"is {field.type.name}, and arrows lead into an object or an array only."
            )
        return field

    def _operand(self, path: FieldPath, field: Field, source: Source) -> Operand:
        column: Term = source.c[field.name]
        json = issubclass(field.type.column, JSONB)
        if path.steps:
            column, json, shown = self._inside(path, column), not path.as_text, None
            return Operand(column, shown, json, self._parameter)
        return Operand(column, field, json, self._parameter)

    def _inside(self, path: FieldPath, column: Term) -> Term:
        steps = sa.cast(self._parameter([str(step) for step in path.steps]), ARRAY(sa.Text))
        return column.op("#>>" if path.as_text else "#>")(steps)

    def _sealed(self, each: Condition, field: Field, source: Source) -> Term:
        if not field.searchable:
            raise FieldError("is protected and cannot be looked for.")
        assert field.protection is not None
        values: Sequence[str]
        match each.operator:
            case "eq" if isinstance(each.value, str) and not each.options:
                values = (each.value,)
            case "in" if isinstance(each.value, tuple):
                values = each.value
            case "is" if each.value in ("null", "not_null"):
                column: Term = source.c[field.name]
                return column.is_(None) if each.value == "null" else column.is_not(None)
            case _:
                raise FieldError("is protected and can be compared by eq and in alone.")
        indexes = [index for value in values for index in field.indexes(value)]
        return source.c[field.protection.index_column] == sa.any_(
            sa.cast(self._parameter(indexes), ARRAY(sa.LargeBinary))
        )

    # ── order ────────────────────────────────────────────────────────────────────────────────────

    def order(self, question: Question, table: ResourceTable, source: Source) -> list[Any]:
        """What rows are ordered by; in the end, by their key."""
        terms = []
        for each in question.order:
            try:
                term = self._order_term(each, table, source)
            except FieldError as error:
                self.faults.append(f"order: {each.field.name}: {error}")
                continue
            if term is None:
                continue
            term = term.desc() if each.descending else term.asc()
            if each.nulls_first is not None:
                term = term.nulls_first() if each.nulls_first else term.nulls_last()
            terms.append(term)
        return [*terms, *(source.c[name] for name in table.key)]

    def _order_term(self, each: Order, table: ResourceTable, source: Source) -> Any:
        if each.relation:
            relation = self._relation(each.relation, "", table, "order", one=True)
            if relation is None:
                return None
            target, on, joined = self._joined(relation, source)
            inner = self._ordered(each.field, relation.target, target)
            return (
                sa.select(inner).select_from(joined).where(*on).correlate(source).scalar_subquery()
            )
        return self._ordered(each.field, table, source)

    def _ordered(self, path: FieldPath, table: ResourceTable, source: Source) -> Term:
        field = self._field(path, table)
        if field.protected:
            raise FieldError("is protected and cannot be ordered by.")
        return self._operand(path, field, source).column

    # ── what is selected ─────────────────────────────────────────────────────────────────────────

    def selected(
        self,
        question: Question,
        table: ResourceTable,
        source: Source,
        embeds: dict[str, _Resolved],
    ) -> tuple[list[Term], tuple[OutputColumn, ...]]:
        """The columns of the answer: their SQL, and how they are shown."""
        columns: dict[str, tuple[Term, OutputColumn]] = {}
        for item in (Every(),) if question.select is None else question.select:
            match item:
                case Every():
                    for field in table.fields.values():
                        name = str(field.name)
                        if name not in embeds:
                            show = OutputColumn(name, field, False, field.show)
                            columns[name] = (source.c[field.name], show)
                case Selected():
                    try:
                        column = self._selected(item, table, source)
                    except FieldError as error:
                        self.faults.append(f"select: {item.field.name}: {error}")
                        continue
                    columns[column[1].name] = column
                case Embed() if item.name in embeds and item.question.select != ():
                    term, embedded = self._embedded(embeds[item.name], source)
                    columns[item.name] = (
                        term, OutputColumn(item.name, None, True, embedded.show)
                    )  # fmt: skip
        return [term for term, _ in columns.values()], tuple(
            column for _, column in columns.values()
        )

    def _selected(
        self, item: Selected, table: ResourceTable, source: Source
    ) -> tuple[Term, OutputColumn]:
        path = item.field
        field = self._field(path, table)
        if not path.steps:
            name = item.alias or str(field.name)
            return source.c[field.name], OutputColumn(name, field, False, field.show)
        last = next((step for step in reversed(path.steps) if isinstance(step, str)), path.name)
        term = self._inside(path, source.c[field.name])
        if path.as_text:
            return term, OutputColumn(item.alias or last, None, False, None)
        return term, OutputColumn(item.alias or last, None, True, orjson.Fragment)

    def _embedded(self, resolved: _Resolved, source: Source) -> tuple[Term, Embedded]:
        """A scalar subquery that gives the embedded rows as JSON."""
        relation, question = resolved.relation, resolved.embed.question
        table = relation.target
        target, on, joined = self._joined(relation, source)
        embeds = self.embeds(question, table)
        where = self.where(question, table, target, embeds)
        terms, columns = self.selected(question, table, target, embeds)
        rows: Any = (
            sa.select(
                *(
                    _as_json(term, column).label(sa.quoted_name(column.name, True))
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
                rows = rows.limit(self._parameter(question.limit))
            if question.offset:
                rows = rows.offset(self._parameter(question.offset))
        self._aliases += 1
        name = f"e{self._aliases}//"
        one = rows.subquery(name)
        row = sa.func.row_to_json(sa.literal_column(_quoted(name)))
        shown: Any = row
        if relation.many:
            shown = sa.func.coalesce(sa.func.json_agg(row), sa.literal_column("'[]'::json"))
        scalar = sa.select(sa.cast(shown, sa.Text)).select_from(one)
        inner = {
            column.name: self._shape(embeds[column.name])
            for column in columns
            if column.json and column.name in embeds
        }
        return scalar.scalar_subquery(), Embedded(_protected(columns), inner)

    def _shape(self, resolved: _Resolved) -> Embedded:
        """What of an embedded table PostgreSQL cannot show; its faults are known already."""
        faults, self.faults = self.faults, []
        table, question = resolved.relation.target, resolved.embed.question
        embeds = self.embeds(question, table)
        _, columns = self.selected(question, table, self._alias(table.table), embeds)
        self.faults = faults
        inner = {name: self._shape(each) for name, each in embeds.items()}
        return Embedded(_protected(columns), inner)


def _protected(columns: Sequence[OutputColumn]) -> dict[str, Field]:
    return {
        column.name: column.field
        for column in columns
        if column.field is not None and column.field.protection is not None
    }


def _as_json(term: Term, column: OutputColumn) -> Term:
    """A column as it stands in an embedded row: as the API shows it."""
    field = column.field
    if field is None:
        return sa.cast(term, sa.JSON) if column.json else term
    if field.protection is not None:
        encode: Term = sa.func.encode(term, sa.literal_column("'base64'"))
        return encode
    text = sa.cast(term, sa.Text)
    zone: Term = sa.literal_column("'Z'")
    if field.type.column is sa.Time:
        return text.concat(zone)
    if field.type.column is sa.DateTime:
        return sa.case(
            (
                sa.func.isfinite(term) & text.not_like(sa.literal_column("'%% BC'")),
                sa.func.replace(text, sa.literal_column("' '"), sa.literal_column("'T'")).concat(
                    zone
                ),
            ),
            else_=text,
        )
    return term


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

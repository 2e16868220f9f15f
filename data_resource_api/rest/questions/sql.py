"""A ``Question`` about one table → SQL: one statement, whatever is embedded.

The text of a statement is made once for each shape of questions (see ``shapes``) and kept; what differs
from question to question is bound.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from data_resource_api.compiler.data_resource import DataResource
from data_resource_api.compiler.fields import FieldError
from data_resource_api.compiler.tables import ForeignKey, ResourceTable
from data_resource_api.errors import BadRequest
from data_resource_api.rest.pages import BACKWARDS, Start, cursors
from data_resource_api.rest.questions.compiling import Compiler, fault_at, in_order
from data_resource_api.rest.questions.output import write_rows
from data_resource_api.rest.questions.shapes import Values, shape_of
from data_resource_api.rest.questions.syntax import Question
from data_resource_api.rest.statements import Statement, compile_statement, parameter

#: Shapes kept for one table; a client can make any number of them.
_KEPT: Final = 256


class Questions:
    """What can be asked of one table, and the SQL of what has been asked.

    :param within: only rows that refer by this foreign key to one row are asked about; see
        :meth:`Asked.within`.
    """

    def __init__(
        self, table: ResourceTable, resource: DataResource, within: ForeignKey | None = None
    ) -> None:
        self._table = table
        self._resource = resource
        self._within = _refers(table, resource, within) if within else []
        #: The one that was asked last is the last one here.
        self._shapes: OrderedDict[Question, _Shape] = OrderedDict()

    def ask(self, question: Question, rights: Callable[[str], None]) -> Asked:
        """The SQL of a question.

        :param rights: raises ``Unlisted`` for a table that nobody can list, and a ``DrgError`` for one
            that this caller may not.
        :raises BadRequest: names that nothing knows, values of the wrong type; all of them at once.
        """
        values = Values()
        key = shape_of(question, values)
        shape = self._shapes.pop(key, None)
        if shape is None:
            shape = _Shape(key, self._table, self._resource, rights, self._within)
        else:
            for table in shape.used:
                rights(table)
        parameters, faults = shape.bind(values)
        faults = [*shape.faults, *faults]
        if faults:
            raise BadRequest("The question cannot be asked.", dict.fromkeys(faults))
        self._shapes[key] = shape
        if len(self._shapes) > _KEPT:
            self._forget()
        return Asked(shape, parameters)

    def _forget(self) -> None:
        try:
            self._shapes.popitem(last=False)
        except KeyError:  # other threads have
            return


def _refers(
    table: ResourceTable, resource: DataResource, reference: ForeignKey
) -> list[sa.ColumnElement[bool]]:
    """The rows that refer to the values ``p0`` …, one for each field of the foreign key."""
    conditions = []
    parent = resource.tables[reference.resource].table
    pairs = zip(reference.fields, reference.references, strict=True)
    for index, (own, referenced) in enumerate(pairs):
        column, kind = table.table.c[own], parent.c[referenced].type
        value: sa.ColumnElement[Any] = parameter(f"p{index}")
        if type(column.type) is not type(kind):  # whole numbers refer to others, and these to them
            value = sa.cast(value, kind)
        conditions.append(column == value)
    return conditions


def ask(
    question: Question,
    table: ResourceTable,
    resource: DataResource,
    rights: Callable[[str], None],
) -> Asked:
    """The SQL of one question, of which nothing is kept; see :meth:`Questions.ask`."""
    return Questions(table, resource).ask(question, rights)


class _Shape:
    """The statements of all questions of one shape."""

    def __init__(
        self,
        question: Question,
        table: ResourceTable,
        resource: DataResource,
        rights: Callable[[str], None],
        within: Sequence[sa.ColumnElement[bool]],
    ) -> None:
        compiler = Compiler(resource, rights)
        source = table.table
        embeds = compiler.names.embeds(question, table)
        # A question's own conditions never widen what it is about: all of these must hold.
        self._where = [*within, *compiler.where(question, table, source, embeds)]
        terms, self.columns = compiler.selected(question, table, source, embeds)
        self.keyed = not question.order and bool(table.key)
        self.key_fields = [table.fields[name] for name in table.key]
        self._key = [source.c[name] for name in table.key]
        self._order = compiler.order(question, table, source)
        self._source = source
        self._select = sa.select(
            *(term.label(f"c{index}") for index, term in enumerate(terms)), *self._key
        ).select_from(source)
        self._binders = compiler.binders
        self.faults = compiler.names.faults
        self.used = [*compiler.names.used]
        self.page = functools.cache(self._page)

    def bind(self, values: Values) -> tuple[dict[str, Any], list[str]]:
        """The parameters of a question's values, and what is wrong with those."""
        parameters: dict[str, Any] = {}
        faults = []
        for number, (name, bind) in self._binders.items():
            try:
                parameters[f"q{number}"] = bind(values.given[number - 1])
            except FieldError as error:
                faults.append(fault_at(values.places[number - 1], name, error))
        return parameters, faults

    def _page(self, start: Start) -> Statement:
        """One page: ``limit``, and ``offset`` or ``k0`` …; backwards where it is read so."""
        found = self._select.where(*self._where).limit(parameter("limit"))
        order = self._order
        if start in BACKWARDS:
            order = in_order(self._key, backwards=True)
        if start in (Start.AFTER, Start.BEFORE):
            given = [parameter(f"k{index}") for index in range(len(self._key))]
            left: Any = self._key[0] if len(given) == 1 else sa.tuple_(*self._key)
            right: Any = given[0] if len(given) == 1 else sa.tuple_(*given)
            found = found.where(left > right if start is Start.AFTER else left < right)
        elif start is Start.OFFSET:
            found = found.offset(parameter("offset"))
        return compile_statement(found.order_by(*order))

    @functools.cached_property
    def count(self) -> Statement:
        """How many rows there are."""
        every = sa.select(sa.func.count()).select_from(self._source)
        return compile_statement(every.where(*self._where))

    @functools.cached_property
    def estimate(self) -> Statement:
        """How many rows the planner expects."""
        one: Any = sa.select(sa.literal_column("1")).select_from(self._source)
        found = compile_statement(one.where(*self._where))
        return Statement(f"EXPLAIN (FORMAT JSON) {found.sql}", found.parameters)


class Asked:
    """A question's statements, and what their rows are.

    :ivar columns: of the answer, in order; in a row, the key's columns follow.
    :ivar keyed: rows are in the order of their key, so that a page can start at one.
    """

    def __init__(self, shape: _Shape, parameters: dict[str, Any]) -> None:
        self._shape = shape
        self._parameters = parameters
        self.columns = shape.columns
        self.keyed = shape.keyed

    def within(self, values: dict[str, Any]) -> Asked:
        """The question about the rows that refer to a row.

        :param values: ``p0`` …, what the row has in the fields that the foreign key refers to.
        """
        return Asked(self._shape, {**self._parameters, **values})

    def page(
        self, limit: int | None, offset: int, start: Start, cursor: dict[str, Any]
    ) -> Statement:
        """A page's rows, backwards where it is read so.

        :param cursor: the values of a key, ``k0`` …, for a page that starts at one.
        """
        made = self._shape.page(start)
        given = {**made.parameters, **self._parameters, "limit": limit, "offset": offset}
        if start is not Start.OFFSET:
            given |= cursor
        return Statement(made.sql, given)

    def count(self) -> Statement:
        """How many rows there are, on all pages."""
        made = self._shape.count
        return Statement(made.sql, {**made.parameters, **self._parameters})

    def estimate(self) -> Statement:
        """How many rows the planner expects, as the JSON text of its plan."""
        made = self._shape.estimate
        return Statement(made.sql, {**made.parameters, **self._parameters})

    def write(self, rows: Any) -> list[dict[str, Any]]:
        """Rows as JSON objects.

        :raises EncryptionFailure: a protected value cannot be decrypted; it names the row.
        """
        return write_rows(self.columns, rows, slice(len(self.columns), None))

    def ends(self, rows: Any) -> tuple[str, str] | None:
        """The keys of a page's first and last row as cursors."""
        start = len(self.columns)
        return cursors(self._shape.key_fields, rows[0][start:], rows[-1][start:])

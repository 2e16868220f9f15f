"""Rows that are listed: all of a table's, or those that refer to one row."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from data_resource_api.compiler.data_resource import DataResource
from data_resource_api.compiler.fields import FieldError
from data_resource_api.compiler.security import Security
from data_resource_api.compiler.tables import ForeignKey, ResourceTable
from data_resource_api.errors import BadRequest
from data_resource_api.rest.keys import read_key
from data_resource_api.rest.output.csv_text import quoted
from data_resource_api.rest.pages import Position, Start, cursors
from data_resource_api.rest.questions.sql import Questions
from data_resource_api.rest.statements import Rows


class Listing:
    """What pages of rows need of their table, made once when the data resource is loaded.

    :ivar readable: the tables that can be listed, and what their GET asks for.
    :ivar within: the foreign key by which the rows refer to one row; ``None`` where all rows are listed.
    :ivar keys: the fields of the primary key.
    :ivar absent: what stands for ``null`` in a CSV.
    """

    def __init__(
        self,
        table: ResourceTable,
        resource: DataResource,
        readable: Mapping[str, Security],
        within: ForeignKey | None = None,
    ) -> None:
        self.table = table
        self.resource = resource
        self.readable = readable
        self.within = within
        self.keys = [table.fields[name] for name in table.key]
        self._key_places = [list(table.fields).index(name) for name in table.key]
        self.absent = _absent(table)

    @functools.cached_property
    def questions(self) -> Questions:
        """What can be asked of the rows."""
        return Questions(self.table, self.resource, self.within)

    def cursor(self, position: Position) -> dict[str, Any]:
        """Where a page starts, as parameters of its statement.

        :raises BadRequest: its cursor cannot be a key of this table.
        """
        match position.start:
            case Start.OFFSET:
                return {"offset": position.offset}
            case Start.END if self.keys:
                return {}
            case Start.AFTER | Start.BEFORE if self.keys:
                try:
                    values = read_key(self.keys, position.key)
                except FieldError as error:
                    fault = f"{position.start}: {error}"
                else:
                    return {f"k{index}": value for index, value in enumerate(values)}
            case start:
                name = "from" if start is Start.END else start
                fault = f"{name}: {self.table.name} has no primary key, so its rows have no order."
        raise BadRequest("The query string is wrong.", [fault])

    def ends(self, rows: Rows) -> tuple[str, str] | None:
        """Cursors of the first and the last of these rows."""
        first, last = ([row[place] for place in self._key_places] for row in (rows[0], rows[-1]))
        return cursors(self.keys, first, last)


def _absent(table: ResourceTable) -> str:
    stated = table.entry.descriptor.get("missingValues") or [""]
    return "" if "" in stated else quoted(str(stated[0]))

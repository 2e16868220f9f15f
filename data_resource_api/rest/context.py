"""What an operation needs of its tables, made once when the data resource is loaded."""

from __future__ import annotations

import functools
import threading
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from data_resource_api.compiler.data_resource import DataResource
from data_resource_api.compiler.faults import quote
from data_resource_api.compiler.fields import FieldError
from data_resource_api.compiler.openapi import Kind, Operation
from data_resource_api.compiler.security import Security
from data_resource_api.compiler.tables import ResourceTable
from data_resource_api.errors import NotFound
from data_resource_api.rest.intake.staging import Staging
from data_resource_api.rest.keys import read_key
from data_resource_api.rest.listing import Listing
from data_resource_api.rest.pages import RowCount
from data_resource_api.rest.response import Reply, RowWriter, quoted_path
from data_resource_api.rest.statements import (
    AssociationStatements,
    Rows,
    Statement,
    TableStatements,
)

#: What an operation does: it yields statements, is sent their rows, and returns the answer.
Plan = Generator[Statement, Rows, Reply]


class OperationContext(Listing):
    """All that an operation needs of its tables, made once when the data resource is loaded.

    :ivar path: the list's path, quoted as links and ``Location`` write it.
    :ivar allowed: the verbs of the operation's path.
    :ivar patience: seconds that a client may take to take the next rows of a stream.
    :ivar shown: the table whose rows are in the answer.
    :ivar children: the foreign key's fields, joined by commas → the rows that refer by it to one row.
    :ivar reading: what a GET of the operation's path asks for; ``None`` where it has none.
    """

    def __init__(
        self,
        resource: DataResource,
        operation: Operation,
        statements: Mapping[str, TableStatements],
        *,
        allowed: Sequence[str],
        max_page_size: int,
        max_nesting: int,
        exact_count_limit: int,
        readable: Mapping[str, Security],
        patience: float,
        require_if_match: bool,
        reading: Security | None,
        max_body_bytes: int = 2**24,
        import_timeout: int = 600,
        import_slots: threading.Semaphore | None = None,
    ) -> None:
        super().__init__(resource.tables[operation.table], resource, readable)
        self.operation = operation
        self.shown: ResourceTable = self.table
        self.statements = statements[operation.table]
        self.writer = RowWriter(self.table.fields.values(), self.table.key)
        #: Blind index column → the field that it belongs to.
        self.index_fields = {
            field.protection.index_column: str(field.name)
            for field in self.table.searchable_fields
            if field.protection is not None
        }
        #: Unique fields whose blind index may be under a key other than the first.
        self.older_indexes = [
            field
            for field in self.table.searchable_fields
            if field.unique
            and field.protection is not None
            and len(field.protection.engine.keys) > 1
        ]
        self.path = quoted_path("/" + operation.segments[0])
        self.allowed = allowed
        self.max_page_size = max_page_size
        self.max_body_bytes = max_body_bytes
        self.import_timeout = import_timeout
        self.import_slots = import_slots or threading.Semaphore()
        #: What each operation that changes a row of the table asks for.
        self.changing = [
            other.security
            for other in resource.operations
            if other.table == operation.table and other.kind in (Kind.REPLACE, Kind.MODIFY)
        ]
        self._tables = resource.tables
        self.max_nesting = max_nesting
        self.patience = patience
        self.require_if_match = require_if_match
        self.reading = reading
        self.count = RowCount(exact_count_limit)
        if operation.related is not None:
            self.related = resource.tables[operation.related]
            self.related_keys = [self.related.fields[name] for name in self.related.key]
            self.related_segment = quoted_path(operation.segments[-1])
            if operation.kind is Kind.CHILDREN:
                self.shown = self.related
                self.children = {
                    ",".join(reference.fields): Listing(self.related, resource, readable, reference)
                    for reference in self.related.references_to(operation.table)
                }
            else:
                association = resource.association(operation.table, operation.related)
                self._associations = [
                    AssociationStatements(association, self.table, self.related, reverse=reverse)
                    for reverse in (False, True)
                ]

    @functools.cached_property
    def staging(self) -> Staging:
        """The statements of rows on their way into the table."""
        return Staging(self.table, self._tables, self.older_indexes)

    def association(self, *, reverse: bool) -> AssociationStatements:
        """The many-to-many relationship; from the child's side where that is asked for."""
        return self._associations[reverse]

    def key(self, text: str) -> list[Any]:
        """The path's ``{id}`` as the values of the key's columns.

        :raises NotFound: it cannot be a key of this table.
        """
        try:
            return read_key(self.keys, text)
        except FieldError:
            raise self.not_found(text) from None

    def not_found(self, key: object) -> NotFound:
        """The answer for a row that is not there."""
        return NotFound(
            f"There is no {self.table.name} with {', '.join(self.table.key)} {quote(key)}."
        )

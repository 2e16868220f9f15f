"""The names in a question → the fields and relations that they mean, or why they mean none."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.dialects.postgresql import JSONB

from data_resource_api.compiler.data_resource import DataResource
from data_resource_api.compiler.faults import nearest, quote
from data_resource_api.compiler.fields import Field, FieldError
from data_resource_api.compiler.relations import Relation, relations_of, telling_hints
from data_resource_api.compiler.tables import ResourceTable
from data_resource_api.errors import DrgError
from data_resource_api.rest.questions.rights import Unlisted
from data_resource_api.rest.questions.syntax import Embed, FieldPath, Question


class Resolver:
    """Gives names their meaning, and notes what has none.

    :ivar faults: one line each.
    :ivar used: the tables other than the question's own, which the caller has been allowed to read.
    """

    def __init__(self, resource: DataResource, rights: Callable[[str], None]) -> None:
        self._resource = resource
        self._rights = rights
        self.faults: list[str] = []
        self.used: dict[str, None] = {}

    # ── relations ────────────────────────────────────────────────────────────────────────────────

    def relation(
        self, name: str, hint: str, table: ResourceTable, place: str, *, one: bool = False
    ) -> Relation | None:
        """The relation of a table that a name means.

        :param one: it must lead to one row at most.
        :raises Forbidden: this caller may not read the other table.
        """
        known = [each for each in relations_of(table, self._resource) if not (one and each.many)]
        found = [each for each in known if each.is_called(name, hint) and self._is_listed(each)]
        if name in table.fields:  # a field's name means the row that it refers to
            found = [each for each in found if not each.many] or found
        if len(found) == 1:
            target = found[0].target.name
            self._rights(target)
            self.used[target] = None
            return found[0]
        if found:
            choices = " or ".join(f"{name}!{told}" for told in telling_hints(found))
            self.faults.append(
                f"{place}: more than one relation leads from {table.name} to {quote(name)}; say which"
                + (f": {choices}." if choices else ".")
            )
            return None
        names = {name for each in known if self._may_read(each) for name in each.names}
        hints = {
            told
            for each in known
            if self._may_read(each) and name in each.names
            for told in each.hints
        }
        said = f"{name}!{hint}" if hint else name
        near = nearest(hint, hints) if hint and hints else nearest(name, names)
        kind = "is not a relation to one row" if one else "is not a relation"
        self.faults.append(f"{place}: {quote(said)} {kind} of {table.name}{near or '.'}")
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

    def embeds(self, question: Question, table: ResourceTable) -> dict[str, tuple[Embed, Relation]]:
        """The embedded tables of a question, by their names in the answer."""
        resolved = {}
        for item in question.select or ():
            if isinstance(item, Embed):
                relation = self.relation(item.relation, item.hint, table, "select")
                if relation is not None:
                    resolved[item.name] = item, relation
        return resolved

    # ── fields ───────────────────────────────────────────────────────────────────────────────────

    def field(self, path: FieldPath, table: ResourceTable) -> Field:
        """The field that a path begins at.

        :raises FieldError: there is none, or the path cannot lead into it.
        """
        field = table.fields.get(path.name)
        if field is None:
            near = nearest(path.name, table.fields) or "."
            raise FieldError(f"is not a field of {table.name}{near}")
        if path.steps and (field.protected or not issubclass(field.type.column, JSONB)):
            raise FieldError(
                f"is {field.type.name}, and arrows lead into an object or an array only."
            )
        return field

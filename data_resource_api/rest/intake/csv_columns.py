"""The columns of a CSV: texts by Table Schema's rules → COPY text, a batch of one column at a time.

A million rows of some fields are millions of values, and a call in Python for each takes seconds. So a
column's values are checked together where its type allows that; where something is odd about one of them,
they are looked at one by one. Either way a value is what ``Field.bind`` makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from data_resource_api.compiler.fields import BIGINT_RANGE, Field, FieldError, integer_range
from data_resource_api.compiler.tables import ResourceTable
from data_resource_api.errors import BadRequest
from data_resource_api.json_text import read_json
from data_resource_api.rest.intake.copy_text import NULL, copy_array, copy_text, needs_escape
from data_resource_api.rest.intake.rows import older_column

#: One value's text → COPY text; raises FieldError.
Convert = Callable[[str], str]
#: A column's texts → COPY texts, or ``None`` where they must be looked at one by one.
Together = Callable[[Sequence[str]], Sequence[str] | None]

#: Values of one column whose COPY text is remembered, and how long they may be.
_KEPT: Final = 10_000
_KEPT_LENGTH: Final = 64


class CsvColumn:
    """One column on its way into a table.

    :ivar place: where its value is in a row of the CSV.
    :ivar one: converts one value.
    """

    def __init__(self, name: str, place: int, one: Convert, together: Together | None) -> None:
        self.name = name
        self.place = place
        self.one = one
        self._together = together

    def texts(self, values: Sequence[str]) -> Sequence[str]:
        """Convert the values of many rows.

        :raises FieldError: one of them is not valid.
        """
        if self._together is not None:
            texts = self._together(values)
            if texts is not None:
                return texts
        return [*map(self.one, values)]


def columns_of(
    table: ResourceTable, header: Sequence[str], older: Collection[Field]
) -> list[CsvColumn]:
    """The columns that a CSV with this header fills, blind indexes after the fields."""
    absent = missing_values(table)
    columns: list[CsvColumn] = []
    for place, name in enumerate(header):
        field = table.fields[name]
        one = _converter(field, absent)
        # Protected values are encrypted one by one, so that equal ones do not look alike.
        together = None if field.protected else _together(field, absent, one)
        columns.append(CsvColumn(name, place, one, together))
    for place, name in enumerate(header):
        field = table.fields[name]
        if field.protection is not None and field.searchable:
            index = str(field.protection.index_column)
            columns.append(CsvColumn(index, place, _indexer(field, absent), None))
            if field in older:
                columns.append(
                    CsvColumn(older_column(field), place, _older_indexer(field, absent), None)
                )
    return columns


def missing_values(table: ResourceTable) -> frozenset[str]:
    """What stands for ``null`` in a table's CSV."""
    stated = table.entry.descriptor.get("missingValues", [""])
    return frozenset(text for text in stated if isinstance(text, str))


# ── one value ────────────────────────────────────────────────────────────────────────────────────


def _converter(field: Field, absent: frozenset[str]) -> Convert:
    lexical = _LEXICAL.get(field.type.name)
    nullable = not field.required

    def convert(text: str) -> str:
        if text in absent:
            if nullable:
                return NULL
            raise FieldError("is required, and is empty here.")
        _refuse_unstorable(text)
        return copy_text(field.bind(text if lexical is None else lexical(text)))

    return convert


def _refuse_unstorable(text: str) -> None:
    if text.isascii():
        if "\0" in text:
            raise FieldError("holds the character U+0000, which cannot be stored.")
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise FieldError("is not UTF-8.") from None
    if "\0" in text:
        raise FieldError("holds the character U+0000, which cannot be stored.")


def _object(text: str) -> Any:
    try:
        return read_json(text.encode())
    except BadRequest as error:
        raise FieldError(error.detail.replace("The body", "the text", 1)) from None


#: How a text becomes what a JSON body would hold, where the reader does not take texts for it.
_LEXICAL: Final[dict[str, Callable[[str], Any]]] = {"object": _object}


def _indexer(field: Field, absent: frozenset[str]) -> Convert:
    return lambda text: NULL if text in absent else copy_text(field.index(text))


def _older_indexer(field: Field, absent: frozenset[str]) -> Convert:
    return lambda text: NULL if text in absent else copy_array(field.indexes(text)[1:])


# ── many values ──────────────────────────────────────────────────────────────────────────────────


def _together(field: Field, absent: frozenset[str], one: Convert) -> Together:
    check = _checker(field)
    if check is None:
        return _remembering(one)
    nullable = not field.required

    def texts(values: Sequence[str]) -> Sequence[str] | None:
        if absent.isdisjoint(values):
            return values if check(values) else None
        present = [value for value in values if value not in absent]
        if nullable and (not present or check(present)):
            return [NULL if value in absent else value for value in values]
        return None

    return texts


def _remembering(one: Convert) -> Together:
    """Each different value is converted once; most columns have few."""
    kept: dict[str, str] = {}

    def texts(values: Sequence[str]) -> Sequence[str]:
        new = {value: one(value) for value in set(values).difference(kept)}
        if not new:
            return [kept[value] for value in values]
        if len(kept) + len(new) <= _KEPT:
            kept.update((v, text) for v, text in new.items() if len(v) <= _KEPT_LENGTH)
        return [new[value] if value in new else kept[value] for value in values]

    return texts


def _checker(field: Field) -> Callable[[Sequence[str]], bool] | None:
    """Whether texts are all valid, and their own COPY text; ``None`` where that cannot be told."""
    rules = {rule.name: rule.value for rule in field.constraints}
    if field.descriptor.get("format", "default") != "default":
        return None
    if field.type.name == "string" and rules.keys() <= {"minLength", "maxLength"}:
        return _string_checker(rules.get("minLength", 0), rules.get("maxLength"))
    bare = field.descriptor.get("bareNumber", True) is not False
    if field.type.name == "integer" and bare and rules.keys() <= {"minimum", "maximum"}:
        bounds = integer_range(field.descriptor)
        least = max(rules.get("minimum", BIGINT_RANGE.start), bounds.start)
        most = min(rules.get("maximum", BIGINT_RANGE.stop - 1), bounds.stop - 1)
        return _integer_checker(least, most)
    return None


def _string_checker(least: int, most: int | None) -> Callable[[Sequence[str]], bool]:
    def check(values: Sequence[str]) -> bool:
        joined = "".join(values)
        if "\0" in joined or needs_escape(joined):
            return False
        if not joined.isascii():
            try:
                joined.encode()
            except UnicodeEncodeError:
                return False
        if most is not None and len(max(values, key=len)) > most:
            return False
        return not least or len(min(values, key=len)) >= least

    return check


def _integer_checker(least: int, most: int) -> Callable[[Sequence[str]], bool]:
    def check(values: Sequence[str]) -> bool:
        joined = "".join(values)
        if not (joined.isascii() and (joined.isdigit() or joined.replace("-", "").isdigit())):
            return False
        try:
            numbers = [*map(int, values)]
        except ValueError:
            return False
        return least <= min(numbers) and max(numbers) <= most

    return check

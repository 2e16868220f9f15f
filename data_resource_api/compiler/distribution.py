"""Distribution over a Citus cluster: what entries state, whether Citus can hold it, and the SQL for it.

A table is *distributed* by a key (its rows are spread over the nodes by the hash of that field), a
*reference* table (the whole of it is on every node), or *local* (it states nothing and stays where
generation runs). Citus keeps a constraint only where one node sees all that it is about; everything that
breaks this rule is told here, before any DDL, with the remedy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from data_resource_api.compiler.faults import Faults, join, json_name, nearest, quote
from data_resource_api.compiler.relationships import Association
from data_resource_api.compiler.tables import SCHEMA, ForeignKey, ResourceTable

#: Integer identity columns can be distributed, and reference tables stand left in an outer join.
MIN_CITUS_VERSION: Final = 12

_AS_REFERENCE: Final = '"distribution": {"reference": true}'
_KNOWN: Final = ("key", "reference")
_UNSUITABLE: Final = frozenset({"object", "array", "geojson"})

#: One connection a node for everything: each step of the transaction sees those before it.
_SEQUENTIAL: Final = "SET LOCAL citus.multi_shard_modify_mode TO 'sequential'"


@dataclass(frozen=True, slots=True)
class Distribution:
    """How a table is spread over a cluster.

    :ivar key: the column whose hash decides on which node a row is; ``None`` for a reference table.
    """

    key: str | None = None

    def __str__(self) -> str:
        return "a reference table" if self.key is None else f"distributed by {quote(self.key)}"

    def document(self) -> dict[str, Any]:
        """The same as an entry of a data dictionary writes it."""
        return {"reference": True} if self.key is None else {"key": self.key}


def local_or(distribution: Distribution | None) -> str:
    """In words, where ``None`` is a local table."""
    return "local" if distribution is None else str(distribution)


# ── what is stated ───────────────────────────────────────────────────────────────────────────────


def read_distributions(
    tables: Mapping[str, ResourceTable], associations: Iterable[Association], faults: Faults
) -> dict[str, Distribution]:
    """The distribution of every table that is not local, by the table's name in the database.

    Notes what cannot be read, and every key and reference that Citus could not hold.
    """
    found: dict[str, Distribution] = {}
    unread = set()
    for table in tables.values():
        stated = _read(table, faults)
        if stated is not None:
            found[table.name] = stated
        elif not table.entry.is_local:
            unread.add(table.name)
    for table in tables.values():
        for place, fault in _uniqueness_faults(table, found.get(table.name)):
            faults.add(f"{table.entry.place}.tableSchema.{place}", fault)
        for reference in table.foreign_keys:
            problem = _reference_fault(reference, table, tables[reference.resource], found)
            if problem and not unread & {table.name, reference.resource}:
                faults.add(reference.place, problem)
    for association in associations:
        if not unread & set(association.tables):
            derived = _of_association(association, tables, found, faults)
            if derived is not None:
                found[association.table.name] = derived
    return found


def _read(table: ResourceTable, faults: Faults) -> Distribution | None:
    if table.entry.is_local:
        return None
    place = f"{table.entry.place}.distribution"
    stated = table.entry.distribution
    if not isinstance(stated, Mapping):
        faults.add(place, f"must be an object, not {json_name(stated)}.")
        return None
    unknown = [name for name in stated if name not in _KNOWN]
    for name in unknown:
        faults.add(place, f"{quote(name)} is not known here{nearest(name, _KNOWN) or '.'}")
    if unknown:
        return None
    if len(stated) != 1:
        faults.add(place, 'must have either "key", a field\'s name, or "reference": true.')
        return None
    if "reference" in stated:
        if stated["reference"] is True:
            return Distribution()
        faults.add(f"{place}.reference", "must be true; a local table states no distribution.")
        return None
    key = stated["key"]
    problem = _key_fault(table, key)
    if problem:
        faults.add(f"{place}.key", problem)
    return Distribution(key) if isinstance(key, str) and key in table.fields else None


def _key_fault(table: ResourceTable, key: object) -> str | None:
    if not isinstance(key, str):
        return f"must be a field's name, not {json_name(key)}."
    field = table.fields.get(key)
    if field is None:
        return f"no field is called {quote(key)}{nearest(key, table.fields) or '.'}"
    if field.protected:
        return f"{quote(key)} is protected: equal values are stored differently."
    if field.type.name in _UNSUITABLE:
        return f"{quote(key)} is {field.type.name}; distribute by a field of a simple type."
    if key not in table.key and not field.required:
        return (
            f"{quote(key)} may be null, and a row without its distribution key has no place. "
            'Give the field "constraints": {"required": true}.'
        )
    return None


# ── what Citus can hold ──────────────────────────────────────────────────────────────────────────


def _uniqueness_faults(
    table: ResourceTable, distribution: Distribution | None
) -> Iterator[tuple[str, str]]:
    """Keys that nodes would have to compare with one another, each with its place."""
    if distribution is None or distribution.key is None:
        return
    key = distribution.key
    remedy = f"make the table a reference table ({_AS_REFERENCE})."
    if table.key and key not in table.key:
        others = " or ".join(map(quote, table.key))
        problem = (
            f"must include {quote(key)}, the distribution key: a node sees its own rows only. "
            f"Add it to the primary key, distribute by {others}, or {remedy}"
        )
        yield "primaryKey", problem
    names = [
        field.get("name") if isinstance(field, Mapping) else None
        for field in table.entry.descriptor["fields"]
    ]
    for name, field in table.fields.items():
        if field.unique and name != key and table.key != (name,):
            problem = (
                f"cannot be held without {quote(key)}, the distribution key: a node sees its own "
                f'rows only. Leave "unique" out, distribute by {quote(name)}, or {remedy}'
            )
            yield join("fields", names.index(name), "constraints", "unique"), problem


def _reference_fault(
    reference: ForeignKey,
    table: ResourceTable,
    parent: ResourceTable,
    found: Mapping[str, Distribution],
) -> str | None:
    own, other = found.get(table.name), found.get(parent.name)
    target = quote(parent.name)
    match own, other:
        case (None, None) | (Distribution(), Distribution(key=None)):
            return None
        case None, _:
            return (
                f"refers to {target}, which is {other}, and this table is local. "
                "Give this table a distribution, too."
            )
        case _, None:
            return (
                f"refers to {target}, which is local, and this table is {own}. "
                f"Give {target} {_AS_REFERENCE}, or a key."
            )
        case Distribution(key=None), _:
            return (
                f"refers to {target}, which is {other}, and no node of this reference table has "
                f"all of its rows. Give {target} {_AS_REFERENCE}, or this table a key."
            )
        case Distribution(key=str(key)), Distribution(key=str(parent_key)):
            return _colocation_fault(reference, table, key, parent, parent_key)
    return None


def _colocation_fault(
    reference: ForeignKey, table: ResourceTable, key: str, parent: ResourceTable, parent_key: str
) -> str | None:
    """Rows that belong together are on one node when equal keys of one type pair them."""
    if (key, parent_key) not in zip(reference.fields, reference.references, strict=True):
        return (
            f"must pair the distribution keys, {quote(key)} of this table with {quote(parent_key)} "
            f"of {quote(parent.name)}, so that both rows are on one node. Add them to it, or give "
            f"{quote(parent.name)} {_AS_REFERENCE}."
        )
    types = str(table.table.c[key].type), str(parent.table.c[parent_key].type)
    if types[0] != types[1]:
        return (
            f"pairs the distribution keys {quote(key)}, which is {types[0]}, and "
            f"{quote(parent_key)}, which is {types[1]}: equal values would be on different nodes. "
            'Give both fields one type and one "minimum" and "maximum".'
        )
    return None


def _of_association(
    association: Association,
    tables: Mapping[str, ResourceTable],
    found: Mapping[str, Distribution],
    faults: Faults,
) -> Distribution | None:
    """A pair's rows stand beside those of the member that is distributed."""
    left, right = association.tables
    members = {name: found.get(name) for name in (left, right)}
    local = [name for name, own in members.items() if own is None]
    keyed = [name for name, own in members.items() if own is not None and own.key is not None]
    if len(local) == len(members):
        return None
    if local:
        (other,) = members.keys() - set(local)
        faults.add(
            association.pair.place,
            f"{quote(local[0])} is local, and {quote(other)} is {members[other]}. "
            f"Give {quote(local[0])} {_AS_REFERENCE}.",
        )
    elif keyed and (len(keyed) == 2 or left == right):
        faults.add(
            association.pair.place,
            f"{quote(left)} and {quote(right)} are both distributed by a key, and no node has both "
            f"rows of every pair. Give the smaller of the two {_AS_REFERENCE}.",
        )
    elif keyed:
        key = found[keyed[0]].key
        beside = association.oriented(keyed[0])[0].columns
        return next(
            (
                Distribution(column.name)
                for column, field in zip(beside, tables[keyed[0]].key, strict=True)
                if field == key
            ),
            None,  # a fault of the table's own, noted above
        )
    else:
        return Distribution()
    return None


# ── what is run ──────────────────────────────────────────────────────────────────────────────────


def distribution_sql(table: str, distribution: Distribution) -> str:
    """The statement that distributes an empty table: Citus's own function, or the other."""
    identifier = ".".join(_quoted('"', name) for name in (SCHEMA, table))
    relation = _quoted("'", identifier)
    if distribution.key is None:
        return f"SELECT create_reference_table({relation})"
    key = _quoted("'", distribution.key)
    return f"SELECT create_distributed_table({relation}, {key})"


def _quoted(mark: str, text: str) -> str:
    return mark + text.replace(mark, mark * 2) + mark


def distribute_on_create(metadata: sa.MetaData, found: Mapping[str, Distribution]) -> None:
    """Make ``CREATE TABLE`` distribute, and foreign keys follow when all tables are distributed.

    A table that already refers to a reference table would be converted by Citus behind our back, and one
    that refers to a table not yet distributed would be refused; keys that come last meet neither.
    """
    if not found:
        return
    _run(metadata, "before_create", _SEQUENTIAL)
    for table in metadata.tables.values():
        distribution = found.get(table.name)
        if distribution is not None:
            _run(table, "after_create", distribution_sql(table.name, distribution))
            for constraint in table.foreign_key_constraints:
                constraint.use_alter = True


def _run(target: sa.MetaData | sa.Table, event: str, sql: str) -> None:
    sa.event.listen(target, event, sa.DDL(sql.replace("%", "%%")))  # type: ignore[no-untyped-call]

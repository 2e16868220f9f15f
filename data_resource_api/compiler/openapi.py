"""The embedded OpenAPI document is a whitelist: its path and verb pairs → ``Operation``s.

connexion validates the document (see ``openapi_rules``). What becomes a route is read here: only the
shapes that a data resource has, and only those that the document names. OpenAPI 3.0.3
<https://spec.openapis.org/oas/v3.0.3>.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import unquote

from data_resource_api.compiler.faults import Faults, join, json_name, nearest, quote
from data_resource_api.compiler.openapi_rules import pointed_at
from data_resource_api.compiler.payload import Pair
from data_resource_api.compiler.security import ANY_TOKEN, Security, read_security
from data_resource_api.compiler.tables import ResourceTable

#: A path item's verbs; its other keys (parameters, summary, …) are not.
VERBS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

#: The service's own operation, which takes those of the data resource.
BATCH_PATH: Final = "/-/batch"


class Shape(StrEnum):
    """The shapes of path that a data resource has."""

    ROWS = "/{table}"
    ROW = "/{table}/{id}"
    QUERY = "/{table}/query"
    RELATED = "/{table}/{id}/{related}"


class Kind(StrEnum):
    """What an operation does."""

    LIST = "list"
    CREATE = "create"
    QUERY = "query"
    READ = "read"
    REPLACE = "replace"
    MODIFY = "modify"
    DELETE = "delete"
    RELATED = "related"
    RELATE = "relate"
    ADD_RELATED = "add_related"
    CHILDREN = "children"


#: Which verbs a shape has, and what they do. Add an operation here and in ``rest.plan``.
KINDS: Final[Mapping[tuple[Shape, str], Kind]] = {
    (Shape.ROWS, "get"): Kind.LIST,
    (Shape.ROWS, "post"): Kind.CREATE,
    (Shape.QUERY, "post"): Kind.QUERY,
    (Shape.ROW, "get"): Kind.READ,
    (Shape.ROW, "put"): Kind.REPLACE,
    (Shape.ROW, "patch"): Kind.MODIFY,
    (Shape.ROW, "delete"): Kind.DELETE,
    (Shape.RELATED, "get"): Kind.RELATED,
    (Shape.RELATED, "put"): Kind.RELATE,
    (Shape.RELATED, "patch"): Kind.ADD_RELATED,
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One path and verb that is served.

    :ivar path: as the document writes it.
    :ivar related: the other table of a relationship, or ``None``.
    :ivar security: what is asked of the caller; see ``compiler.security``.
    """

    kind: Kind
    shape: Shape
    path: str
    verb: str
    table: str
    related: str | None
    security: Security = ANY_TOKEN

    @property
    def segments(self) -> tuple[str, ...]:
        """The path's segments, decoded, as the document writes them."""
        return path_segments(self.path)

    @property
    def public(self) -> bool:
        """Whether anybody may call it."""
        return not self.security

    @property
    def place(self) -> str:
        """``GET /provider/{id}``."""
        return f"{self.verb.upper()} {self.path}"


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A path, or a verb of it, that the document names and nothing answers."""

    path: str
    verb: str
    reason: str


def read_operations(
    api: Mapping[str, Any],
    tables: Mapping[str, ResourceTable],
    pairs: Collection[Pair],
    faults: Faults,
) -> tuple[tuple[Operation, ...], tuple[Unmatched, ...]]:
    """Every path and verb of the document, as what it does or why it does nothing."""
    paths = api.get("paths") if api else {}
    if not isinstance(paths, Mapping):
        faults.add("api.apiSpec.paths", f"must be an object, not {json_name(paths)}.")
        return (), ()
    related = {frozenset({pair.left, pair.right}) for pair in pairs}
    operations: dict[tuple[str, str], Operation] = {}
    unmatched: list[Unmatched] = []
    for path, stated in paths.items():
        if path.startswith("x-"):
            continue
        place = join("api.apiSpec.paths", path)
        item = _path_item(stated, api, place, faults)
        verbs = [verb for verb in VERBS if verb in item]
        try:
            shape, table, other = _resolve(path, tables, related)
        except LookupError as error:
            unmatched += [Unmatched(path, verb, str(error.args[0])) for verb in verbs]
            continue
        for verb in verbs:
            kind = KINDS.get((shape, verb))
            if (
                kind is not None
                and shape is Shape.RELATED
                and frozenset({table, other}) not in related
            ):
                kind = Kind.CHILDREN if kind is Kind.RELATED else None
            if kind is None:
                known = ", ".join(known.upper() for form, known in KINDS if form is shape)
                reason = f"{shape} has no {verb.upper()}; it has {known}"
                unmatched.append(Unmatched(path, verb, reason))
                continue
            route = _route(shape, table, other)
            if (route, verb) in operations:
                faults.add(
                    f"{place}.{verb}",
                    f"is the same operation as {operations[route, verb].place}.",
                )
                continue
            security = read_security(api, item[verb], f"{place}.{verb}", faults)
            operations[route, verb] = Operation(kind, shape, path, verb, table, other, security)
    return tuple(operations.values()), tuple(unmatched)


def disabled(
    operations: Collection[Operation],
    tables: Mapping[str, ResourceTable],
    pairs: Collection[Pair],
) -> Iterator[Unmatched]:
    """Operations that a data resource could have and the document leaves out."""
    enabled = {(_route(item.shape, item.table, item.related), item.verb) for item in operations}
    possible = [(name, None) for name in tables]
    possible += [
        couple  # type: ignore[misc]
        for pair in pairs
        for couple in dict.fromkeys(((pair.left, pair.right), (pair.right, pair.left)))
    ]
    for table, related in possible:
        for shape, verb in KINDS:
            if (shape is Shape.RELATED) is not (related is not None):
                continue
            if shape is Shape.ROW and not tables[table].key:
                continue
            route = _route(shape, table, related)
            if (route, verb) not in enabled:
                yield Unmatched(route, verb, "not in api.apiSpec.paths")


def path_segments(path: str) -> tuple[str, ...]:
    """``/order%20items/{id}`` → ``("order items", "{id}")``."""
    return tuple(unquote(segment) for segment in path.strip("/").split("/"))


def _route(shape: Shape, table: str, related: str | None) -> str:
    return shape.replace("{table}", table).replace("{related}", related or "")


def _path_item(
    stated: object, api: Mapping[str, Any], place: str, faults: Faults
) -> Mapping[str, Any]:
    if isinstance(stated, Mapping) and isinstance(stated.get("$ref"), str):
        try:
            shared = pointed_at(api, stated["$ref"])
        except LookupError:
            shared = None
        stated = {**(shared if isinstance(shared, Mapping) else {}), **stated}
    if not isinstance(stated, Mapping):
        faults.add(place, f"must be an object, not {json_name(stated)}.")
        return {}
    return stated


def _resolve(
    path: str, tables: Mapping[str, ResourceTable], related: Collection[frozenset[str]]
) -> tuple[Shape, str, str | None]:
    """The shape of a path and the tables it names.

    :raises LookupError: with the reason why it has none.
    """
    if path == BATCH_PATH:
        raise LookupError("it is the service's own, and is there without being named")
    segments = path_segments(path)
    table = segments[0].lower()
    if table not in tables:
        raise LookupError(f"no table is called {quote(segments[0])}{nearest(table, tables)}")
    match segments[1:]:
        case ():
            return Shape.ROWS, table, None
        case ("query",):
            return Shape.QUERY, table, None
        case (key,) if _is_parameter(key):
            _need_key(tables[table])
            return Shape.ROW, table, None
        case (key, name) if _is_parameter(key):
            other = name.lower()
            if frozenset({table, other}) not in related:
                children = tables.get(other)
                if children is None or not children.references_to(table):
                    raise LookupError(
                        f"{quote(table)} has no many-to-many relationship to {quote(name)}, and "
                        "no foreign key refers to it from there"
                    )
                _need_key(tables[table])
            return Shape.RELATED, table, other
        case _:
            shapes = ", ".join(Shape)
            raise LookupError(f"the path is none of {shapes}")


def _is_parameter(segment: str) -> bool:
    return segment.startswith("{") and segment.endswith("}")


def _need_key(table: ResourceTable) -> None:
    if not table.key:
        raise LookupError(f"{quote(table.name)} has no primary key; a row's path needs one")

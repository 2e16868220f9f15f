"""Which rules of OpenAPI 3.0 a document breaks, as connexion finds them.

connexion is large, and it tries the document's schemas on their defaults, so that a document can make
it work for ever. A service therefore runs this module as a process (see ``checking``).
OpenAPI 3.0.3 <https://spec.openapis.org/oas/v3.0.3>.
"""

from __future__ import annotations

import copy
import resource
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final
from urllib.parse import unquote

from data_resource_api.compiler.faults import BrokenRule, broken_rules, join, quote
from data_resource_api.json_text import read_json, write_json

#: Where the document stands in the Data Resource Schema.
PLACE: Final = "api.apiSpec"


def broken_openapi_rules(api: Mapping[str, Any]) -> list[BrokenRule]:
    """Which rules of OpenAPI 3.0 a document breaks.

    Nothing outside the document is ever looked at: a ``$ref`` to elsewhere is a fault.
    """
    if not api:
        return []
    version = api.get("openapi")
    if not isinstance(version, str) or not version.startswith("3.0."):
        stated = quote(api.get("swagger") if version is None else version)
        message = f'must be an OpenAPI 3.0 version like "3.0.3", not {stated}.'
        return [BrokenRule(f"{PLACE}.openapi", message)]
    return list(_unusable_references(api, api, PLACE)) or _found_by_connexion(api)


def _found_by_connexion(api: Mapping[str, Any]) -> list[BrokenRule]:
    with warnings.catch_warnings():
        # Of starlette's, about its test client; connexion imports it and we do not use it.
        warnings.filterwarnings("ignore", message="Using `httpx` with `starlette.testclient`")
        from connexion.exceptions import InvalidSpecification
        from connexion.spec import OpenAPISpecification, Specification, create_spec_validator

    try:
        document = copy.deepcopy(dict(api))
        try:
            Specification.load(document)
        except InvalidSpecification as error:
            validator = create_spec_validator(document)(OpenAPISpecification.openapi_schema)
            found = list(broken_rules(validator, document, PLACE))
            return found or [BrokenRule(PLACE, f"is not valid: {error}.")]
    except RecursionError:
        message = "is nested too deeply, or a $ref leads back to itself."
        return [BrokenRule(PLACE, message)]
    except Exception as error:  # noqa: BLE001 (schemas are run against defaults: what that raises is the document's)
        reason = str(error).partition("\n")[0][:200]
        message = f"cannot be understood: {type(error).__name__}: {reason}"
        return [BrokenRule(PLACE, message)]
    return []


def pointed_at(api: Mapping[str, Any], reference: str) -> object:
    """What a local ``$ref`` points at (RFC 6901).

    :raises LookupError: it points at nothing.
    """
    found: object = api
    for step in reference.removeprefix("#").split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping):
            found = found[name]
        elif isinstance(found, list) and name.isdecimal():
            found = found[int(name)]
        else:
            raise LookupError(reference)
    return found


def _unusable_references(value: object, api: Mapping[str, Any], place: str) -> Iterator[BrokenRule]:
    """Every ``$ref`` that leaves the document or points at nothing."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "$ref" and isinstance(item, str):
                if not item.startswith("#/"):
                    yield BrokenRule(
                        join(place, key),
                        f"{quote(item)} is outside the document, and only #/… is read.",
                    )
                    continue
                try:
                    pointed_at(api, item)
                except LookupError:
                    yield BrokenRule(join(place, key), f"{quote(item)} points at nothing.")
            else:
                yield from _unusable_references(item, api, join(place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unusable_references(item, api, join(place, index))


def main() -> None:
    """Read a document from the standard input, and write which rules it breaks, as JSON."""
    seconds = int(sys.argv[1])
    # If whoever waits for this is killed, nobody else ends it.
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    api = read_json(sys.stdin.buffer.read())
    sys.stdout.buffer.write(write_json([asdict(rule) for rule in broken_openapi_rules(api)]))


if __name__ == "__main__":
    main()

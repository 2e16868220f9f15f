"""What the OpenAPI document asks of a caller: ``security``, as the scopes that a token must have.

OpenAPI 3.0.3, *Security Requirement Object*: an operation's ``security`` replaces the document's; its
alternatives are or-ed, the schemes of one alternative are and-ed, and ``{}`` lets anybody in. Every
scheme that can be enforced is a bearer token, so an alternative comes down to a set of scopes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from data_resource_api.compiler.faults import Faults, join, json_name, nearest, quote

#: Alternatives, each the scopes that a token must have; none at all is public.
Security = tuple[frozenset[str], ...]

#: Where the document says nothing: a valid token, whatever its scopes.
ANY_TOKEN: Final[Security] = (frozenset(),)
PUBLIC: Final[Security] = ()

#: RFC 6749, section 3.3: ``scope-token``. What is no such thing, no token can have.
SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")

#: The longest chain of references that is followed; a longer one is taken for a circle.
_MOST_REFERENCES: Final = 16
#: How the service itself names and declares the scheme of a bearer token without scopes.
BEARER: Final = "bearerAuth"

_ENFORCED: Final = "a bearer token: type oauth2, openIdConnect, or http with scheme bearer"


def read_security(
    api: Mapping[str, Any], operation: object, place: str, faults: Faults
) -> Security:
    """What an operation asks of its caller, noting every scheme that cannot be enforced.

    :param place: where the operation stands in the Data Resource Schema.
    """
    if isinstance(operation, Mapping) and "security" in operation:
        stated, place = operation["security"], f"{place}.security"
    elif "security" in api:
        stated, place = api["security"], "api.apiSpec.security"
    else:
        return ANY_TOKEN
    if not isinstance(stated, list):
        faults.add(place, f"must be a list, not {json_name(stated)}.")
        return ANY_TOKEN
    alternatives = [
        _scopes(item, api, join(place, index), faults) for index, item in enumerate(stated)
    ]
    if not all(isinstance(item, Mapping) and item for item in stated):
        return PUBLIC
    return tuple(dict.fromkeys(alternatives))


def token_requirement(api: Mapping[str, Any]) -> dict[str, Any]:
    """``components`` and a root ``security`` that ask for any bearer token, beside what ``api`` has.

    Nothing of the document's own is changed: a name that means another scheme already is not used.
    """
    components = api.get("components", {})
    schemes = components.get("securitySchemes", {}) if isinstance(components, Mapping) else None
    if not isinstance(schemes, Mapping):
        return {}  # a document that nobody has validated: there is no room for a scheme
    name = next((name for name, scheme in schemes.items() if _is_http_bearer(scheme)), None)
    if name is not None:
        return {"security": [{name: []}]}
    names = itertools.chain([BEARER], (f"{BEARER}{number}" for number in itertools.count(2)))
    name = next(name for name in names if name not in schemes)
    scheme = {"type": "http", "scheme": "bearer"}
    return {
        "components": {**components, "securitySchemes": {**schemes, name: scheme}},
        "security": [{name: []}],
    }


def _schemes(api: Mapping[str, Any]) -> Mapping[str, Any]:
    components = api.get("components")
    schemes = components.get("securitySchemes") if isinstance(components, Mapping) else None
    return schemes if isinstance(schemes, Mapping) else {}


def _scopes(stated: object, api: Mapping[str, Any], place: str, faults: Faults) -> frozenset[str]:
    if not isinstance(stated, Mapping):
        faults.add(place, f"must be an object, not {json_name(stated)}.")
        return frozenset()
    schemes = _schemes(api)
    scopes: set[str] = set()
    for name, wanted in stated.items():
        inside = join(place, name)
        if name not in schemes:
            faults.add(
                inside,
                f"no security scheme of api.apiSpec.components.securitySchemes is called "
                f"{quote(name)}{nearest(name, schemes) or '.'}",
            )
        elif not _is_bearer(_resolve(api, schemes[name])):
            faults.add(inside, f"{quote(name)} cannot be enforced; what can is {_ENFORCED}.")
        if isinstance(wanted, list) and all(isinstance(scope, str) for scope in wanted):
            scopes.update(wanted)
            for scope in wanted:
                if not SCOPE.fullmatch(scope):
                    faults.add(inside, f"{quote(scope)} is not a scope that a token can have.")
        else:
            faults.add(inside, "must be a list of scopes.")
    return frozenset(scopes)


def _resolve(api: Mapping[str, Any], scheme: object) -> object:
    """A scheme that is written as a reference within the document (RFC 6901), or nothing."""
    for _ in range(_MOST_REFERENCES):
        reference = scheme.get("$ref") if isinstance(scheme, Mapping) else None
        if reference is None:
            return scheme
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return None
        scheme = api
        for step in unquote(reference).split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            scheme = scheme.get(name) if isinstance(scheme, Mapping) else None
    return None


def _is_bearer(scheme: object) -> bool:
    if not isinstance(scheme, Mapping):
        return False
    return _is_http_bearer(scheme) or scheme.get("type") in ("oauth2", "openIdConnect")


def _is_http_bearer(scheme: object) -> bool:
    return (
        isinstance(scheme, Mapping)
        and scheme.get("type") == "http"
        and str(scheme.get("scheme")).lower() == "bearer"
    )

"""``api.methods`` of a draft: which verbs it enables, and what they ask of their callers.

The original's form is ``[{"get": {"enabled": true, "secured": true, "grants": ["get:users"]}, …}]``. In an
OpenAPI document an enabled verb is a path item's verb, and the rest is its ``security``:

- ``secured: false`` is ``[]``, public;
- ``grants`` are scopes, all of which a token must have, of an ``oauth2`` scheme: OpenAPI 3.0 has no
  scopes for ``http`` schemes;
- otherwise the document's own ``security`` holds, which is any valid token.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from data_resource_api.compiler.faults import Faults, join, json_name, quote
from data_resource_api.compiler.openapi import VERBS
from data_resource_api.compiler.security import BEARER

#: The scheme of operations that need scopes.
OAUTH2: Final = "oauth2"

#: Where tokens are issued, as long as nobody has told: RFC 2606 keeps the name from ever existing.
UNKNOWN_TOKEN_URL: Final = "https://provider.invalid/oauth/token"

#: A scope (RFC 6749, section 3.3); ``scope`` of a token is a list of them, separated by spaces.
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


@dataclass(frozen=True, slots=True)
class Access:
    """What one verb asks of its callers.

    :ivar secured: whether a token is needed at all.
    :ivar grants: the scopes that the token must have; none where ``secured`` is false.
    """

    secured: bool = True
    grants: tuple[str, ...] = ()

    def __and__(self, other: Access) -> Access:
        """What an operation asks that is two things at once: everything that either asks."""
        return Access(
            self.secured or other.secured, tuple(dict.fromkeys(self.grants + other.grants))
        )

    def requirement(self) -> dict[str, Any]:
        """As a part of an Operation Object: its ``security``, where the document's does not hold."""
        if not self.secured:
            return {"security": []}
        return {"security": [{OAUTH2: list(self.grants)}]} if self.grants else {}


def read_methods(methods: object, faults: Faults, place: str) -> dict[str, Access]:
    """The verbs that ``api.methods`` enables; all of them where it has none.

    What is enabled is secured unless it says otherwise.

    :param place: where ``api.methods`` stands in the draft.
    """
    if methods is None or methods == []:
        return dict.fromkeys(VERBS, Access())
    if not isinstance(methods, list):
        faults.add(place, f"must be a list, not {json_name(methods)}.")
        return {}
    found: dict[str, Access | None] = {}
    for index, method in enumerate(methods):
        inside = join(place, index)
        if not isinstance(method, Mapping):
            faults.add(inside, f"must be an object, not {json_name(method)}.")
            continue
        for name, stated in method.items():
            verb = name.lower()
            if verb not in VERBS:
                continue
            if verb in found:
                faults.add(join(inside, name), "is stated twice.")
            found[verb] = _access(stated, faults, join(inside, name))
    return {verb: access for verb, access in found.items() if access is not None}


def _access(stated: object, faults: Faults, place: str) -> Access | None:
    """What a method asks, ``None`` for one that is not enabled."""
    if not isinstance(stated, Mapping):
        faults.add(place, f'must be an object like {{"enabled": true}}, not {json_name(stated)}.')
        return None
    for name in ("enabled", "secured"):
        if not isinstance(stated.get(name, True), bool):
            faults.add(join(place, name), f"must be true or false, not {json_name(stated[name])}.")
    grants = stated.get("grants") or []
    if not isinstance(grants, list):
        faults.add(join(place, "grants"), f"must be a list of scopes, not {json_name(grants)}.")
        grants = []
    for index, grant in enumerate(grants):
        if not isinstance(grant, str):
            faults.add(
                f"{place}.grants[{index}]", f"must be a scope, a string, not {json_name(grant)}."
            )
        elif not _SCOPE.fullmatch(grant):
            faults.add(
                f"{place}.grants[{index}]",
                f"{quote(grant)} cannot be a scope: it is printable ASCII without spaces, "
                "quotation marks and backslashes.",
            )
    if stated.get("enabled", True) is not True:
        return None
    if stated.get("secured", True) is False:
        return Access(secured=False)
    return Access(grants=tuple(dict.fromkeys(grant for grant in grants if isinstance(grant, str))))


def security_schemes(asked: Iterable[tuple[str, Access]], token_url: str | None) -> dict[str, Any]:
    """``components.securitySchemes`` for everything that operations ask.

    :param asked: each with the operation's verb and path.
    :param token_url: where tokens are issued, or ``None`` where that is not known.
    """
    scopes: dict[str, list[str]] = {}
    for place, access in asked:
        for grant in access.grants:
            scopes.setdefault(grant, []).append(place)
    schemes: dict[str, Any] = {
        BEARER: {"type": "http", "scheme": "bearer", "description": "Any valid access token."}
    }
    if scopes:
        schemes[OAUTH2] = {
            "type": "oauth2",
            "description": "An access token with the scopes of the operation.",
            "flows": {
                "clientCredentials": {
                    "tokenUrl": token_url or UNKNOWN_TOKEN_URL,
                    "scopes": {grant: ", ".join(scopes[grant]) for grant in sorted(scopes)},
                }
            },
        }
    return schemes

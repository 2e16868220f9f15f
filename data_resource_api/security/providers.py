"""The table of providers: who issues tokens, what their settings need, how their tokens are checked.

To add one, add a row; a deployment does so in its own ``wsgi.py``, before it calls ``create_app``::

    security.PROVIDERS["MINE"] = Provider("Our own.", make_verifier)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from data_resource_api.compiler.security import ANY_TOKEN, SCOPE, Security
from data_resource_api.security.grants import TokenVerifier
from data_resource_api.security.loopback import is_loopback_host
from data_resource_api.settings import Settings

#: The administration scope where ``OAUTH2_ADMIN_SCOPE`` is not set.
ADMIN_SCOPE: Final = "drg:admin"

#: The algorithms whose verification needs a public key only. ``none`` and the shared secrets of ``HS…``
#: are not among them, whatever a token or a setting says.
PUBLIC_KEY_ALGORITHMS: Final = frozenset(
    {f"{family}{size}" for family in ("RS", "PS", "ES") for size in (256, 384, 512)}
    | {"EdDSA", "Ed25519"}
)

#: The settings that hold addresses, by their field.
_ADDRESSES: Final = {
    "oauth2_url": "OAUTH2_URL",
    "oauth2_jwks_url": "OAUTH2_JWKS_URL",
    "oauth2_introspection_url": "OAUTH2_INTROSPECTION_URL",
}


@dataclass(frozen=True, slots=True)
class Provider:
    """One row: somebody who issues tokens.

    :ivar about: how its tokens are checked, in a sentence.
    :ivar verifier: makes what checks them.
    :ivar needs: the variables that must be set.
    :ivar tells_scopes: whether a token's scopes are known; where they are not, ``OAUTH2_ADMIN_SCOPE``
        must be set by hand.
    """

    about: str
    verifier: Callable[[Settings], TokenVerifier]
    needs: tuple[str, ...] = ()
    tells_scopes: bool = True


def _jwt(settings: Settings) -> TokenVerifier:
    from data_resource_api.security.jwt_tokens import jwt_verifier

    return jwt_verifier(settings)


def _introspection(settings: Settings) -> TokenVerifier:
    from data_resource_api.security.introspection import introspection_verifier

    return introspection_verifier(settings)


def _brighthive(settings: Settings) -> TokenVerifier:
    from data_resource_api.security.introspection import brighthive_verifier

    return brighthive_verifier(settings)


_OF_KEYS: Final = "A JWT, checked here by the provider's published keys."

PROVIDERS: Final[dict[str, Provider]] = {
    "AUTH0": Provider(_OF_KEYS, _jwt, ("OAUTH2_URL", "OAUTH2_AUDIENCE")),
    "OIDC": Provider(_OF_KEYS, _jwt, ("OAUTH2_URL", "OAUTH2_AUDIENCE")),
    "BRIGHTHIVE": Provider(
        "Any token; BrightHive is asked whether it is valid.",
        _brighthive,
        ("OAUTH2_URL",),
        tells_scopes=False,
    ),
    "INTROSPECTION": Provider(
        "Any token; the provider is asked about it (RFC 7662).",
        _introspection,
        ("OAUTH2_URL", "OAUTH2_CLIENT_ID", "OAUTH2_CLIENT_SECRET"),
    ),
}


def admin_security(settings: Settings) -> Security:
    """What the administration routes ask for.

    An empty ``OAUTH2_ADMIN_SCOPE`` means any token where tokens have no scopes, and the default elsewhere:
    a variable that somebody left empty opens nothing.
    """
    scope = settings.oauth2_admin_scope
    provider = PROVIDERS.get(settings.oauth2_provider or "")
    if scope == "" and provider is not None and not provider.tells_scopes:
        return ANY_TOKEN
    return (frozenset((scope or ADMIN_SCOPE).split()),)


def provider_faults(settings: Settings) -> list[str]:
    """What is wrong with the settings for the provider, one sentence per fault."""
    name = settings.oauth2_provider
    if name is None:
        return []
    if name not in PROVIDERS:
        return [f"OAUTH2_PROVIDER must be one of {', '.join(PROVIDERS)}, not {name!r}."]
    if not settings.production:
        return []
    provider = PROVIDERS[name]
    faults = [
        f"OAUTH2_PROVIDER={name} needs {variable}."
        for variable in provider.needs
        if not getattr(settings, variable.lower())
    ]
    if not provider.tells_scopes and settings.oauth2_admin_scope is None:
        faults.append(
            f"OAUTH2_PROVIDER={name} needs OAUTH2_ADMIN_SCOPE: it tells no scopes. Set it to nothing where "
            "any valid token may administer."
        )
    faults += [
        f"OAUTH2_ADMIN_SCOPE: {scope!r} is not a scope that a token can have."
        for scope in (settings.oauth2_admin_scope or "").split()
        if not SCOPE.fullmatch(scope)
    ]
    for field, variable in _ADDRESSES.items():
        address = getattr(settings, field)
        if address and (fault := address_fault(address)):
            faults.append(f"{variable} {fault}")
    if not settings.oauth2_algorithms:
        faults.append("OAUTH2_ALGORITHMS names no algorithm.")
    faults += [
        f"OAUTH2_ALGORITHMS: {algorithm} is not one of {', '.join(sorted(PUBLIC_KEY_ALGORITHMS))}."
        for algorithm in settings.oauth2_algorithms
        if algorithm not in PUBLIC_KEY_ALGORITHMS
    ]
    return faults


def address_fault(address: str) -> str | None:
    """Why an address of a provider's is not one that may be called, or nothing.

    Keys and tokens travel there: https, or http within this machine.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "is not a URL."
    if parts.scheme not in ("http", "https") or not host or any(c.isspace() for c in address):
        return "must be a URL like https://id.example.org."
    if parts.username is not None or parts.password is not None:
        return "must not hold a user or a password."
    if parts.query or parts.fragment:
        return "must not have a query or a fragment."
    if parts.scheme == "http" and not is_loopback_host(f"[{host}]" if ":" in host else host):
        return "must be https; http is for a loopback address only."
    return None

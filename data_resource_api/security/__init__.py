"""Who may do what: a table of token providers, and the guard that the settings ask for.

``PROVIDERS`` is the table; a deployment adds a row of its own before it calls ``create_app``. What
checks tokens (authlib, joserfc, requests) is imported only where a provider is in use.
"""

from data_resource_api.security.grants import Grant, InvalidToken, TokenVerifier
from data_resource_api.security.guards import Guard, guard_for
from data_resource_api.security.loopback import Anyone, LoopbackOnly, is_loopback, is_loopback_host
from data_resource_api.security.providers import PROVIDERS, Provider
from data_resource_api.security.routes import OwnRoutes

__all__ = [
    "PROVIDERS",
    "Anyone",
    "Grant",
    "Guard",
    "InvalidToken",
    "LoopbackOnly",
    "OwnRoutes",
    "Provider",
    "TokenVerifier",
    "guard_for",
    "is_loopback",
    "is_loopback_host",
]

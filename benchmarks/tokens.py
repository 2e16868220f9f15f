"""What checking a bearer token costs: CPU time of the guard that stands before every request."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from data_resource_api.security.bearer import BearerGuard
from data_resource_api.security.grants import RememberingVerifier
from data_resource_api.security.jwt_tokens import (
    JwtVerifier,
    algorithm_registry,
    claims_registry,
)
from data_resource_api.security.key_set import ProviderKeys
from tests.provider import AUDIENCE, Provider

CHECKS = 5_000


@dataclass(frozen=True)
class Cost:
    """CPU time of one check, in microseconds, over several rounds."""

    name: str
    microseconds: tuple[float, ...]
    bound: float | None = None

    def row(self) -> str:
        """A row of the table."""
        middle = statistics.median(self.microseconds)
        low, high = min(self.microseconds), max(self.microseconds)
        bound = f"{self.bound:.0f} µs" if self.bound else ""
        return f"| {self.name} | {middle:.1f} µs | {low:.1f} – {high:.1f} µs | {bound} |"


def token_check(rounds: int) -> list[Cost]:
    """A token that is remembered, and one that is checked in full, RS256 with a key of 2,048 bits."""
    provider = Provider()
    try:
        document = {"keys": [key.as_dict(private=False) for key in provider.keys]}
        verifier = JwtVerifier(
            ProviderKeys(lambda: document),
            algorithm_registry(["RS256"]),
            claims_registry(provider.issuer, AUDIENCE),
        )
        headers = provider.bearer("read write")
    finally:
        provider.stop()
    environ: dict[str, Any] = {"HTTP_AUTHORIZATION": headers["Authorization"]}
    needed = (frozenset({"read"}),)

    def costs(name: str, guard: BearerGuard, bound: float | None = None) -> Cost:
        guard.authorize(environ, needed)
        check = guard.authorize
        return Cost(name, tuple(_cpu(lambda: check(environ, needed)) for _ in range(rounds)), bound)

    return [
        costs("a token that is remembered", BearerGuard(RememberingVerifier(verifier)), 60),
        costs("a token that is checked in full (RS256)", BearerGuard(verifier)),
    ]


def _cpu(check: Callable[[], None]) -> float:
    """Microseconds of CPU time for one check."""
    began = time.process_time()
    for _ in range(CHECKS):
        check()
    return (time.process_time() - began) / CHECKS * 1e6

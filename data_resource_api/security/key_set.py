"""The provider's published keys (RFC 7517), fetched when they are needed and no more often."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from data_resource_api.errors import ProviderUnavailable, Unavailable

logger = logging.getLogger("data_resource_api")

#: Seconds after which a key set is fetched again, so that a key withdrawn by the provider stops working.
MOST_SECONDS: Final = 300.0
#: Seconds between two fetches for the sake of key ids that are not known.
UNKNOWN_SECONDS: Final = 60.0
#: Seconds to wait after a fetch that failed.
FAILED_SECONDS: Final = 5.0
#: Seconds that a request waits for another one's fetch.
WAIT_SECONDS: Final = 4.0
#: The shortest RSA key, in bits (RFC 7518, section 3.3).
LEAST_BITS: Final = 2048
#: The most keys of a set that are looked at.
MOST_KEYS: Final = 100

PublicKey = RSAKey | ECKey | OKPKey

#: Which keys an algorithm takes, by the algorithm's beginning.
_KEY_TYPES: Final[Mapping[str, type[PublicKey]]] = {
    "RS": RSAKey,
    "PS": RSAKey,
    "ES": ECKey,
    "Ed": OKPKey,
}


#: Which keys are public ones, by their ``kty``. A shared secret (``oct``) is never taken.
_KINDS: Final[Mapping[str, type[PublicKey]]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


@dataclass(frozen=True, slots=True)
class KeySet:
    """Keys by their id, and those without one."""

    named: Mapping[str, PublicKey]
    unnamed: tuple[PublicKey, ...] = ()

    def candidates(self, kid: str | None, algorithm: str) -> list[PublicKey]:
        """The keys that may have signed a token with this ``kid`` and ``alg``.

        A key of another type, or that names another algorithm, never does: so nobody can have a public
        key taken for a shared secret.
        """
        if kid is None:
            keys = [*self.named.values(), *self.unnamed]
        else:
            keys = [self.named[kid]] if kid in self.named else list(self.unnamed)
        kind = _KEY_TYPES.get(algorithm[:2])
        return [
            key
            for key in keys
            if kind is not None and isinstance(key, kind) and key.get("alg") in (None, algorithm)
        ]


def read_key_set(document: object) -> KeySet:
    """Import a key set key by key: what cannot be used spoils only itself.

    :raises ValueError: it is not a key set.
    """
    stated = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(stated, list):
        raise ValueError("has no list of keys")  # noqa: TRY004 (a value of another's, not of ours)
    named: dict[str, PublicKey] = {}
    unnamed: list[PublicKey] = []
    for jwk in stated[:MOST_KEYS]:
        key = _public_key(jwk)
        if key is None:
            continue
        if isinstance(kid := jwk.get("kid"), str):
            named[kid] = key
        else:
            unnamed.append(key)
    return KeySet(named, tuple(unnamed))


def _public_key(jwk: object) -> PublicKey | None:
    """A key for signatures, or nothing."""
    if not isinstance(jwk, Mapping) or not isinstance(kty := jwk.get("kty"), str):
        return None
    operations = jwk.get("key_ops", ["verify"])
    signs = jwk.get("use", "sig") == "sig" and isinstance(operations, list)
    if kty not in _KINDS or not signs or "verify" not in operations:
        return None
    try:
        key = _KINDS[kty].import_key(dict(jwk))
        if isinstance(key, RSAKey) and key.raw_value.key_size < LEAST_BITS:
            raise ValueError("too short")
    except (JoseError, TypeError, ValueError, KeyError) as error:
        logger.warning("A key of the provider's cannot be used: %s.", error)
        return None
    return key


class ProviderKeys:
    """The key set of this worker.

    One thread fetches at a time. While the provider is away, the keys that are known stay good.

    :param fetch: gets the key set document; raises ``ProviderUnavailable``.
    """

    def __init__(
        self, fetch: Callable[[], object], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: KeySet | None = None
        self._fetched = 0.0
        self._failed: float | None = None
        self._for_unknown: float | None = None
        self._fetching = threading.Lock()

    def current(self) -> tuple[KeySet, float]:
        """The keys, and for how many seconds they may be believed.

        :raises Unavailable: there have never been any.
        """
        now = self._clock()
        if self._keys is None or now - self._fetched >= MOST_SECONDS:
            # Where there are keys, nobody waits for somebody else's fetch.
            with self._turn(0.0 if self._keys is not None else WAIT_SECONDS) as mine:
                if mine and (self._keys is None or now - self._fetched >= MOST_SECONDS):
                    self._try_fetch()
        if self._keys is None:
            raise ProviderUnavailable("Its keys have not been fetched yet.")
        left = self._fetched + MOST_SECONDS - self._clock()
        return self._keys, left if left > 0 else FAILED_SECONDS

    def after_unknown(self, seen: KeySet) -> tuple[KeySet, float]:
        """The keys, fetched again because of a key id that ``seen`` does not have, if it is time.

        :raises Unavailable: the provider cannot be asked, so whose key it is cannot be known.
        """
        with self._turn(WAIT_SECONDS) as mine:
            if mine and self._keys is seen and self._is_time_for_unknown() and self._try_fetch():
                self._for_unknown = self._clock()
            if not mine or self._failed is not None:
                raise ProviderUnavailable("Its keys cannot be fetched.")
        return self.current()

    @contextmanager
    def _turn(self, seconds: float) -> Iterator[bool]:
        """Whether this thread may fetch, after waiting so long for the one that does."""
        mine = self._fetching.acquire(timeout=seconds)
        try:
            yield mine
        finally:
            if mine:
                self._fetching.release()

    def _is_time_for_unknown(self) -> bool:
        last = self._for_unknown
        return last is None or self._clock() - last >= UNKNOWN_SECONDS

    def _try_fetch(self) -> bool:
        """Fetch, unless that has just failed; whether the keys are new."""
        now = self._clock()
        if self._failed is not None and now - self._failed < FAILED_SECONDS:
            return False
        try:
            keys = read_key_set(self._fetch())
        except ValueError as error:
            logger.warning("The provider's key set %s.", error)
            self._failed = self._clock()
            return False
        except Unavailable:
            self._failed = self._clock()
            return False
        self._keys, self._fetched, self._failed = keys, now, None
        return True

"""What a provider says of a token: a ``Grant``, or ``InvalidToken``; and a memory of both."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

#: The most tokens that a worker remembers, good ones and bad ones each.
MOST_REMEMBERED: Final = 4096


@dataclass(frozen=True, slots=True)
class Grant:
    """A valid token.

    :ivar subject: whom it stands for (``sub``, or the client where there is no subject); empty where
        the provider does not tell.
    :ivar client: which client it was issued to; empty where the provider does not tell.
    :ivar scopes: what it allows.
    :ivar seconds: how long this may be believed without looking again.
    """

    subject: str = ""
    client: str = ""
    scopes: frozenset[str] = field(default_factory=frozenset)
    seconds: float = 0.0


class InvalidToken(Exception):
    """The token cannot be used.

    :param reason: why, for the client: ASCII without quotes and backslashes (RFC 6750, section 3), and
        nothing of what the token says.
    :param seconds: how long this may be believed without looking again.
    """

    def __init__(self, reason: str, seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seconds = seconds


class TokenVerifier(Protocol):
    """How a provider's tokens are checked."""

    def verify(self, token: str) -> Grant:
        """What the token grants.

        :raises InvalidToken: nothing.
        :raises Unavailable: that cannot be known now.
        """


Decision = TypeVar("Decision", Grant, InvalidToken)


class _Memory(Generic[Decision]):
    """The newest decisions by the SHA-256 of their token, each until its time is over."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, tuple[float, Decision]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, digest: bytes, now: float) -> Decision | None:
        with self._lock:
            kept = self._kept.get(digest)
            if kept is None:
                return None
            until, decision = kept
            if now >= until:
                del self._kept[digest]
                return None
            self._kept.move_to_end(digest)
            return decision

    def keep(self, digest: bytes, decision: Decision, now: float) -> None:
        if decision.seconds <= 0:
            return
        with self._lock:
            self._kept[digest] = (now + decision.seconds, decision)
            self._kept.move_to_end(digest)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def __len__(self) -> int:
        return len(self._kept)


class RememberingVerifier:
    """A verifier that asks another one, and remembers what it said as long as that may be believed.

    Bad tokens have a memory of their own: whoever sends many does not drive the good ones out.
    A token itself is never kept.
    """

    def __init__(
        self,
        verifier: TokenVerifier,
        *,
        most: int = MOST_REMEMBERED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._verifier = verifier
        self._clock = clock
        self.granted: _Memory[Grant] = _Memory(most)
        self.refused: _Memory[InvalidToken] = _Memory(most)

    def verify(self, token: str) -> Grant:
        """What the token grants; see :class:`TokenVerifier`."""
        digest = hashlib.sha256(token.encode()).digest()
        now = self._clock()
        grant = self.granted.find(digest, now)
        if grant is not None:
            return grant
        known = self.refused.find(digest, now)
        if known is not None:
            raise InvalidToken(known.reason)
        try:
            grant = self._verifier.verify(token)
        except InvalidToken as refusal:
            self.refused.keep(digest, InvalidToken(refusal.reason, refusal.seconds), now)
            raise
        self.granted.keep(digest, grant, now)
        return grant

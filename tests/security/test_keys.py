"""The provider's keys: fetched when they are needed, no more often, and good while it is away."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import pytest

from data_resource_api.errors import ProviderUnavailable, Unavailable
from data_resource_api.security.grants import Grant, InvalidToken, RememberingVerifier
from data_resource_api.security.key_set import FAILED_SECONDS, ProviderKeys
from tests.provider import _new_key


class World:
    """A clock that is set by hand, and a provider that publishes what it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.up = True
        self.fetched = 0
        self.published = [_KEYS[0]]
        self.keys = ProviderKeys(self.fetch, clock=lambda: self.now)

    def fetch(self) -> Any:
        self.fetched += 1
        if not self.up:
            raise ProviderUnavailable("It is down.")
        return {"keys": [key.as_dict(private=False) for key in self.published]}

    def hold_fetches(self) -> tuple[threading.Event, threading.Event]:
        """Fetches wait from now on: one event says that one has begun, the other lets it go on."""
        begun, go_on = threading.Event(), threading.Event()

        def held() -> Any:
            begun.set()
            assert go_on.wait(30)
            return self.fetch()

        self.keys._fetch = held
        return begun, go_on

    def knows(self, number: int) -> bool:
        """Whether a token of this key is accepted, as the verifier finds out."""
        kid = str(_KEYS[number].kid)
        keys, _ = self.keys.current()
        if kid not in keys.named:
            keys, _ = self.keys.after_unknown(keys)
        return kid in keys.named


_KEYS = [_new_key() for _ in range(3)]


@pytest.fixture
def world() -> World:
    return World()


def test_nothing_is_fetched_before_it_is_needed(world: World) -> None:
    assert world.fetched == 0
    assert world.knows(0)
    assert world.knows(0)
    assert world.fetched == 1


def test_a_new_key_is_accepted_at_once(world: World) -> None:
    assert world.knows(0)
    world.published = [_KEYS[1]]
    assert world.knows(1)
    assert not world.knows(0)
    assert world.fetched == 2


def test_unknown_ids_cause_one_fetch_a_minute(world: World) -> None:
    assert world.knows(0)
    for _ in range(1000):
        assert not world.knows(2)
    assert world.fetched == 2
    world.now += 59
    assert not world.knows(2)
    assert world.fetched == 2
    world.now += 1
    world.published.append(_KEYS[2])
    assert world.knows(2)
    assert world.fetched == 3


def test_a_withdrawn_key_stops_within_five_minutes(world: World) -> None:
    assert world.knows(0)
    world.published = [_KEYS[1]]
    world.now += 299
    assert world.knows(0)
    assert world.keys.current()[1] == 1  # and no decision by it is kept for longer
    world.now += 1
    assert not world.knows(0)


def test_keys_that_are_known_stay_good_while_the_provider_is_down(world: World) -> None:
    assert world.knows(0)
    world.up = False
    for _ in range(100):
        world.now += 100
        assert world.knows(0)
    assert world.keys.current()[1] == FAILED_SECONDS
    world.published, world.up = [_KEYS[1]], True
    world.now += FAILED_SECONDS
    assert not world.knows(0)
    assert world.knows(1)


def test_a_provider_that_is_down_is_asked_again_soon_and_not_at_once(world: World) -> None:
    world.up = False
    for _ in range(100):
        with pytest.raises(Unavailable):
            world.knows(0)
    assert world.fetched == 1
    world.now += FAILED_SECONDS
    world.up = True
    assert world.knows(0)
    assert world.fetched == 2


def test_whose_an_unknown_key_is_cannot_be_known_while_the_provider_is_down(world: World) -> None:
    assert world.knows(0)
    world.up = False
    with pytest.raises(Unavailable):
        world.knows(1)
    with pytest.raises(Unavailable):
        world.knows(1)
    assert world.fetched == 2
    assert world.knows(0)
    world.published, world.up = [_KEYS[0], _KEYS[1]], True
    world.now += FAILED_SECONDS
    assert world.knows(1)


def test_what_is_no_key_set_is_a_fetch_that_failed(world: World) -> None:
    assert world.knows(0)
    world.fetch = lambda: {"error": "x"}  # type: ignore[method-assign]
    world.keys._fetch = world.fetch
    world.now += 300
    assert world.knows(0)


def test_many_threads_fetch_once(world: World) -> None:
    begun, go_on = world.hold_fetches()
    found: list[bool] = []
    threads = [
        threading.Thread(target=lambda: found.append(world.knows(0)), daemon=True)
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    assert begun.wait(30)
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert found == [True] * 20
    assert world.fetched == 1


def test_nobody_with_a_known_key_waits_for_a_fetch(world: World) -> None:
    assert world.knows(0)
    world.now += 300
    begun, go_on = world.hold_fetches()
    first = threading.Thread(target=world.keys.current, daemon=True)
    first.start()
    assert begun.wait(30)
    assert world.knows(0)  # this thread; the other one is still at it
    go_on.set()
    first.join(30)
    assert world.fetched == 2


# ── what is remembered ───────────────────────────────────────────────────────────────────────────


class Counting:
    """Says the same of every token, and counts how often it is asked."""

    def __init__(self, grant: Grant | InvalidToken) -> None:
        self.grant = grant
        self.asked = 0

    def verify(self, token: str) -> Grant:
        self.asked += 1
        if isinstance(self.grant, InvalidToken):
            raise self.grant
        return self.grant


def remembering(
    world: World, grant: Grant | InvalidToken, most: int = 4096
) -> tuple[RememberingVerifier, Counting]:
    counting = Counting(grant)
    return RememberingVerifier(counting, most=most, clock=lambda: world.now), counting


def test_a_decision_is_kept_for_its_time(world: World) -> None:
    verifier, counting = remembering(world, Grant("ada", seconds=60))
    for _ in range(3):
        assert verifier.verify("token").subject == "ada"
    assert counting.asked == 1
    world.now += 60
    verifier.verify("token")
    assert counting.asked == 2
    verifier.verify("another")
    assert counting.asked == 3


def test_a_refusal_is_kept_for_its_time(world: World) -> None:
    verifier, counting = remembering(world, InvalidToken("No.", 10))
    for _ in range(3):
        with pytest.raises(InvalidToken, match="No"):
            verifier.verify("token")
    assert counting.asked == 1
    world.now += 10
    with pytest.raises(InvalidToken):
        verifier.verify("token")
    assert counting.asked == 2


def test_what_has_no_time_is_not_kept(world: World) -> None:
    for decision in (Grant("ada", seconds=-5), InvalidToken("No.")):
        verifier, counting = remembering(world, decision)
        for _ in range(2):
            with contextlib.suppress(InvalidToken):
                verifier.verify("token")
        assert counting.asked == 2
        assert len(verifier.granted) == len(verifier.refused) == 0


def test_the_memory_is_bounded_and_forgets_what_was_not_used_for_longest(world: World) -> None:
    verifier, counting = remembering(world, Grant("ada", seconds=60), most=3)
    for token in ("a", "b", "c", "a", "d"):
        verifier.verify(token)
    assert len(verifier.granted) == 3
    asked = counting.asked
    verifier.verify("a")
    assert counting.asked == asked
    verifier.verify("b")
    assert counting.asked == asked + 1


def test_bad_tokens_do_not_drive_good_ones_out(world: World) -> None:
    verifier, counting = remembering(world, Grant("ada", seconds=60), most=3)
    verifier.verify("good")
    counting.grant = InvalidToken("No.", 10)
    for number in range(10):
        with pytest.raises(InvalidToken):
            verifier.verify(f"bad {number}")
    assert len(verifier.refused) == 3
    assert verifier.verify("good").subject == "ada"


def test_no_token_is_kept_in_memory(world: World) -> None:
    verifier, _ = remembering(world, Grant("ada", seconds=60))
    verifier.verify("canary-token")
    assert "canary-token" not in repr(vars(verifier.granted))

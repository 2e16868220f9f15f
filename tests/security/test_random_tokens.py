"""Random tokens, and good ones with a flaw: only ever 401."""

from __future__ import annotations

import random
import string
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from data_resource_api import create_app
from data_resource_api.settings import Settings
from tests.provider import Provider
from tests.security.tokens import BAD, part
from tests.service import Database

HEADERS = ["alg", "typ", "kid", "crit", "b64", "jku", "jwk", "x5c", "zip", "enc", "p2c"]
VALUES = ["RS256", "none", "HS256", "JWT", None, 1, -1, 1e308, True, [], {}, ["alg"], "", "\u0000"]


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.stop()


@pytest.fixture
def app(provider: Provider, database: Database, tmp_path: Path) -> Iterator[Flask]:
    """The service in this process."""
    variables = provider.settings(DATABASE_URL=database.url, DRG_STATIC_DIR=str(tmp_path))
    app = create_app(Settings.from_environment(variables))
    yield app
    app.extensions["data_resource_api"].engine.dispose()


def tokens(provider: Provider, count: int) -> Iterator[str]:
    """Noise, parts of JSON that nobody expects, and a good token with one character changed."""
    chance = random.Random(20261124)
    good = provider.token("drg:admin")
    bad = [make(provider, "drg:admin") or "" for make in BAD.values()]
    alphabet = string.ascii_letters + string.digits + "-_.~+/= ,\"'\\;:{}[]"
    for number in range(count):
        kind = number % 4
        if kind == 0:
            yield "".join(chance.choices(alphabet, k=chance.randrange(300)))
        elif kind == 1:
            names = chance.sample(HEADERS, chance.randrange(1, 5))
            header = {name: chance.choice(VALUES) for name in names}
            stated = chance.choice([header, list(header), header | {"alg": "RS256"}])
            body = chance.choice([provider.claims(), [], 1, None, {"exp": "x"}])
            yield f"{part(stated)}.{part(body)}.{part(chance.randbytes(256))}"
        elif kind == 2:
            # Not the last character: its lowest bits mean nothing.
            place = chance.randrange(len(good) - 1)
            other = chance.choice([c for c in alphabet if c != good[place]])
            yield good[:place] + other + good[place + 1 :]
        else:
            text = chance.choice(bad)
            yield text[: chance.randrange(len(text))] + chance.choice(("", ".", "..", "=", "é"))


def only_401(app: Flask, provider: Provider, count: int) -> None:
    client = app.test_client()
    began = time.monotonic()
    good = {"Authorization": f"Bearer {provider.token('drg:admin')}"}
    assert client.get("/tableschema", headers=good).status_code == 200
    for token in tokens(provider, count):
        stated = f"Bearer {token}".replace("\n", "")
        response = client.get("/tableschema", headers={"Authorization": stated})
        assert response.status_code == 401, token
    minutes = (time.monotonic() - began) // 60
    assert provider.counts["/.well-known/jwks.json"] <= 2 + 2 * minutes


def test_random_tokens_are_401(app: Flask, provider: Provider) -> None:
    only_401(app, provider, 2_000)


@pytest.mark.soak
def test_a_hundred_thousand_random_tokens_are_401(app: Flask, provider: Provider) -> None:
    only_401(app, provider, 100_000)

"""The keys that a provider publishes, good ones among bad ones."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc.jwk import RSAKey

from data_resource_api.security.key_set import read_key_set
from tests.provider import Provider
from tests.security.tokens import part


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_one_bad_key_does_not_spoil_the_set(provider: Provider) -> None:
    good = provider.keys[0].as_dict(private=False)
    bad: list[Any] = [
        None, 1, "x", [], {}, {"kty": "zzz"}, {"kty": "RSA"}, {"kty": ["RSA"]},
        {"kty": "RSA", "n": "x", "e": "AQAB"}, {"kty": "RSA", "n": 1, "e": 2},
        {"kty": "EC", "crv": "P-256", "x": "a", "y": "b"}, {"kty": "OKP", "crv": 1, "x": "a"},
        {"kty": "oct", "k": part(b"x" * 32), "kid": "shared"},
        good | {"kid": "encryption", "use": "enc"},
        good | {"kid": "wrap", "key_ops": ["wrapKey"]},
        good | {"kid": "ops", "key_ops": 1},
        RSAKey.import_key(SHORT).as_dict(private=False) | {"kid": "short"},
    ]  # fmt: skip
    keys = read_key_set({"keys": [*bad, good]})
    assert list(keys.named) == [good["kid"]]
    assert keys.unnamed == ()


#: 1024 bits.
SHORT = {
    "kty": "RSA",
    "e": "AQAB",
    "n": part(((1 << 1023) + 1155).to_bytes(128, "big")),
}


def test_a_key_is_for_its_own_algorithm_only(provider: Provider) -> None:
    (key,) = read_key_set(provider.published()).named.values()
    keys = read_key_set({"keys": [key.as_dict(private=False) | {"alg": "RS512"}]})
    assert keys.candidates(key.kid, "RS256") == []
    assert len(keys.candidates(key.kid, "RS512")) == 1
    assert keys.candidates(key.kid, "ES256") == []


@pytest.mark.parametrize("document", [None, [], {}, {"keys": None}, {"keys": {}}, "x"])
def test_what_is_no_key_set_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="no list of keys"):
        read_key_set(document)

"""``AES_256_GCM``: known answers, the original's ciphertexts, tampering, keys, blind indexes."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy_utils.types.encrypted.encrypted_type import (
    AesGcmEngine,
    EncryptionDecryptionBaseEngine,
)

from data_resource_api.encryption.aes_gcm import AesGcmColumnEngine
from data_resource_api.encryption.blind_index import BlindIndex
from data_resource_api.encryption.engines import Opened, Place, Undecryptable
from data_resource_api.encryption.keys import read_keys
from data_resource_api.errors import ConfigurationError

PLACE = Place("person", "ssn")
ENGINE = AesGcmColumnEngine(PLACE, ["a key", "an older key"])
NONCE = bytes(range(12))

#: SHA-256("a key"), nonce 00…0b, AAD "person\0ssn", plain text "123-45-6789".
KNOWN = "AAECAwQFBgcICQoLtYlODLM4+yEIPpSNnsVk8uZYGBkvnjmQo5F/"


def original(text: str, key: str) -> str:
    engine = AesGcmEngine()
    engine._update_key(key)
    sealed: str = engine.encrypt(text)
    return sealed


def test_the_engine_is_derived_from_sqlalchemy_utils_base_engine() -> None:
    assert isinstance(ENGINE, EncryptionDecryptionBaseEngine)


def test_a_known_value_has_a_known_ciphertext() -> None:
    assert ENGINE.seal("123-45-6789", NONCE) == KNOWN
    assert ENGINE.open(KNOWN) == Opened("123-45-6789", 0, bound=True)
    raw = base64.b64decode(KNOWN)
    cipher = AESGCM(hashlib.sha256(b"a key").digest())
    assert cipher.decrypt(raw[:12], raw[28:] + raw[12:28], b"person\0ssn") == b"123-45-6789"


def test_a_nonce_is_never_used_twice() -> None:
    nonces = {base64.b64decode(ENGINE.encrypt("same"))[:12] for _ in range(1_000)}
    assert len(nonces) == 1_000


#: Written by sqlalchemy-utils 0.43 with the key "a key": the text "from the original".
ORIGINAL = "lxYX7x6g17pxiC6pZjaSB0iuqGvr9wFIHB7qe4MUsxmDZxXbl5Tmhx1r5L/F"


def test_a_known_ciphertext_of_the_original_is_read() -> None:
    assert ENGINE.open(ORIGINAL) == Opened("from the original", 0, bound=False)


@pytest.mark.parametrize(("key", "index"), [("a key", 0), ("an older key", 1)])
@pytest.mark.parametrize("text", ["", "plain", "Decimal('1.10')", "ü" * 10_000])
def test_what_the_original_wrote_is_read(text: str, key: str, index: int) -> None:
    assert ENGINE.open(original(text, key)) == Opened(text, index, bound=False)


@pytest.mark.parametrize("stored", [KNOWN, ORIGINAL], ids=["bound", "original"])
def test_every_changed_byte_is_noticed(stored: str) -> None:
    """Nonce, tag and ciphertext; each byte, and each character of the base64 text."""
    raw = base64.b64decode(stored)
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        with pytest.raises(Undecryptable):
            ENGINE.open(base64.b64encode(changed).decode())
    for position, character in enumerate(stored):
        other = "A" if character != "A" else "B"
        with pytest.raises(Undecryptable):
            ENGINE.open(stored[:position] + other + stored[position + 1 :])
    for cut in range(len(stored)):
        with pytest.raises(Undecryptable):
            ENGINE.open(stored[:cut])
    for longer in (stored + "AAAA", stored + "\n", " " + stored):
        with pytest.raises(Undecryptable):
            ENGINE.open(longer)


@pytest.mark.parametrize(
    "place", [Place("person", "name"), Place("people", "ssn"), Place("perso", "nssn")]
)
def test_a_ciphertext_is_of_no_use_in_another_column(place: Place) -> None:
    with pytest.raises(Undecryptable) as raised:
        AesGcmColumnEngine(place, ENGINE.keys).open(KNOWN)
    assert str(place) in str(raised.value)


def test_a_wrong_key_is_told_without_key_or_value() -> None:
    with pytest.raises(Undecryptable) as raised:
        AesGcmColumnEngine(PLACE, ["wrong secret"]).open(KNOWN)
    said = f"{raised.value} {raised.value!r} {raised.value.__cause__!r}"
    assert "person.ssn" in said
    assert "wrong secret" not in said
    assert "123-45" not in said
    assert "123-45" not in repr(ENGINE.open(KNOWN))


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        "secret",
        "two words, and a comma",
        " spaces count ",
        "[not a list",
        "{}",
        "line\nline",
        "[1]",
    ],
)
def test_any_text_is_one_key_and_means_itself(text: str) -> None:
    assert read_keys({"KEY": text}, "KEY") == (text,)


def test_a_json_list_is_several_keys() -> None:
    assert read_keys({"KEY": '["new", "old", "new"]'}, "KEY") == ("new", "old")
    assert read_keys({"KEY": ' [ "[\\"x\\"]" ] '}, "KEY") == ('["x"]',)
    assert read_keys({"KEY": "  "}, "KEY") == ()
    assert read_keys({}, "KEY") == ()


@pytest.mark.parametrize("text", ['["new", "old"', '["new", ""]', '["new", 1]'])
def test_a_broken_list_of_keys_is_no_key(text: str) -> None:
    """A typing error must not become the key that everything is encrypted under from now on."""
    with pytest.raises(ConfigurationError) as raised:
        read_keys({"KEY": text}, "KEY")
    assert "new" not in str(raised.value).replace("new key", "")


def test_keys_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text('["new", "old"]\n')
    assert read_keys({"KEY_FILE": str(tmp_path / "key")}, "KEY") == ("new", "old")
    with pytest.raises(ConfigurationError, match="both set"):
        read_keys({"KEY_FILE": str(tmp_path / "key"), "KEY": "x"}, "KEY")


# ── blind indexes ────────────────────────────────────────────────────────────────────────────────


def test_a_blind_index_is_hmac_under_a_key_derived_for_the_column() -> None:
    """RFC 5869 by hand: extract with an empty salt, expand by one block."""
    extracted = hmac.digest(bytes(32), b"a key", "sha256")
    purpose = b"data-resource-generator blind index 1\0person\0ssn"
    derived = hmac.digest(extracted, purpose + b"\x01", "sha256")
    expected = hmac.digest(derived, b"123-45-6789", "sha256")[:16]
    index = BlindIndex(PLACE, ["a key", "an older key"])
    assert index.of("123-45-6789") == expected
    assert index.all("123-45-6789")[0] == expected
    assert len(set(index.all("123-45-6789"))) == 2


def test_indexes_of_two_columns_cannot_be_compared() -> None:
    places = [PLACE, Place("person", "name"), Place("people", "ssn")]
    assert len({BlindIndex(place, ["a key"]).of("x") for place in places}) == 3

"""``AES_256_GCM``: base64 text of a 12-byte nonce, a 16-byte tag and the ciphertext.

The key is the SHA-256 of the key's text, as sqlalchemy-utils derives it. Table and column are the
additional authenticated data. What the original wrote has none, and is found by a second try.
NIST SP 800-38D.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from data_resource_api.encryption.column_engine import ColumnEngine
from data_resource_api.encryption.engines import Opened, Place

NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16


class AesGcmColumnEngine(ColumnEngine):
    """AES-256 in Galois/Counter Mode."""

    def __init__(self, place: Place, keys: Sequence[str]) -> None:
        super().__init__(place, keys)
        self._ciphers: list[AESGCM] = []
        for key in keys:
            self._update_key(key)

    def _initialize_engine(self, parent_class_key: bytes) -> None:
        """Take the key that sqlalchemy-utils has derived from a text."""
        self._ciphers.append(AESGCM(parent_class_key))

    def encrypt(self, value: str) -> str:
        """See :meth:`ColumnEngine.encrypt`."""
        return self.seal(value, os.urandom(NONCE_BYTES))

    def seal(self, value: str, nonce: bytes) -> str:
        """As :meth:`encrypt`, with a nonce that must never be used again under the same key."""
        sealed = self._ciphers[0].encrypt(nonce, value.encode(), self.place.data)
        stored = nonce + sealed[-TAG_BYTES:] + sealed[:-TAG_BYTES]
        return base64.b64encode(stored).decode()

    def open(self, stored: str) -> Opened:
        """See :meth:`ColumnEngine.open`."""
        raw = self._decode(stored)
        nonce, tag = raw[:NONCE_BYTES], raw[NONCE_BYTES : NONCE_BYTES + TAG_BYTES]
        sealed = raw[NONCE_BYTES + TAG_BYTES :] + tag
        if len(tag) == TAG_BYTES:
            for data in (self.place.data, None):
                for index, cipher in enumerate(self._ciphers):
                    try:
                        text = cipher.decrypt(nonce, sealed, data).decode()
                    except (InvalidTag, UnicodeDecodeError):
                        continue
                    return Opened(text, index, bound=data is not None)
        raise self.undecryptable()

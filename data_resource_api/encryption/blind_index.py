"""A keyed blind index: equal values of a column have equal indexes; only the key makes them.

The index key of a column is derived from the key's text by HKDF-SHA256 (RFC 5869) with table and column, so
that indexes of two columns cannot be compared. The index is HMAC-SHA256 (RFC 2104) of the value's canonical
text, cut to 16 bytes.

Nothing is folded (case, Unicode forms): a search finds what a search in an unprotected column would
find, equal values, and PostgreSQL can count, order and page the matches without decrypting any.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from data_resource_api.encryption.engines import Place

INDEX_BYTES: Final = 16
_PURPOSE: Final = b"data-resource-generator blind index 1\0"


class BlindIndex:
    """Makes the indexes of one column, under the first key and under all of them."""

    def __init__(self, place: Place, keys: Sequence[str]) -> None:
        self._keys = [_derive(key, place) for key in keys]

    def of(self, text: str) -> bytes:
        """The index that is stored with a value."""
        return _index(self._keys[0], text)

    def all(self, text: str) -> list[bytes]:
        """The indexes that a value may be stored with: one for each key, the first key's first."""
        return [_index(key, text) for key in self._keys]


def _derive(key: str, place: Place) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, salt=None, info=_PURPOSE + place.data).derive(key.encode())


def _index(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), hashlib.sha256)[:INDEX_BYTES]

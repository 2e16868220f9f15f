"""The base of every engine: sqlalchemy-utils' own, for one column and all of its keys."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from sqlalchemy_utils.types.encrypted.encrypted_type import EncryptionDecryptionBaseEngine

from data_resource_api.encryption.engines import Opened, Place, Undecryptable


class ColumnEngine(EncryptionDecryptionBaseEngine):  # type: ignore[misc]
    """Encrypts and decrypts the values of one column.

    :param keys: the first encrypts, all decrypt.
    """

    def __init__(self, place: Place, keys: Sequence[str]) -> None:
        self.place = place
        self.keys = tuple(keys)

    def encrypt(self, value: str) -> str:
        """A plain text as base64 text, under the first key and bound to this column.

        :raises EncryptionFailure: the key cannot be used.
        :raises Unavailable: the service that holds the key cannot be reached.
        """
        raise NotImplementedError

    def open(self, stored: str) -> Opened:
        """What a stored base64 text holds.

        :raises Undecryptable: no key decrypts it as a value of this column.
        :raises Unavailable: the service that holds the key cannot be reached.
        """
        raise NotImplementedError

    def decrypt(self, value: str) -> str:
        """The plain text of a stored base64 text; see :meth:`open`."""
        return self.open(value).text

    def open_bytes(self, stored: Any) -> Opened:
        """As :meth:`open`, of what a BYTEA column holds (``bytes`` or a ``memoryview``)."""
        return self.open(bytes(stored).decode("ascii", "replace"))

    def undecryptable(self) -> Undecryptable:
        """The refusal of a stored value."""
        count = "its key does not" if len(self.keys) == 1 else "none of its keys does"
        return Undecryptable(self.place, f"a stored value cannot be decrypted: {count} fit")

    def _decode(self, stored: str) -> bytes:
        """The bytes that a base64 text stands for; only one text stands for them."""
        try:
            raw = base64.b64decode(stored, validate=True)
        except (binascii.Error, ValueError):
            raise self.undecryptable() from None
        if base64.b64encode(raw).decode() != stored:
            raise self.undecryptable()
        return raw

"""The table of encryption engines, and what every engine of a column does.

An engine is made for one column with all of its keys: the first encrypts, all decrypt. What it writes is
bound to the table and column. To add an engine, subclass
:class:`~data_resource_api.encryption.column_engine.ColumnEngine` and add a row to :data:`ENGINES`.

What an engine needs is imported when the first column is protected by it, not before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from data_resource_api.encryption.keys import kms_key_fault

if TYPE_CHECKING:
    from data_resource_api.encryption.column_engine import ColumnEngine


@dataclass(frozen=True, slots=True)
class Place:
    """The column that a ciphertext belongs to."""

    table: str
    column: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"

    @property
    def data(self) -> bytes:
        """The place as bytes that no other place has: neither name can hold U+0000."""
        return f"{self.table}\0{self.column}".encode()


@dataclass(frozen=True, slots=True)
class Opened:
    """What a ciphertext turned out to be.

    :ivar text: the plain text.
    :ivar key: which of the column's keys it is encrypted under, from 0 on.
    :ivar bound: it can be decrypted as a value of this column only.
    """

    text: str
    key: int
    bound: bool

    def __repr__(self) -> str:
        return f"Opened(key={self.key}, bound={self.bound})"  # the text is nobody's business


class EncryptionFailure(Exception):
    """A value cannot be encrypted or decrypted; that is never the client's fault, nor a wrong value.

    The message names table and column. It never holds the value or a key.

    :ivar place: the column.
    :ivar reason: what is wrong, as the end of a sentence.
    """

    def __init__(self, place: Place, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason

    def of_row(self, key: str) -> EncryptionFailure:
        """The same, of the row with this primary key."""
        return EncryptionFailure(self.place, f"{self.reason} (row {key})")


class Undecryptable(EncryptionFailure):
    """No key decrypts a stored value: the keys are not those it was written under, or it was changed."""


def _no_fault(_: str) -> None:
    return None


def _aes_gcm(place: Place, keys: Sequence[str]) -> ColumnEngine:
    from data_resource_api.encryption.aes_gcm import AesGcmColumnEngine

    return AesGcmColumnEngine(place, keys)


def _aws(place: Place, keys: Sequence[str]) -> ColumnEngine:
    from data_resource_api.encryption.aws import AwsColumnEngine

    return AwsColumnEngine(place, keys)


@dataclass(frozen=True, slots=True)
class EngineType:
    """One engine.

    :ivar make: the engine of a column with these keys.
    :ivar local_key: the key's text is a secret of this process, from which other keys can be derived.
    :ivar key_fault: says why a key cannot be one of this engine's, or ``None``.
    """

    make: Callable[[Place, Sequence[str]], ColumnEngine]
    local_key: bool
    key_fault: Callable[[str], str | None] = _no_fault


_AES: Final = EngineType(_aes_gcm, local_key=True)

#: The ``type`` of an encryption definition → the engine.
ENGINES: Final[Mapping[str, EngineType]] = {
    "AES_256_GCM": _AES,
    "AES_GCM_Engine": _AES,
    "AWS_AES_Engine": EngineType(_aws, local_key=False, key_fault=kms_key_fault),
}

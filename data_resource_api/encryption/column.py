"""The SQLAlchemy type of a protected column: plain values in Python, BYTEA of base64 text in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy_utils import StringEncryptedType

from data_resource_api.encryption.column_engine import ColumnEngine


class ProtectedType(StringEncryptedType):  # type: ignore[misc]
    """sqlalchemy-utils' encrypted type, for any type of value that can be written as text.

    :param engine: of the column.
    :param dump: value → plain text; :param load: plain text → value.
    """

    impl = sa.LargeBinary
    cache_ok = True

    def __init__(
        self, engine: ColumnEngine, dump: Callable[[Any], str], load: Callable[[str], Any]
    ) -> None:
        sa.types.TypeDecorator.__init__(self)
        self.engine = engine
        self.dump = dump
        self.load = load

    def process_bind_param(self, value: Any, dialect: object) -> bytes | None:
        """Encrypt a value on its way in; null stays null."""
        return None if value is None else self.engine.encrypt(self.dump(value)).encode()

    def process_result_value(self, value: Any, dialect: object) -> Any:
        """Decrypt a value on its way out."""
        return None if value is None else self.load(self.engine.open_bytes(value).text)

    def coerce_compared_value(self, op: object, value: object) -> Any:
        """What it is compared with is encrypted too; ciphertexts are never equal, see blind indexes."""
        return self

    def __repr__(self) -> str:
        return f"ProtectedType({self.engine.place})"

"""What a protected field does with its values: encrypt, show, index."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

from data_resource_api.compiler.plain_text import PLAIN_TEXTS, load, show
from data_resource_api.compiler.readers import Reader
from data_resource_api.encryption.blind_index import BlindIndex

if TYPE_CHECKING:
    import sqlalchemy as sa

    from data_resource_api.encryption.column_engine import ColumnEngine


@dataclass(frozen=True, slots=True, eq=False)
class Protection:
    """The encryption of one field.

    :ivar type_name: the field's Table Schema type.
    :ivar reader: JSON value → native value.
    :ivar index: makes the blind index, ``None`` where the field is not searchable.
    :ivar index_column: the column of the blind index, an empty string where there is none.
    """

    type_name: str
    reader: Reader
    engine: ColumnEngine
    index: BlindIndex | None
    index_column: str

    def seal(self, native: Any) -> bytes:
        """A native value as its BYTEA column holds it.

        :raises Unavailable: the service that holds the key cannot be reached.
        """
        return self.engine.encrypt(PLAIN_TEXTS[self.type_name].dump(native)).encode()

    def show(self, stored: Any) -> object:
        """What the column holds, as orjson writes it.

        :raises Undecryptable: no key fits.
        :raises Unavailable: the service that holds the key cannot be reached.
        """
        return show(self.type_name, self.engine.open_bytes(stored).text)

    def _equal_text(self, native: Any) -> str:
        return PLAIN_TEXTS[self.type_name].equal(native)

    def index_of(self, native: Any) -> bytes:
        """The blind index that is stored with a native value."""
        assert self.index is not None
        return self.index.of(self._equal_text(native))

    def indexes_of(self, native: Any) -> list[bytes]:
        """The blind indexes that a native value may be stored with, under each key."""
        assert self.index is not None
        return self.index.all(self._equal_text(native))

    def indexes_of_text(self, text: str) -> list[bytes | None]:
        """As :meth:`indexes_of`, of a decrypted text; ``[None]`` where the field has no index."""
        if self.index is None:
            return [None]
        row = PLAIN_TEXTS[self.type_name]
        try:
            equal = row.equal(row.load(text))
        except (ValueError, OverflowError):
            equal = text
        return [*self.index.all(equal)]

    # ── for SQLAlchemy ───────────────────────────────────────────────────────────────────────────

    def native(self, value: Any) -> Any:
        """A Python value, or its JSON or text form, as the native value.

        :raises FieldError: it is none of the field's type.
        """
        return value if isinstance(value, (date, time, datetime)) else self.reader(value)

    def column_type(self) -> sa.types.TypeEngine[Any]:
        """The SQLAlchemy type, which gives and takes plain values."""
        from data_resource_api.encryption.column import ProtectedType

        column_type: sa.types.TypeEngine[Any] = ProtectedType(
            self.engine,
            lambda value: PLAIN_TEXTS[self.type_name].dump(self.native(value)),
            lambda text: load(self.type_name, text),
        )
        return column_type

"""The copies of what is live: the payload in the storage, its OpenAPI document in ``DRG_STATIC_DIR``.

They are staged before the row is committed, put in place after it, and mended where that went wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from data_resource_api.checking import compiled
from data_resource_api.compiler.data_resource import DataResource
from data_resource_api.compiler.payload import payload_digest
from data_resource_api.database import admin_schema
from data_resource_api.errors import DrgError
from data_resource_api.json_text import pretty_json, read_json
from data_resource_api.storage.base import CopyChanged, Storage, StorageError
from data_resource_api.storage.local import stage_file

logger = logging.getLogger("data_resource_api")

OPENAPI_NAME: Final = "swagger.json"

#: How often a copy that others keep changing is written again, before it is left to them.
_MENDING_ATTEMPTS: Final = 5


class Copies:
    """Writes the copies, and tells which of them somebody has edited.

    :param storage: where the payload's copy is.
    :param static_dir: where the OpenAPI document's copy is.
    :param engine: the database whose row says what is live.
    """

    def __init__(self, storage: Storage, static_dir: Path, engine: sa.Engine) -> None:
        self._storage = storage
        self._static_dir = static_dir
        self._engine = engine

    @property
    def place(self) -> str:
        """Where the payload's copy is, for people."""
        return self._storage.place

    def read(self) -> bytes | None:
        """The payload's copy, or ``None`` when there is none.

        :raises StorageError: there may be one and it cannot be read.
        """
        return self._storage.read()

    def stage(self, payload: bytes, openapi: Mapping[str, object]) -> Callable[[], None]:
        """Write the copies beside their places, so that what can fail fails before the commit.

        :returns: what puts them in place; it never fails.
        :raises StorageError: they cannot be written; what was there is still there.
        """
        staged = [
            self._storage.stage(payload),
            stage_file(self._static_dir / OPENAPI_NAME, pretty_json(openapi)),
        ]

        def publish() -> None:
            for copy in staged:
                self._put_in_place(copy)

        return publish

    def edited(
        self, connection: sa.Connection, copy: bytes | None, live: admin_schema.Generation | None
    ) -> DataResource | None:
        """A payload's copy where it was never live, which makes it somebody's edit; else nothing.

        :raises StorageError: it cannot be read as a payload.
        :raises InvalidDocument: it is an edit, with faults.
        """
        if copy is None:
            return None
        try:
            document = read_json(copy)
            digest = payload_digest(document)
        except DrgError as error:
            raise StorageError(f"{self.place} is damaged. {error.detail}") from error
        if live is not None and admin_schema.was_live(connection, digest):
            return None
        with compiled(document) as (resource, require_valid):
            require_valid()
            return resource

    def _put_in_place(self, copy: Callable[[], None]) -> None:
        """Publish a copy. The row is committed and is the truth: a copy may wait to be mended."""
        try:
            copy()
        except CopyChanged as conflict:
            logger.warning("%s What is live is written again.", conflict)
            self._mend()
        except StorageError as error:
            _tell(error)
        except OSError:
            logger.exception("The copy in %s could not be replaced.", self.place)

    def _mend(self) -> None:
        """Write what is live to the storage once more, one host at a time.

        Two hosts that generate one after the other publish in any order, after their commits. The
        one that comes second finds the copy changed; what it writes here is what is live by then.
        """
        for _ in range(_MENDING_ATTEMPTS):
            try:
                with admin_schema.transaction(self._engine) as connection:
                    live = admin_schema.live(connection)
                    if live is not None:
                        self._storage.stage(live.payload)()
                return
            except CopyChanged as conflict:
                logger.warning("%s What is live is written again.", conflict)
            except (StorageError, sa.exc.SQLAlchemyError) as error:
                _tell(error)
                return


def _tell(error: Exception) -> None:
    logger.error("The copy could not be replaced. %s", error)

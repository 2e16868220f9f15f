"""Where the copy of the live payload is kept, by ``SCHEMA_STORAGE_TYPE``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from data_resource_api.settings import Settings
from data_resource_api.storage.base import Storage
from data_resource_api.storage.local import LocalStorage
from data_resource_api.storage.s3 import S3Storage

#: SCHEMA_STORAGE_TYPE → the storage. A new one is a file in this folder and a row here.
STORAGES: Final[Mapping[str, Callable[[Settings], Storage]]] = {
    "LOCAL": lambda settings: LocalStorage(settings.static_dir),
    "S3": S3Storage,
}


def storage_for(settings: Settings) -> Storage:
    """The storage that the settings ask for."""
    return STORAGES[settings.storage_type](settings)

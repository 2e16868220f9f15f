"""What every storage of the payload's copy must do, run on each of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_resource_api.settings import Settings
from data_resource_api.storage import STORAGES, storage_for
from data_resource_api.storage.base import Storage, StorageError


@pytest.fixture(params=sorted(STORAGES))
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return storage_for(Settings(storage_type=request.param, static_dir=tmp_path / "static"))


def test_there_is_nothing_at_first(storage: Storage) -> None:
    assert storage.read() is None


def test_what_is_published_is_read(storage: Storage) -> None:
    storage.stage(b'{"a": 1}')()
    assert storage.read() == b'{"a": 1}'
    storage.stage(b"")()
    assert storage.read() == b""


def test_what_is_staged_is_not_seen(storage: Storage) -> None:
    storage.stage(b"one")()
    publish = storage.stage(b"two")
    assert storage.read() == b"one"
    publish()
    assert storage.read() == b"two"


def test_the_last_one_published_stays(storage: Storage) -> None:
    for content in (b"one", b"two", b"three"):
        storage.stage(content)()
    assert storage.read() == b"three"


def test_it_says_where_the_copy_is(storage: Storage) -> None:
    assert "data_resource_generation_payload.json" in storage.place


def test_a_folder_that_is_a_file_is_told_before_anything_is_lost(tmp_path: Path) -> None:
    (tmp_path / "static").write_text("in the way")
    storage = storage_for(Settings(static_dir=tmp_path / "static"))
    with pytest.raises(StorageError, match="static"):
        storage.stage(b"x")
    with pytest.raises(StorageError, match="static"):
        storage.read()


def test_what_a_killed_process_left_is_cleaned_up(tmp_path: Path) -> None:
    storage = storage_for(Settings(static_dir=tmp_path))
    storage.stage(b"never published")
    storage.stage(b"published")()
    assert [file.name for file in tmp_path.iterdir()] == ["data_resource_generation_payload.json"]

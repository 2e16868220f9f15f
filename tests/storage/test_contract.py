"""What every storage of the payload's copy must do, run on each of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from data_resource_api.settings import Settings
from data_resource_api.storage import STORAGES, storage_for
from data_resource_api.storage.base import Storage, StorageError
from tests.cloud import Cloud

#: Where each SCHEMA_STORAGE_TYPE is tested: the fixture that answers, ``None`` for the disk.
PLACES: dict[str, tuple[str, str | None]] = {
    "LOCAL": ("LOCAL", None),
    "S3 on moto": ("S3", "cloud"),
    "S3 on seaweedfs": ("S3", "seaweed"),
}
NAME = "data_resource_generation_payload.json"


@pytest.fixture(params=PLACES)
def instances(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Storage]:
    """Makes storages of one copy, as several instances have them."""
    kind, fixture = PLACES[request.param]
    if fixture is None:
        return lambda: storage_for(Settings(storage_type=kind, static_dir=tmp_path / "static"))
    cloud: Cloud = request.getfixturevalue(fixture)
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
    settings = Settings.from_environment(cloud.s3_settings(cloud.bucket(), NAME))
    return lambda: storage_for(settings)


@pytest.fixture
def storage(instances: Callable[[], Storage]) -> Storage:
    return instances()


def test_every_storage_is_held_to_the_contract() -> None:
    assert {kind for kind, _ in PLACES.values()} == set(STORAGES)


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


def test_content_of_any_size_and_bytes_comes_back(storage: Storage) -> None:
    content = bytes(range(256)) * 8_000
    storage.stage(content)()
    assert storage.read() == content


def test_another_instance_reads_what_one_has_published(instances: Callable[[], Storage]) -> None:
    instances().stage(b"shared")()
    assert instances().read() == b"shared"


def test_a_damaged_copy_can_be_replaced(instances: Callable[[], Storage]) -> None:
    instances().stage(b"\x00 no JSON")()
    instances().stage(b'{"a": 1}')()
    assert instances().read() == b'{"a": 1}'


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

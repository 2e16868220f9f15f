"""S3: two instances cannot overwrite each other unseen, and what is wrong is told before a commit."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from data_resource_api.settings import Settings
from data_resource_api.storage.base import CopyChanged, StorageError
from data_resource_api.storage.s3 import S3Storage
from tests.cloud import EVERYTHING, Cloud, Moto, unique
from tests.service import free_port

READ_ONLY = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}


@pytest.fixture(params=["cloud", "seaweed"])
def s3(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """Each S3 in turn, and boto3 told where it is."""
    cloud: Cloud = request.getfixturevalue(request.param)
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
    return cloud


def storage(s3: Cloud, bucket: str, **changes: str) -> S3Storage:
    return S3Storage(Settings.from_environment(s3.s3_settings(bucket, **changes)))


# ── two instances ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("before", [None, b"zero"], ids=["no object", "an object"])
def test_of_two_instances_that_write_at_once_one_is_told(s3: Cloud, before: bytes | None) -> None:
    bucket = s3.bucket()
    if before is not None:
        storage(s3, bucket).stage(before)()
    first, second = storage(s3, bucket).stage(b"first"), storage(s3, bucket).stage(b"second")
    first()
    with pytest.raises(CopyChanged, match=f"s3://{bucket}/schema.json was changed"):
        second()
    assert storage(s3, bucket).read() == b"first"


def test_an_object_deleted_meanwhile_is_a_change_too(s3: Cloud) -> None:
    bucket = s3.bucket()
    storage(s3, bucket).stage(b"zero")()
    publish = storage(s3, bucket).stage(b"one")
    s3.client("s3").delete_object(Bucket=bucket, Key="schema.json")
    with pytest.raises(CopyChanged):
        publish()
    assert storage(s3, bucket).read() is None


def test_of_many_that_race_exactly_one_wins(s3: Cloud) -> None:
    bucket = s3.bucket()
    contents = [b"instance %d" % number for number in range(8)]
    publishers = [storage(s3, bucket).stage(content) for content in contents]
    start = threading.Barrier(len(publishers))
    won: list[bytes] = []
    refused: list[CopyChanged] = []

    def race(content: bytes, publish: Callable[[], None]) -> None:
        start.wait()
        try:
            publish()
        except CopyChanged as conflict:
            refused.append(conflict)
        else:
            won.append(content)

    threads = [
        threading.Thread(target=race, args=pair) for pair in zip(contents, publishers, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(refused)) == (1, 7)
    assert storage(s3, bucket).read() == won[0]


def test_what_is_there_already_can_be_published_by_both(s3: Cloud) -> None:
    """Two instances that mend one copy do not get in each other's way."""
    bucket = s3.bucket()
    storage(s3, bucket).stage(b"same")()
    first, second = (storage(s3, bucket).stage(b"same") for _ in range(2))
    first()
    second()
    assert storage(s3, bucket).read() == b"same"


@pytest.mark.parametrize("name", ["folder/my schema+ü&?.json", "a//b", "UPPER.json"])
def test_an_object_may_have_any_name(s3: Cloud, name: str) -> None:
    kept = storage(s3, s3.bucket(), AWS_S3_STORAGE_OBJECT_NAME=name)
    for content in (b"one", b"two"):
        kept.stage(content)()
        assert kept.read() == content


def test_the_key_of_a_roles_session_is_used_with_its_token(
    cloud: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
    kept = storage(cloud, cloud.bucket(), **cloud.role(*EVERYTHING))
    kept.stage(b"one")()
    assert kept.read() == b"one"


# ── what is wrong ────────────────────────────────────────────────────────────────────────────────


def reasons(storage: S3Storage) -> tuple[str, str]:
    """What reading and staging are refused with."""
    with pytest.raises(StorageError) as reading:
        storage.read()
    with pytest.raises(StorageError) as staging:
        storage.stage(b"content")
    return str(reading.value), str(staging.value)


def test_a_wrong_secret_is_refused_and_not_shown(s3: Cloud) -> None:
    for reason in reasons(storage(s3, s3.bucket(), AWS_SECRET_ACCESS_KEY="canary-of-a-secret")):
        assert "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in reason
        assert "canary" not in reason


def test_a_bucket_that_is_not_there_is_named(s3: Cloud) -> None:
    name = unique("nowhere")
    for reason in reasons(storage(s3, name)):
        assert f"s3://{name}/schema.json" in reason
        assert "AWS_S3_STORAGE_BUCKET_NAME" in reason


@pytest.mark.parametrize("before", [None, b"zero"], ids=["no object", "an object"])
def test_a_key_that_may_only_read_is_found_out_when_staging(
    cloud: Moto, monkeypatch: pytest.MonkeyPatch, before: bytes | None
) -> None:
    """Before the commit, that is; and what was there is still there."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
    bucket = cloud.bucket()
    if before is not None:
        storage(cloud, bucket).stage(before)()
    reader = storage(cloud, bucket, **cloud.user(READ_ONLY))
    assert reader.read() == before
    with pytest.raises(StorageError, match=r"cannot be written: access is denied.*s3:PutObject"):
        reader.stage(b"one")
    assert reader.read() == before


def test_a_key_that_may_nothing_is_told_what_it_needs(
    cloud: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
    for reason in reasons(storage(cloud, cloud.bucket(), **cloud.user())):
        assert "access is denied" in reason
        assert "s3:ListBucket on the bucket" in reason


def test_an_endpoint_that_nobody_answers_is_told(
    cloud: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{free_port()}")
    unused = cloud.user()  # a client of its own: boto3's are kept
    for reason in reasons(storage(cloud, "bucket", **unused)):
        assert "cannot be reached; check the region, the network and AWS_ENDPOINT_URL" in reason

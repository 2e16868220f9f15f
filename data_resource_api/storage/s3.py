"""The copy as an object in Amazon S3, or in anything that speaks its protocol.

Every write is conditional (``If-Match`` on the version that was read, ``If-None-Match: *`` where there
was none), so an instance never overwrites what another has written meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from data_resource_api import aws
from data_resource_api.settings import Settings
from data_resource_api.storage.base import CopyChanged, StorageError

#: The version of no object: an object's is a hash of its content.
_NO_VERSION: Final = f'"{"0" * 32}"'

#: What a conditional write is answered where the condition does not hold. For a missing object,
#: implementations differ: 404 or 412. 409: another write is under way.
_CONFLICTS: Final = (
    "PreconditionFailed",
    "NoSuchKey",
    "ConditionalRequestConflict",
    "404",
    "409",
    "412",
)


@dataclass(frozen=True, slots=True)
class _Version:
    """One version of the object."""

    content: bytes
    tag: str


class S3Storage:
    """Keeps the copy in a bucket."""

    def __init__(self, settings: Settings) -> None:
        assert settings.aws_s3_region is not None
        assert settings.aws_s3_bucket_name is not None
        assert settings.aws_s3_object_name is not None
        self._region = settings.aws_s3_region
        self._keys = None if settings.aws_s3_use_iam_role else settings.aws_keys
        self._object = {
            "Bucket": settings.aws_s3_bucket_name,
            "Key": settings.aws_s3_object_name,
        }

    @property
    def place(self) -> str:
        """The object, as ``s3://bucket/name``."""
        return f"s3://{self._object['Bucket']}/{self._object['Key']}"

    def read(self) -> bytes | None:
        """The object's content, or ``None`` when there is no object."""
        version = self._version()
        return version.content if version else None

    def stage(self, content: bytes) -> Callable[[], None]:
        """Find out whether the object can be written, by a write that must be refused.

        :returns: what writes it, and raises :class:`CopyChanged` where another write came between.
        """
        seen = self._version()
        if seen is not None and seen.content == content:
            return lambda: None
        # With a key that may not write this is denied, and with one that may the condition fails.
        # An implementation that ignores the condition would write what is there already.
        probe = seen.content if seen else content
        try:
            self._put(probe, IfMatch=_NO_VERSION)
        except CopyChanged:
            pass
        else:
            raise StorageError(
                f"{self.place} cannot be written safely: the endpoint ignores If-Match."
            )
        condition = {"IfMatch": seen.tag} if seen else {"IfNoneMatch": "*"}
        return lambda: self._put(content, **condition)

    def _client(self) -> Any:
        return aws.client("s3", self._region, self._keys)

    def _version(self) -> _Version | None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._client().get_object(**self._object)
            with answer["Body"] as body:
                return _Version(body.read(), answer["ETag"])
        except ClientError as error:
            if aws.code(error) == "NoSuchKey":
                return None
            raise self._refused("read", error) from None
        except (BotoCoreError, aws.AwsError) as error:
            raise self._refused("read", error) from None

    def _put(self, content: bytes, **condition: str) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client().put_object(
                **self._object, **condition, Body=content, ContentType="application/json"
            )
        except ClientError as error:
            if aws.code(error) in _CONFLICTS:
                raise CopyChanged(f"{self.place} was changed by somebody else meanwhile.") from None
            raise self._refused("written", error) from None
        except (BotoCoreError, aws.AwsError) as error:
            raise self._refused("written", error) from None

    def _refused(self, what: str, error: Exception) -> StorageError:
        reason = str(error) if isinstance(error, aws.AwsError) else aws.reason(error)
        return StorageError(
            f"{self.place} cannot be {what}: {reason}. Needed are s3:GetObject and s3:PutObject on "
            "the object, and s3:ListBucket on the bucket."
        )

"""``AWS_AES_Engine``: the AWS Encryption SDK's message, base64, under a data key of AWS KMS.

A data key is used for many values of a column, and kept in memory for :data:`MAX_AGE` seconds: a page of
rows written under one data key costs one call of KMS at most. Table and column are the encryption context,
which KMS logs and the SDK does not compare on decryption, so that is done here. Messages of the original
have no context. AWS Encryption SDK message format
<https://docs.aws.amazon.com/encryption-sdk/latest/developer-guide/message-format.html>.
"""

from __future__ import annotations

import base64
import functools
import logging
import os
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

import aws_encryption_sdk
from aws_encryption_sdk.exceptions import AWSEncryptionSDKClientError
from aws_encryption_sdk.identifiers import Algorithm, CommitmentPolicy
from aws_encryption_sdk.key_providers.kms import KMSMasterKey, KMSMasterKeyConfig
from botocore.exceptions import BotoCoreError
from cryptography.exceptions import InvalidTag

from data_resource_api import aws
from data_resource_api.encryption.column_engine import ColumnEngine
from data_resource_api.encryption.engines import EncryptionFailure, Opened, Place
from data_resource_api.errors import Unavailable

#: Seconds for which a data key may be used again, to encrypt and to decrypt.
MAX_AGE: Final = 600.0
#: Data keys kept for one column.
CACHED_KEYS: Final = 1_000
#: Values encrypted under one data key.
MAX_MESSAGES: Final = 2**20

_ALGORITHM: Final = Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY

#: What KMS answers when it cannot serve now, and may later.
_TRANSIENT: Final = frozenset(
    {
        "DependencyTimeoutException",
        "KMSInternalException",
        "KeyUnavailableException",
        "LimitExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailableException",
        "Throttling",
        "ThrottlingException",
    }
)

#: What the SDK raises for a message that is damaged or was not written for us.
_REFUSALS: Final = (
    AWSEncryptionSDKClientError,
    InvalidTag,
    AttributeError,
    KeyError,
    OverflowError,
    TypeError,
    ValueError,
    struct.error,
)


class AwsColumnEngine(ColumnEngine):
    """Envelope encryption with AWS KMS; the keys are ARNs of KMS keys."""

    def __init__(self, place: Place, keys: Sequence[str]) -> None:
        super().__init__(place, keys)
        _keep_quiet()
        self._context = {"table": place.table, "column": place.column}

    @functools.cached_property
    def _client(self) -> Any:
        return aws_encryption_sdk.EncryptionSDKClient(
            commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
        )

    @functools.cached_property
    def _managers(self) -> list[Any]:
        """A caching materials manager for each key."""
        cache = aws_encryption_sdk.LocalCryptoMaterialsCache(capacity=CACHED_KEYS)
        return [
            aws_encryption_sdk.CachingCryptoMaterialsManager(
                master_key_provider=_master_key(arn),
                cache=cache,
                max_age=MAX_AGE,
                max_messages_encrypted=MAX_MESSAGES,
            )
            for arn in self.keys
        ]

    def encrypt(self, value: str) -> str:
        """See :meth:`ColumnEngine.encrypt`."""
        try:
            message, _ = self._client.encrypt(
                source=value.encode(),
                materials_manager=self._managers[0],
                encryption_context=self._context,
                algorithm=_ALGORITHM,
            )
        except BotoCoreError as error:
            raise _away(error) from None
        except AWSEncryptionSDKClientError as error:
            reason = f"AWS KMS gives no data key under {self.keys[0]}: {_refusal(error)}"
            raise EncryptionFailure(self.place, reason) from None
        return base64.b64encode(message).decode()

    def open(self, stored: str) -> Opened:
        """See :meth:`ColumnEngine.open`."""
        message = self._decode(stored)
        for index, manager in enumerate(self._managers):
            try:
                plain, header = self._client.decrypt(source=message, materials_manager=manager)
                text = plain.decode()
            except BotoCoreError as error:
                raise _away(error) from None
            except _REFUSALS:
                continue
            context = {
                name: value
                for name, value in header.encryption_context.items()
                if not name.startswith("aws-crypto-")
            }
            if context in ({}, self._context):
                return Opened(text, index, bound=bool(context))
        raise self.undecryptable()


def _master_key(arn: str) -> KMSMasterKey:
    region = arn.split(":")[3]
    client = aws.client("kms", region, aws.stated_keys(os.environ))
    client.meta.events.register("after-call.kms", _refuse_transient, unique_id="drg-kms")
    return KMSMasterKey(config=KMSMasterKeyConfig(key_id=arn, client=client))


def _refuse_transient(http_response: Any, parsed: Mapping[str, Any], **_: object) -> None:
    """Tell a KMS that cannot answer from one that refuses: the SDK does not."""
    code = parsed.get("Error", {}).get("Code", "")
    if code in _TRANSIENT or http_response.status_code >= 500:
        raise Unavailable("The service that holds the encryption keys cannot answer now.")


def _away(error: BotoCoreError) -> Unavailable:
    logging.getLogger("data_resource_api").warning("AWS KMS: %s", type(error).__name__)
    return Unavailable("The service that holds the encryption keys cannot be reached.")


def _refusal(error: BaseException) -> str:
    """What KMS said, by its name only."""
    response = getattr(error.__cause__, "response", {})
    return str(response.get("Error", {}).get("Code", type(error).__name__))


def _keep_quiet() -> None:
    """Two libraries would log data keys (at DEBUG) and tracebacks of what is reported anyway."""
    sdk = logging.getLogger("aws_encryption_sdk")
    sdk.setLevel(logging.CRITICAL + 1)
    for name in ("botocore.parsers", "botocore.endpoint", "botocore.hooks", "botocore.auth"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.INFO))

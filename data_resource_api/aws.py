"""Amazon Web Services: the one place where boto3's clients are made, and its errors put in words.

boto3 is imported when the first client is made: a service that does not use AWS never imports it.
``AWS_ENDPOINT_URL`` and ``AWS_ENDPOINT_URL_<SERVICE>`` name other endpoints, as boto3 has it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from data_resource_api.variables import secret_text

#: Seconds to reach an endpoint, and seconds to wait for its answer.
CONNECT_TIMEOUT: Final = 2
READ_TIMEOUT: Final = 5
#: The first attempt included; botocore waits a little longer before each.
ATTEMPTS: Final = 3


class AwsError(Exception):
    """AWS does not do what was asked. The message says why, and the remedy; it holds no secret."""


@dataclass(frozen=True, slots=True)
class Keys:
    """An access key that was stated; without one boto3 looks in its files and for a role."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def stated_keys(environment: Mapping[str, str]) -> Keys | None:
    """The key in these variables, or in the files that they name; ``None`` for what boto3 finds.

    :raises ConfigurationError: a file cannot be read.
    """
    key_id = environment.get("AWS_ACCESS_KEY_ID", "").strip()
    secret = secret_text(environment, "AWS_SECRET_ACCESS_KEY")
    if not key_id or secret is None:
        return None
    return Keys(key_id, secret, secret_text(environment, "AWS_SESSION_TOKEN"))


def client(service: str, region: str, keys: Keys | None = None) -> Any:
    """A client of one service, with timeouts and bounded retries; one per process.

    :param service: boto3's name of it, such as ``s3``.
    :raises AwsError: what boto3 reads besides, its files or ``AWS_PROFILE``, cannot be used.
    """
    import botocore.exceptions

    try:
        return _client(os.getpid(), service, region, keys)
    except (botocore.exceptions.BotoCoreError, ValueError) as error:
        raise AwsError(reason(error)) from None


@lru_cache(maxsize=32)
def _client(_process: int, service: str, region: str, keys: Keys | None) -> Any:
    """A process does not use the sockets of the one that it was forked from, hence its number."""
    import boto3
    from botocore.config import Config

    session = boto3.session.Session(
        aws_access_key_id=keys.access_key_id if keys else None,
        aws_secret_access_key=keys.secret_access_key if keys else None,
        aws_session_token=keys.session_token if keys else None,
        region_name=region,
    )
    config = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        user_agent_appid="data-resource-generator",
    )
    return session.client(service, config=config)


#: AWS's code → what it means, and the remedy. Its own message is left out: it may quote the request.
_REMEDIES: Final[Mapping[str, str]] = {
    "ResourceNotFoundException": "there is no such secret; check its name and its region",
    **dict.fromkeys(
        ("AccessDeniedException", "AccessDenied", "UnauthorizedAccess"),
        "access is denied; allow it to this key or role",
    ),
    "403": "the key is not valid, or it may not do this; check AWS_ACCESS_KEY_ID, "
    "AWS_SECRET_ACCESS_KEY and what they allow",
    **dict.fromkeys(
        (
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "InvalidSignatureException",
            "AuthFailure",
        ),
        "the key is not valid; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    ),
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "RequestExpired"),
        "the key's session has expired; sign in again, or use a role",
    ),
    "NoSuchBucket": "there is no such bucket; create it, or check AWS_S3_STORAGE_BUCKET_NAME and "
    "AWS_S3_REGION",
    **dict.fromkeys(
        ("PermanentRedirect", "AuthorizationHeaderMalformed", "301"),
        "it is in another region; check AWS_S3_REGION",
    ),
    **dict.fromkeys(
        ("RequestTimeTooSkewed", "RequestInTheFuture"), "this machine's clock is wrong; set it"
    ),
}


def code(error: Exception) -> str:
    """AWS's code of an error that it answered; empty where it answered none."""
    response: Mapping[str, Any] = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def reason(error: Exception) -> str:
    """Why boto3 failed, and the remedy, without anything of the request or the answer in it."""
    from botocore import exceptions as failures

    known = code(error)
    if known:
        return f"{_REMEDIES.get(known, 'it was refused')} ({known})"
    match error:
        case failures.NoCredentialsError() | failures.PartialCredentialsError():
            return (
                "no key was found; give the machine or container a role, or set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY"
            )
        case failures.CredentialRetrievalError() | failures.MetadataRetrievalError():
            return "the role's key cannot be fetched; check the role of this machine or container"
        case failures.ConnectTimeoutError() | failures.ReadTimeoutError():
            return "it does not answer in time; check the region, the network and AWS_ENDPOINT_URL"
        case failures.HTTPClientError() | failures.EndpointConnectionError():
            return "it cannot be reached; check the region, the network and AWS_ENDPOINT_URL"
    return f"boto3 refuses what it is given ({type(error).__name__}); check the AWS_ variables"


# ── Secrets Manager ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class DatabaseSecret:
    """What a database's secret in Secrets Manager holds."""

    username: str
    password: str = field(repr=False)
    host: str
    port: int


def database_secret(name: str, region: str, keys: Keys | None) -> DatabaseSecret:
    """Fetch a database's secret: JSON with ``username``, ``password``, ``host`` and ``port``.

    :raises AwsError: it cannot be fetched, or is not such JSON.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    where = f"The secret {name} in AWS Secrets Manager, region {region},"
    try:
        answer = client("secretsmanager", region, keys).get_secret_value(SecretId=name)
    except (ClientError, BotoCoreError) as error:
        raise AwsError(f"{where} cannot be fetched: {reason(error)}.") from None
    except AwsError as error:
        raise AwsError(f"{where} cannot be fetched: {error}.") from None
    form = '{"username": …, "password": …, "host": …, "port": …}'
    try:
        document = json.loads(answer.get("SecretString", ""))
    except ValueError:
        raise AwsError(f"{where} is not JSON; it must be {form}.") from None
    fields = document if isinstance(document, dict) else {}
    missing = [
        key
        for key in ("username", "password", "host", "port")
        if not isinstance(fields.get(key), str | int) or not str(fields[key]).strip()
    ]
    if missing:
        raise AwsError(f"{where} has no {', no '.join(missing)}; it must be {form}.")
    port = str(fields["port"])
    if not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65536):
        raise AwsError(f"{where} has a port that is not a whole number from 1 to 65535.")
    return DatabaseSecret(
        str(fields["username"]), str(fields["password"]), str(fields["host"]), int(port)
    )


# ── RDS ──────────────────────────────────────────────────────────────────────────────────────────


def database_token(region: str, keys: Keys | None, *, host: str, port: int, user: str) -> str:
    """A password for RDS, signed here and now with the key or role; good for 15 minutes.

    :raises AwsError: there is no key to sign with.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        made = client("rds", region, keys).generate_db_auth_token(host, port, user)
    except (ClientError, BotoCoreError) as error:
        raise AwsError(f"No token for the database {host} can be made: {reason(error)}.") from None
    return str(made)

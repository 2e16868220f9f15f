"""What a new connection signs in with, where that may change while the service runs.

A password in the settings is a password for good. One in AWS Secrets Manager is rotated by somebody
else, and a token for RDS is good for 15 minutes. SQLAlchemy's ``do_connect`` event lets each new
connection of the pool be given what is right at that moment.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import Any, Final

import psycopg2
import sqlalchemy as sa

from data_resource_api import aws
from data_resource_api.database.engine import CONNECT_TIMEOUT
from data_resource_api.errors import ConfigurationError
from data_resource_api.settings import Settings
from data_resource_api.settings.database import server_url

logger = logging.getLogger("data_resource_api")

#: Seconds in which a worker asks Secrets Manager at most once whether the secret is another now.
REFETCH_SECONDS: Final = 5.0

#: libpq's names of encrypted connections, of which the weakest is the least that a token is sent over.
_ENCRYPTED: Final = ("require", "verify-ca", "verify-full")


def resolve(settings: Settings) -> Settings:
    """The settings with the database's address from AWS Secrets Manager, where it is kept there.

    :raises ConfigurationError: it cannot be fetched, or no token can be made.
    """
    try:
        if settings.aws_sm_enabled and settings.database_url is None:
            settings = replace(settings, database_url=_address(settings))
        if settings.aws_db_use_iam_role and settings.sqlalchemy_url is not None:
            _token(settings, _parameters(settings.sqlalchemy_url))
    except aws.AwsError as error:
        raise ConfigurationError(str(error)) from None
    return settings


def follow(engine: sa.Engine, settings: Settings) -> None:
    """Have each new connection of an engine sign in with what is right at that moment."""
    if settings.aws_db_use_iam_role:
        sa.event.listen(engine, "do_connect", _TokenSigner(settings))
    elif settings.aws_sm_enabled:
        sa.event.listen(engine, "do_connect", _SecretFollower(settings))


def _address(settings: Settings) -> str:
    assert settings.aws_sm_name is not None
    assert settings.aws_sm_region is not None
    secret = aws.database_secret(settings.aws_sm_name, settings.aws_sm_region, settings.aws_keys)
    assert settings.aws_sm_dbname is not None
    return server_url(
        secret.username, secret.password, secret.host, secret.port, settings.aws_sm_dbname
    )


def _parameters(url: str) -> dict[str, Any]:
    """The parts of a URL that say where and as whom, in libpq's words."""
    parts = sa.make_url(url)
    stated = {
        "host": parts.host or parts.query.get("host"),
        "port": parts.port or parts.query.get("port"),
        "user": parts.username,
        "password": parts.password,
    }
    return {name: value for name, value in stated.items() if value is not None}


def _token(settings: Settings, parameters: dict[str, Any]) -> str:
    assert settings.aws_db_region_iam_role is not None
    return aws.database_token(
        settings.aws_db_region_iam_role,
        settings.aws_keys,
        host=parameters["host"],
        port=int(parameters.get("port", 5432)),
        user=parameters["user"],
    )


class _TokenSigner:
    """Gives each connection a token of its own, and sends it over an encrypted connection only."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(
        self, dialect: sa.Dialect, record: object, arguments: Any, parameters: dict[str, Any]
    ) -> None:
        try:
            parameters["password"] = _token(self._settings, parameters)
        except aws.AwsError as error:
            # As any other reason why there is no connection: the client is told to come again.
            raise psycopg2.OperationalError(str(error)) from None
        if parameters.get("sslmode") not in _ENCRYPTED:
            parameters["sslmode"] = "require"


class _SecretFollower:
    """Connects as the secret says, and looks at it again when that fails.

    The server's refusal carries no SQLSTATE at this stage, and its words depend on its language: so
    whatever the reason is, the secret is asked whether it is another now. That also follows a host
    that was replaced.
    """

    def __init__(self, settings: Settings) -> None:
        assert settings.database_url is not None
        self._settings = settings
        self._url = settings.database_url
        self._asked = -REFETCH_SECONDS
        self._lock = threading.Lock()

    def __call__(
        self, dialect: sa.Dialect, record: object, arguments: Any, parameters: dict[str, Any]
    ) -> Any:
        tried = self._url
        try:
            return dialect.connect(*arguments, **parameters | _parameters(tried))
        except psycopg2.OperationalError:
            current = self._another_than(tried)
            if current is None:
                raise
        return dialect.connect(*arguments, **parameters | _parameters(current))

    def _another_than(self, tried: str) -> str | None:
        """The secret's address where it is not the one that was tried; ``None`` where it is.

        Who finds somebody else asking waits a moment only: AWS may be slow, or away.
        """
        if not self._lock.acquire(timeout=CONNECT_TIMEOUT):
            return None
        try:
            if self._url == tried and time.monotonic() - self._asked >= REFETCH_SECONDS:
                self._fetch()
            return None if self._url == tried else self._url
        finally:
            self._lock.release()

    def _fetch(self) -> None:
        try:
            self._url = _address(self._settings)
        except aws.AwsError as error:
            logger.warning("%s", error)
        finally:
            self._asked = time.monotonic()

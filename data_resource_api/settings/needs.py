"""What settings need of each other: combinations of right values that cannot be served."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

if TYPE_CHECKING:
    from data_resource_api.settings import Settings

_SECRETS_MANAGER: Final = ("aws_sm_name", "aws_sm_region", "aws_sm_dbname")
_S3: Final = ("aws_s3_region", "aws_s3_bucket_name", "aws_s3_object_name")


def unmet_needs(settings: Settings) -> Iterator[str]:
    """A sentence for each need that is not met, with the variables that would meet it."""
    yield from _of_production(settings)
    yield from _of_switches(settings)
    yield from _of_aws(settings)


def _of_production(settings: Settings) -> Iterator[str]:
    if not settings.production:
        return
    if settings.sqlalchemy_url is None and not settings.aws_sm_enabled:
        yield (
            f"APP_ENV={settings.app_env} needs DATABASE_URL, or POSTGRES_HOSTNAME and the rest, or "
            "AWS_SM_ENABLED=1."
        )
    if settings.oauth2_provider is None:
        yield (
            f"APP_ENV={settings.app_env} needs OAUTH2_PROVIDER: nobody reads, writes or generates "
            "anything there without a token."
        )
    if settings.allow_anonymous:
        yield f"DRG_ALLOW_ANONYMOUS is not for APP_ENV={settings.app_env}."


def _of_switches(settings: Settings) -> Iterator[str]:
    names = {field.name: field.metadata["name"] for field in dataclasses.fields(settings)}
    for switch, on, needed in (
        ("AWS_SM_ENABLED=1", settings.aws_sm_enabled, _SECRETS_MANAGER),
        ("AWS_DB_USE_IAM_ROLE=1", settings.aws_db_use_iam_role, ("aws_db_region_iam_role",)),
        ("SCHEMA_STORAGE_TYPE=S3", settings.storage_type == "S3", _S3),
        ("AWS_ACCESS_KEY_ID", settings.aws_access_key_id is not None, ("aws_secret_access_key",)),
        (
            "AWS_SECRET_ACCESS_KEY",
            settings.aws_secret_access_key is not None,
            ("aws_access_key_id",),
        ),
    ):
        for name in needed:
            if on and getattr(settings, name) is None:
                yield f"{switch} needs {names[name]}."


def _of_aws(settings: Settings) -> Iterator[str]:
    if settings.aws_sm_enabled and settings.database_url is not None:
        yield "AWS_SM_ENABLED=1 and DATABASE_URL both name a database; keep one of them."
    if (
        settings.storage_type == "S3"
        and not settings.aws_s3_use_iam_role
        and settings.aws_keys is None
    ):
        yield (
            "SCHEMA_STORAGE_TYPE=S3 needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "AWS_S3_USE_IAM_ROLE=1."
        )
    if settings.aws_db_use_iam_role and not settings.aws_sm_enabled:
        url = settings.sqlalchemy_url
        if url is None or not sa.make_url(url).host or not sa.make_url(url).username:
            yield (
                "AWS_DB_USE_IAM_ROLE=1 needs the database's host and user: DATABASE_URL, "
                "POSTGRES_HOSTNAME and POSTGRES_USER, or AWS_SM_ENABLED=1."
            )

"""What AWS is asked for: the database's secret, and tokens to sign in to it."""

from __future__ import annotations

from dataclasses import dataclass

from data_resource_api.aws import Keys
from data_resource_api.variables import flag, variable


@dataclass(frozen=True, kw_only=True)
class AwsSettings:
    """The key for AWS, Secrets Manager, and the sign-in to RDS."""

    aws_access_key_id: str | None = variable(
        "AWS_ACCESS_KEY_ID",
        "The key for everything in AWS. Without one, boto3 looks where it always does: its files, "
        "and the role of the container or machine.",
    )
    aws_secret_access_key: str | None = variable(
        "AWS_SECRET_ACCESS_KEY", "The key's secret.", secret=True
    )
    aws_session_token: str | None = variable(
        "AWS_SESSION_TOKEN", "The session of a key that is temporary.", secret=True
    )
    aws_sm_enabled: bool = variable(
        "AWS_SM_ENABLED",
        "1 takes the database's address, user and password from AWS Secrets Manager.",
        flag,
        False,
    )
    aws_sm_name: str | None = variable("AWS_SM_NAME", "The secret's name, or its ARN.")
    aws_sm_region: str | None = variable("AWS_SM_REGION", "The secret's region.")
    aws_sm_dbname: str | None = variable(
        "AWS_SM_DBNAME", "The name of the database on the server that the secret describes."
    )
    aws_db_use_iam_role: bool = variable(
        "AWS_DB_USE_IAM_ROLE",
        "1 signs in to the database (RDS) with a token of the role or key instead of a password: a "
        "fresh one for each new connection.",
        flag,
        False,
    )
    aws_db_region_iam_role: str | None = variable(
        "AWS_DB_REGION_IAM_ROLE", "The region of that database."
    )

    @property
    def aws_keys(self) -> Keys | None:
        """The stated AWS key, or ``None`` for what boto3 finds."""
        if self.aws_access_key_id is None or self.aws_secret_access_key is None:
            return None
        return Keys(self.aws_access_key_id, self.aws_secret_access_key, self.aws_session_token)

"""Where the copy of the payload is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from data_resource_api.variables import choice, flag, variable


@dataclass(frozen=True, kw_only=True)
class StorageSettings:
    """The storage of the payload's copy, on this machine or in S3."""

    storage_type: str = variable(
        "SCHEMA_STORAGE_TYPE",
        "Where the copy of the payload is kept: LOCAL, a file in DRG_STATIC_DIR; or S3, an object.",
        choice("LOCAL", "S3"),
        "LOCAL",
    )
    static_dir: Path = variable(
        "DRG_STATIC_DIR",
        "The folder of the stored payload and of swagger.json.",
        Path,
        Path("static"),
    )
    aws_s3_region: str | None = variable("AWS_S3_REGION", "The bucket's region.")
    aws_s3_bucket_name: str | None = variable("AWS_S3_STORAGE_BUCKET_NAME", "The bucket.")
    aws_s3_object_name: str | None = variable(
        "AWS_S3_STORAGE_OBJECT_NAME", "The name of the payload's copy in it."
    )
    aws_s3_use_iam_role: bool = variable(
        "AWS_S3_USE_IAM_ROLE",
        "1 reaches the bucket with the role of the container or machine; AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY are then not needed.",
        flag,
        False,
    )

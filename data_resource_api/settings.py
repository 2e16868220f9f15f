"""Every setting, as a frozen value read from environment variables once, at start-up.

``APP_ENV`` selects a configuration (see :mod:`data_resource_api.configurations`); each field of
:class:`Settings` is one variable, with its documentation. ``docs/configuration.md`` shows the same
table, held by a test.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from data_resource_api import configurations
from data_resource_api.aws import Keys
from data_resource_api.configurations import Configuration, ConfigurationFactory
from data_resource_api.database_url import parse_database_url, parse_replica_urls
from data_resource_api.errors import ConfigurationError
from data_resource_api.variables import (
    choice,
    flag,
    one_word,
    origins,
    secret_text,
    variable,
    warn_of_unknown,
    whole_number,
    words,
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the service runs with. ``repr`` shows no secret."""

    app_env: Configuration = variable(
        configurations.SELECTOR,
        "Which configuration applies: TEST, LOCAL or PRODUCTION, in any case, or one of your own.",
        default=configurations.TEST,
    )
    own_configurations: str | None = variable(
        configurations.EXTENSION,
        "Configurations of your own, as module:name; see “Configurations of your own”.",
    )
    database_url: str | None = variable(
        "DATABASE_URL",
        "The database, as a URL. Wins over POSTGRES_*. With neither, TEST and LOCAL use the embedded "
        "PostgreSQL; PRODUCTION refuses to start.",
        parse_database_url,
        secret=True,
    )
    database_read_url: tuple[str, ...] | None = variable(
        "DATABASE_READ_URL",
        "Replicas that answer reads, as URLs separated by spaces or commas; writes and everything else go "
        "to DATABASE_URL.",
        parse_replica_urls,
        secret=True,
    )
    pooler: bool = variable(
        "DRG_POOLER",
        "1 where a pooler that hands out connections per transaction, such as PgBouncer, stands before "
        "the database: nothing is then set for a session.",
        flag,
        False,
    )
    postgres_user: str | None = variable("POSTGRES_USER", "The database's user.")
    postgres_password: str | None = variable(
        "POSTGRES_PASSWORD", "The database user's password.", secret=True
    )
    postgres_hostname: str | None = variable("POSTGRES_HOSTNAME", "The database's host.")
    postgres_port: int = variable(
        "POSTGRES_PORT", "The database's port.", whole_number(1, 65535), 5432
    )
    postgres_database: str | None = variable("POSTGRES_DATABASE", "The database's name.")
    storage_type: str = variable(
        "SCHEMA_STORAGE_TYPE",
        "Where the copy of the payload is kept: LOCAL, a file in DRG_STATIC_DIR; or S3, an object.",
        choice("LOCAL", "S3"),
        "LOCAL",
    )
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
    static_dir: Path = variable(
        "DRG_STATIC_DIR",
        "The folder of the stored payload and of swagger.json.",
        Path,
        Path("static"),
    )
    data_dir: Path = variable(
        "DRG_DATA_DIR", "The folder of the embedded PostgreSQL.", Path, Path("var")
    )
    allow_anonymous: bool = variable(
        "DRG_ALLOW_ANONYMOUS",
        "1 lets TEST and LOCAL serve clients that are not on this machine, without any "
        "authorization. Only where something else keeps strangers out.",
        flag,
        False,
    )
    oauth2_provider: str | None = variable(
        "OAUTH2_PROVIDER",
        "Who issues bearer tokens: AUTH0, OIDC, BRIGHTHIVE or INTROSPECTION. PRODUCTION refuses to start "
        "without one.",
        one_word,
    )
    oauth2_url: str | None = variable(
        "OAUTH2_URL",
        "The provider's address, as its tokens name their issuer: https, or http to loopback.",
    )
    oauth2_jwks_url: str | None = variable(
        "OAUTH2_JWKS_URL",
        "Where the provider's keys are (AUTH0, OIDC); {OAUTH2_URL}/.well-known/jwks.json where it is "
        "not set.",
    )
    oauth2_audience: str | None = variable(
        "OAUTH2_AUDIENCE",
        "What a token must be issued for, in its aud. AUTH0 and OIDC need it; INTROSPECTION checks it "
        "where it is set.",
    )
    oauth2_algorithms: tuple[str, ...] = variable(
        "OAUTH2_ALGORITHMS",
        "The algorithms that a token may be signed with, separated by spaces or commas.",
        words,
        ("RS256",),
    )
    oauth2_admin_scope: str | None = variable(
        "OAUTH2_ADMIN_SCOPE",
        "The scope that the administration routes need; drg:admin where it is not set. BRIGHTHIVE tells no "
        "scopes, so it must be set there by hand: empty, and any valid token will do.",
        empty=True,
    )
    oauth2_introspection_url: str | None = variable(
        "OAUTH2_INTROSPECTION_URL",
        "Where the provider tells about a token (INTROSPECTION); {OAUTH2_URL}/oauth/introspect where it is "
        "not set.",
    )
    oauth2_client_id: str | None = variable(
        "OAUTH2_CLIENT_ID", "Who asks the provider about tokens (INTROSPECTION)."
    )
    oauth2_client_secret: str | None = variable(
        "OAUTH2_CLIENT_SECRET", "The secret of OAUTH2_CLIENT_ID (INTROSPECTION).", secret=True
    )
    public_docs: bool | None = variable(
        "DRG_PUBLIC_DOCS",
        "1 shows the landing page and the OpenAPI document to anybody, 0 to whoever has a valid token. "
        "Where it is not set: 1 in TEST and LOCAL, 0 in PRODUCTION.",
        flag,
    )
    max_page_size: int = variable(
        "DRG_MAX_PAGE_SIZE",
        "The most rows in one answer; a larger limit is served as this.",
        whole_number(1, 1_000_000),
        10_000,
    )
    exact_count_limit: int = variable(
        "DRG_EXACT_COUNT_LIMIT",
        "Up to how many rows a list is counted; beyond, its last link is an estimate that asks for the "
        "rows from the end.",
        whole_number(0, 1_000_000_000),
        1_000,
    )
    require_if_match: bool = variable(
        "DRG_REQUIRE_IF_MATCH",
        "1 refuses a PUT or PATCH that does not say with If-Match which state it was made for: 428. A PUT "
        "that creates says If-None-Match: *.",
        flag,
        False,
    )
    max_body_bytes: int = variable(
        "DRG_MAX_BODY_BYTES",
        "The largest request body, in bytes; a larger one is a 413.",
        whole_number(1024, 2**30),
        16 * 2**20,
    )
    max_batch: int = variable(
        "DRG_MAX_BATCH",
        "The most operations of one batch; a longer one is a 400.",
        whole_number(1, 100_000),
        1_000,
    )
    max_import_bytes: int = variable(
        "DRG_MAX_IMPORT_BYTES",
        "The largest body of CSV or NDJSON, which is read as it comes, in bytes; a larger one is a 413.",
        whole_number(1024, 2**40),
        2**30,
    )
    import_timeout: int = variable(
        "DRG_IMPORT_TIMEOUT",
        "How long adding a list, a CSV or an NDJSON may take, its sending included, in seconds; then the "
        "answer is 503 and nothing was added.",
        whole_number(1, 86_400),
        600,
    )
    max_nesting: int = variable(
        "DRG_MAX_NESTING",
        "How deep the JSON of a request body may be nested; a deeper one is a 400.",
        whole_number(10, 200),
        200,
    )
    statement_timeout: int = variable(
        "DRG_STATEMENT_TIMEOUT",
        "How long one SQL statement of a request may take, in milliseconds; then the answer is 503.",
        whole_number(100, 3_600_000),
        30_000,
    )
    stream_timeout: int = variable(
        "DRG_STREAM_TIMEOUT",
        "How long a client may leave the next rows of a streamed answer untaken, in milliseconds; then the "
        "answer is broken off.",
        whole_number(100, 3_600_000),
        60_000,
    )
    pool_size: int = variable(
        "DRG_POOL_SIZE",
        "The most database connections of one worker process.",
        whole_number(2, 1_000),
        8,
    )
    cors_origins: tuple[str, ...] = variable(
        "DRG_CORS_ORIGINS",
        "The origins whose web pages may use the API from a browser, separated by spaces or commas.",
        origins,
        (),
    )
    audit_log: str | None = variable(
        "DRG_AUDIT_LOG",
        "Where the audit log goes: a file, - for standard error, or off. Where it is not set, "
        "standard error in PRODUCTION, and off in TEST and LOCAL.",
    )
    log_format: str = variable(
        "DRG_LOG_FORMAT",
        "How the log is written: TEXT for people, JSON for programs.",
        choice("TEXT", "JSON"),
        "TEXT",
    )
    log_level: str = variable(
        "DRG_LOG_LEVEL",
        "The least level that is logged: DEBUG, INFO, WARNING or ERROR.",
        choice("DEBUG", "INFO", "WARNING", "ERROR"),
        "INFO",
    )

    def __post_init__(self) -> None:
        """A name means the configuration of the documentation that is called so."""
        if isinstance(self.app_env, str):
            row = configurations.CONFIGURATIONS[self.app_env]
            object.__setattr__(self, "app_env", row)

    @classmethod
    def from_environment(
        cls,
        environment: Mapping[str, str] | None = None,
        factory: ConfigurationFactory | None = None,
    ) -> Settings:
        """Read every variable.

        :param environment: the process's own by default.
        :param factory: what ``APP_ENV`` selects from; the documentation's three by default.
        :raises ConfigurationError: naming every variable that is wrong, and the remedy.
        """
        settings, _ = cls.with_origins(environment, factory)
        return settings

    @classmethod
    def with_origins(
        cls,
        environment: Mapping[str, str] | None = None,
        factory: ConfigurationFactory | None = None,
    ) -> tuple[Settings, Mapping[str, str]]:
        """Read every variable, and tell where each value came from.

        :returns: the settings; and field name → ``environment``, ``file PATH`` or ``configuration
            NAME``, without the fields that have their default.
        :raises ConfigurationError: naming every variable that is wrong, and the remedy.
        """
        stated = os.environ if environment is None else environment
        errors: list[str] = []
        values: dict[str, Any] = {}
        origins: dict[str, str] = {}
        completed: Mapping[str, str] = {}
        try:
            configuration = (factory or ConfigurationFactory()).select(stated)
            completed = configuration.variables(stated)
            values["app_env"] = configuration
        except ConfigurationError as error:
            errors += error.errors
        for field in dataclasses.fields(cls):
            if field.name == "app_env":
                if stated.get(configurations.SELECTOR, "").strip():
                    origins[field.name] = "environment"
                continue
            try:
                text, origin = _found(field, stated, completed)
                if text is not None:
                    values[field.name] = field.metadata["parse"](text)
                    origins[field.name] = origin.format(values.get("app_env"))
            except ConfigurationError as error:
                errors += error.errors
            except ValueError as error:
                shown = "" if field.metadata["secret"] else f", not {text!r}"
                errors.append(f"{field.metadata['name']} {error}{shown}.")
        warn_of_unknown(stated, _known_names())
        if errors:
            raise ConfigurationError(*errors)
        settings = cls(**values)
        settings.check()
        return settings, origins

    @property
    def production(self) -> bool:
        """Whether everything is locked by default."""
        return self.app_env.secured

    @property
    def docs_are_public(self) -> bool:
        """Whether the landing page and the OpenAPI document are for anybody."""
        return not self.production if self.public_docs is None else self.public_docs

    @property
    def sqlalchemy_url(self) -> str | None:
        """The database's URL with its password, or ``None`` for the embedded PostgreSQL."""
        if self.database_url is not None:
            return self.database_url
        stated = (
            self.postgres_user,
            self.postgres_password,
            self.postgres_hostname,
            self.postgres_database,
        )
        if not any(stated):
            return None
        return server_url(
            self.postgres_user or "postgres",
            self.postgres_password,
            self.postgres_hostname or "localhost",
            self.postgres_port,
            self.postgres_database or self.postgres_user or "postgres",
        )

    @property
    def aws_keys(self) -> Keys | None:
        """The stated AWS key, or ``None`` for what boto3 finds."""
        if self.aws_access_key_id is None or self.aws_secret_access_key is None:
            return None
        return Keys(self.aws_access_key_id, self.aws_secret_access_key, self.aws_session_token)

    def check(self) -> None:
        """Refuse combinations that cannot be served.

        :raises ConfigurationError: naming every one.
        """
        errors = [*self._production_errors(), *self._aws_errors()]
        if errors:
            raise ConfigurationError(*errors)

    def _production_errors(self) -> Iterator[str]:
        if not self.production:
            return
        if self.sqlalchemy_url is None and not self.aws_sm_enabled:
            yield (
                f"APP_ENV={self.app_env} needs DATABASE_URL, or POSTGRES_HOSTNAME and the rest, or "
                "AWS_SM_ENABLED=1."
            )
        if self.oauth2_provider is None:
            yield (
                f"APP_ENV={self.app_env} needs OAUTH2_PROVIDER: nobody reads, writes or generates "
                "anything there without a token."
            )
        if self.allow_anonymous:
            yield f"DRG_ALLOW_ANONYMOUS is not for APP_ENV={self.app_env}."

    def _aws_errors(self) -> Iterator[str]:
        names = {field.name: field.metadata["name"] for field in dataclasses.fields(self)}
        for switch, on, needed in (
            ("AWS_SM_ENABLED=1", self.aws_sm_enabled, _SECRETS_MANAGER),
            ("AWS_DB_USE_IAM_ROLE=1", self.aws_db_use_iam_role, ("aws_db_region_iam_role",)),
            ("SCHEMA_STORAGE_TYPE=S3", self.storage_type == "S3", _S3),
            ("AWS_ACCESS_KEY_ID", self.aws_access_key_id is not None, ("aws_secret_access_key",)),
            (
                "AWS_SECRET_ACCESS_KEY",
                self.aws_secret_access_key is not None,
                ("aws_access_key_id",),
            ),
        ):
            for name in needed:
                if on and getattr(self, name) is None:
                    yield f"{switch} needs {names[name]}."
        if self.aws_sm_enabled and self.database_url is not None:
            yield "AWS_SM_ENABLED=1 and DATABASE_URL both name a database; keep one of them."
        if self.storage_type == "S3" and not self.aws_s3_use_iam_role and self.aws_keys is None:
            yield (
                "SCHEMA_STORAGE_TYPE=S3 needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
                "AWS_S3_USE_IAM_ROLE=1."
            )
        if self.aws_db_use_iam_role and not self.aws_sm_enabled:
            url = self.sqlalchemy_url
            if url is None or not sa.make_url(url).host or not sa.make_url(url).username:
                yield (
                    "AWS_DB_USE_IAM_ROLE=1 needs the database's host and user: DATABASE_URL, "
                    "POSTGRES_HOSTNAME and POSTGRES_USER, or AWS_SM_ENABLED=1."
                )


def server_url(user: str, password: str | None, host: str, port: int, database: str) -> str:
    """The URL of a database, its password in it; a host that is a folder is that of a socket."""
    folder = host.startswith("/")
    url = sa.URL.create(
        "postgresql+psycopg2",
        user,
        password,
        None if folder else host,
        None if folder else port,
        database,
        {"host": host, "port": str(port)} if folder else {},
    )
    return url.render_as_string(hide_password=False)


#: What ``drg generate`` sends; the service does not read it.
TOKEN_VARIABLE: Final = "DRG_TOKEN"
CLIENT_VARIABLES: Final = (TOKEN_VARIABLE, f"{TOKEN_VARIABLE}_FILE")

_SECRETS_MANAGER: Final = ("aws_sm_name", "aws_sm_region", "aws_sm_dbname")
_S3: Final = ("aws_s3_region", "aws_s3_bucket_name", "aws_s3_object_name")


def _found(
    field: dataclasses.Field[Any], stated: Mapping[str, str], completed: Mapping[str, str]
) -> tuple[str | None, str]:
    """A variable's text and where it comes from: the environment first, then the configuration."""
    name = field.metadata["name"]
    for source, origin in ((stated, "environment"), (completed, "configuration {}")):
        if not field.metadata["secret"]:
            text = source.get(name, "").strip() or None
            if text is None and field.metadata["empty"] and name in source:
                text = ""
        else:
            text = secret_text(source, name)
            file = source.get(f"{name}_FILE", "").strip()
            origin = f"file {file}" if file else origin
        if text is not None:
            return text, origin
    return None, ""


def _known_names() -> set[str]:
    fields = dataclasses.fields(Settings)
    files = {f"{field.metadata['name']}_FILE" for field in fields if field.metadata["secret"]}
    return files | {field.metadata["name"] for field in fields} | {*CLIENT_VARIABLES}

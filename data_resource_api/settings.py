"""Every setting, as a frozen value read from environment variables once, at start-up.

``APP_ENV`` selects a configuration (see :data:`CONFIGURATIONS`); each field of :class:`Settings` is one
variable, with its documentation. ``docs/configuration.md`` shows the same table, held by a test.
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from data_resource_api.database_url import parse_database_url, parse_replica_urls
from data_resource_api.errors import ConfigurationError

logger = logging.getLogger("data_resource_api")


class Environment(StrEnum):
    """What ``APP_ENV`` may be."""

    TEST = "TEST"
    LOCAL = "LOCAL"
    PRODUCTION = "PRODUCTION"


def _number(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def _flag(text: str) -> bool:
    words = {
        "1": True,
        "true": True,
        "yes": True,
        "0": False,
        "false": False,
        "no": False,
        "": False,
    }
    if text.lower() not in words:
        raise ValueError("must be 1 or 0")
    return words[text.lower()]


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.upper() not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text.upper()

    return parse


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def variable(
    name: str,
    about: str,
    parse: Callable[[str], Any] = str,
    default: Any = None,
    secret: bool = False,
) -> Any:
    """A field of :class:`Settings` that is read from the environment variable ``name``."""
    return dataclasses.field(
        default=default, repr=not secret, metadata={"name": name, "about": about, "parse": parse}
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the service runs with. ``repr`` shows no secret."""

    app_env: str = variable(
        "APP_ENV",
        "Which configuration applies: TEST, LOCAL or PRODUCTION, in any case.",
        _choice(*Environment),
        Environment.TEST.value,
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
        _flag,
        False,
    )
    postgres_user: str | None = variable("POSTGRES_USER", "The database's user.")
    postgres_password: str | None = variable(
        "POSTGRES_PASSWORD", "The database user's password.", secret=True
    )
    postgres_hostname: str | None = variable("POSTGRES_HOSTNAME", "The database's host.")
    postgres_port: int = variable("POSTGRES_PORT", "The database's port.", _number(1, 65535), 5432)
    postgres_database: str | None = variable("POSTGRES_DATABASE", "The database's name.")
    storage_type: str = variable(
        "SCHEMA_STORAGE_TYPE",
        "Where the copy of the payload is kept: LOCAL, a file in DRG_STATIC_DIR.",
        _choice("LOCAL"),
        "LOCAL",
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
        _flag,
        False,
    )
    oauth2_provider: str | None = variable(
        "OAUTH2_PROVIDER",
        "Who issues bearer tokens. PRODUCTION refuses to start without one.",
        _choice("AUTH0", "OIDC", "BRIGHTHIVE", "INTROSPECTION"),
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
        "OAUTH2_AUDIENCE", "What a token must be issued for, in its aud (AUTH0, OIDC)."
    )
    oauth2_algorithms: tuple[str, ...] = variable(
        "OAUTH2_ALGORITHMS",
        "The algorithms that a token may be signed with, separated by spaces or commas.",
        _words,
        ("RS256",),
    )
    oauth2_admin_scope: str | None = variable(
        "OAUTH2_ADMIN_SCOPE",
        "The scope that the administration routes need.",
        default="drg:admin",
    )
    max_page_size: int = variable(
        "DRG_MAX_PAGE_SIZE",
        "The most rows in one answer; a larger limit is served as this.",
        _number(1, 1_000_000),
        10_000,
    )
    exact_count_limit: int = variable(
        "DRG_EXACT_COUNT_LIMIT",
        "Up to how many rows a list is counted; beyond, its last link is an estimate that asks for the "
        "rows from the end.",
        _number(0, 1_000_000_000),
        1_000,
    )
    max_body_bytes: int = variable(
        "DRG_MAX_BODY_BYTES",
        "The largest request body, in bytes; a larger one is a 413.",
        _number(1024, 2**30),
        16 * 2**20,
    )
    statement_timeout: int = variable(
        "DRG_STATEMENT_TIMEOUT",
        "How long one SQL statement of a request may take, in milliseconds; then the answer is 503.",
        _number(100, 3_600_000),
        30_000,
    )
    pool_size: int = variable(
        "DRG_POOL_SIZE",
        "The most database connections of one worker process.",
        _number(2, 1_000),
        8,
    )
    log_level: str = variable(
        "DRG_LOG_LEVEL",
        "The least level that is logged: DEBUG, INFO, WARNING or ERROR.",
        _choice("DEBUG", "INFO", "WARNING", "ERROR"),
        "INFO",
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read every variable.

        :param environment: the process's own by default.
        :raises ConfigurationError: naming every variable that is wrong, and the remedy.
        """
        source = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        errors: list[str] = []
        for field in dataclasses.fields(cls):
            name = field.metadata["name"]
            text = source.get(name, "").strip()
            if not text:
                continue
            try:
                values[field.name] = field.metadata["parse"](text)
            except ValueError as error:
                shown = "" if not field.repr else f", not {text!r}"
                errors.append(f"{name} {error}{shown}.")
        _warn_of_unknown(source)
        if errors:
            raise ConfigurationError(*errors)
        settings = cls(**values)
        settings.check()
        return settings

    @property
    def production(self) -> bool:
        """Whether everything is locked by default."""
        return self.app_env == Environment.PRODUCTION

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
        host = self.postgres_hostname or "localhost"
        folder = host.startswith("/")  # of a unix socket
        url = sa.URL.create(
            "postgresql+psycopg2",
            self.postgres_user or "postgres",
            self.postgres_password,
            None if folder else host,
            None if folder else self.postgres_port,
            self.postgres_database or self.postgres_user or "postgres",
            {"host": host, "port": str(self.postgres_port)} if folder else {},
        )
        return url.render_as_string(hide_password=False)

    def check(self) -> None:
        """Refuse combinations that cannot be served.

        :raises ConfigurationError: naming every one.
        """
        errors = []
        if self.production:
            if self.sqlalchemy_url is None:
                errors.append(
                    "APP_ENV=PRODUCTION needs DATABASE_URL, or POSTGRES_HOSTNAME and the rest."
                )
            if self.oauth2_provider is None:
                errors.append(
                    "APP_ENV=PRODUCTION needs OAUTH2_PROVIDER: nobody reads, writes or generates "
                    "anything there without a token."
                )
            if self.allow_anonymous:
                errors.append("DRG_ALLOW_ANONYMOUS is not for APP_ENV=PRODUCTION.")
        if errors:
            raise ConfigurationError(*errors)


#: Kubernetes describes every service of a namespace to every container; one called drg gives these.
_KUBERNETES: Final = re.compile(
    r"DRG_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_\w+)?)?)"
)


def _warn_of_unknown(source: Mapping[str, str]) -> None:
    known = [field.metadata["name"] for field in dataclasses.fields(Settings)]
    for name in source:
        if not name.startswith("DRG_") or name in known or _KUBERNETES.fullmatch(name):
            continue
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        logger.warning("The environment variable %s is not known%s", name, hint)

"""Database URLs as operators write them, several hosts included → as SQLAlchemy reads them.

libpq (PostgreSQL, "Connection URIs") lists hosts as ``postgresql://h1:5432,h2:5432/db``; SQLAlchemy wants
``postgresql+psycopg2:///db?host=h1,h2&port=5432,5432`` for the same.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

import sqlalchemy as sa

_DRIVER: Final = "postgresql+psycopg2"
_DEFAULT_PORT: Final = "5432"

#: ``h1:5432`` or ``[::1]:5432``, the port left out or not.
_HOST: Final = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<name>[^:\[\]]+))(?::(?P<port>[0-9]*))?")

#: Between two URLs: white space, or a comma that no further host of the same URL follows.
_BETWEEN: Final = re.compile(r"[\s,]*[\s,](?=postgres(?:ql)?(?:\+\w+)?://)|\s+")


def parse_database_url(text: str) -> str:
    """The URL of the database that is written to.

    Of several hosts the one that takes writes is meant, unless ``target_session_attrs`` says otherwise:
    after a failover, that is another one.

    :raises ValueError: it is not a URL of PostgreSQL.
    """
    url = _read(text)
    if _several(url) and "target_session_attrs" not in url.query:
        url = url.update_query_dict({"target_session_attrs": "read-write"})
    return url.render_as_string(hide_password=False)


def parse_replica_urls(text: str) -> tuple[str, ...]:
    """The URLs of databases that are only read, separated by white space or commas.

    :raises ValueError: one is not a URL of PostgreSQL.
    """
    urls = [part.strip(", ") for part in _BETWEEN.split(text)]
    return tuple(_read(url).render_as_string(hide_password=False) for url in urls if url)


def _read(text: str) -> sa.URL:
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.split("+")[0] not in ("postgresql", "postgres"):
        raise ValueError(_MUST)
    authority, slash, tail = rest.partition("/")
    login, at, hosts = authority.rpartition("@")
    several = "," in hosts
    try:
        # SQLAlchemy's plain postgresql:// means another driver than the one that we ship.
        url = sa.make_url(f"{_DRIVER}://{login}{at}{'' if several else hosts}{slash}{tail}")
    except (ValueError, sa.exc.ArgumentError):
        raise ValueError(_MUST) from None
    if not several:
        return url
    found = [_HOST.fullmatch(host) for host in hosts.split(",")]
    if not all(found) or {"host", "port"} & url.query.keys():
        raise ValueError(_MUST)
    listed = [match for match in found if match]
    names = [match["v6"] or unquote(match["name"]) for match in listed]
    ports = [match["port"] or _DEFAULT_PORT for match in listed]
    return url.update_query_dict({"host": ",".join(names), "port": ",".join(ports)})


_MUST: Final = "must be a URL like postgresql://user:password@host:5432/database"


def _several(url: sa.URL) -> bool:
    host = url.query.get("host", "")
    return "," in host if isinstance(host, str) else len(host) > 1

"""``drg config``: what is in force, and where each value came from, without a secret."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any, Final
from urllib.parse import quote

import click
import sqlalchemy as sa

from data_resource_api.settings import Settings

HIDDEN: Final = "***"

#: Secrets of which only a part is one.
_URLS: Final = frozenset({"database_url", "database_read_url"})

#: A password in something that looks like a URL.
_IN_URL: Final = re.compile(r"(://[^:/@\s]*):[^/\s]*@")


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One variable: its name, its value as it may be shown (``None``: it has none), its origin."""

    name: str
    value: str | None
    origin: str


def rows(settings: Settings, origins: dict[str, str]) -> list[Row]:
    """Every variable, in the order of the documentation."""
    found = [
        Row(
            field.metadata["name"],
            shown(field, getattr(settings, field.name)),
            origins.get(field.name, "default"),
        )
        for field in dataclasses.fields(settings)
    ]
    if not settings.aws_sm_enabled:
        return found
    secret = f"AWS Secrets Manager: {settings.aws_sm_name}"
    return [
        Row(row.name, "(fetched at the start)", secret) if row.name == "DATABASE_URL" else row
        for row in found
    ]


def shown(field: dataclasses.Field[Any], value: object) -> str | None:
    """A value as it may be shown: of a database's URL all but the passwords, of a secret nothing."""
    if value is None:
        return None
    if field.name in _URLS:
        urls = value if isinstance(value, tuple) else (str(value),)
        return " ".join(map(_without_passwords, urls))
    if field.metadata["secret"]:
        return HIDDEN
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, tuple):
        return " ".join(value)
    return _IN_URL.sub(rf"\1:{HIDDEN}@", str(value))


def _without_passwords(text: str) -> str:
    url = sa.make_url(text)
    query = {
        name: HIDDEN if "password" in name.lower() else value for name, value in url.query.items()
    }
    rendered = url.set(query=query).render_as_string(hide_password=True)
    return rendered.replace(quote(HIDDEN), HIDDEN)


@click.command("config")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def config(as_json: bool) -> None:
    """Print what is in force and where each value came from, secrets hidden."""
    settings, origins = Settings.with_origins()
    table = rows(settings, dict(origins))
    if as_json:
        values = {row.name: {"value": row.value, "from": row.origin} for row in table}
        click.echo(json.dumps(values, indent=2, ensure_ascii=False))
        return
    lines = [("VARIABLE", "VALUE", "FROM")]
    lines += [(row.name, "-" if row.value is None else row.value, row.origin) for row in table]
    name_width, value_width = (max(len(line[column]) for line in lines) for column in (0, 1))
    for name, value, origin in lines:
        click.echo(f"{name:{name_width}}  {value:{value_width}}  {origin}")

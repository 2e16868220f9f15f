"""``drg import``: the rows of a file into a table of a running service."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import PurePath
from typing import BinaryIO, Final
from urllib.parse import quote

import click

from data_resource_api.running_service import (
    MEDIA_TYPES,
    Refusal,
    RunningService,
    access_token,
    service_options,
)

_BLOCK: Final = 2**16


@click.command("import")
@click.argument("table")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--format",
    "form",
    type=click.Choice([*MEDIA_TYPES]),
    help="What FILE holds.  [default: what its name ends with]",
)
@click.option("--upsert", is_flag=True, help="Change the rows that are there already.")
@click.option("--ignore-duplicates", is_flag=True, help="Leave the rows that are there already.")
@click.option(
    "--on-conflict",
    metavar="FIELD,…",
    help="What tells whether a row is there.  [default: the primary key]",
)
@click.option("--dry-run", is_flag=True, help="Check everything, and change nothing.")
@service_options
def import_rows(
    table: str,
    file: BinaryIO,
    form: str | None,
    upsert: bool,
    ignore_duplicates: bool,
    on_conflict: str | None,
    dry_run: bool,
    url: str,
    token_file: BinaryIO | None,
) -> None:
    """Add the rows of FILE (- for standard input) to a TABLE of a running service.

    All of them are added, or none: every bad row is told with what is wrong with it. CSV has the names of
    fields in its first line; NDJSON is an object on each line.
    """
    if upsert and ignore_duplicates:
        raise click.UsageError("--upsert and --ignore-duplicates exclude each other.")
    if on_conflict and not (upsert or ignore_duplicates):
        raise click.UsageError("--on-conflict goes with --upsert or --ignore-duplicates.")
    if token_file is not None and token_file is file:
        raise click.UsageError("The rows and the token cannot both be standard input.")
    headers = {"Content-Type": _media_type(file.name, form)}
    preferences = ["resolution=merge-duplicates"] * upsert
    preferences += ["resolution=ignore-duplicates"] * ignore_duplicates
    preferences += ["tx=rollback"] * dry_run
    if preferences:
        headers["Prefer"] = ", ".join(preferences)
    path = f"/{quote(table, safe='')}"
    if on_conflict:
        path += f"?on_conflict={quote(on_conflict, safe=',')}"
    service = RunningService(url, access_token(token_file))
    answer = service.send(path, _blocks(file), headers)
    click.echo(_told(answer, table, dry_run=dry_run))


def _media_type(name: str, form: str | None) -> str:
    form = form or PurePath(name).suffix.lower().removeprefix(".")
    if form not in MEDIA_TYPES:
        raise click.UsageError(
            f"What {name} holds cannot be told from its name; say --format {' or '.join(MEDIA_TYPES)}."
        )
    return MEDIA_TYPES[form]


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """What is in a file, with a bar that shows how much of it is sent."""
    size = os.fstat(file.fileno()).st_size if file.seekable() else 0
    hidden = not (size and sys.stderr.isatty())
    with click.progressbar(length=size, label="Sending", file=sys.stderr, hidden=hidden) as bar:
        while block := file.read(_BLOCK):
            yield block
            bar.update(len(block))


def _told(answer: object, table: str, *, dry_run: bool) -> str:
    if not isinstance(answer, dict) or "count" not in answer:
        raise Refusal("What answers is not this service.")
    count = answer["count"]
    rows = "1 row" if count == 1 else f"{count:,} rows"
    if dry_run:
        return f"{rows} can be added to {table}; nothing was changed."
    if "added" in answer:
        left = count - answer["added"] - answer["updated"]
        return (
            f"{rows} for {table}: {answer['added']:,} added, {answer['updated']:,} changed, "
            f"{left:,} left as they are."
        )
    return f"{rows} added to {table}."

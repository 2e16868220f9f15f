"""``drg export``: the rows of a table of a running service, into a file or to standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qs, quote, urlsplit

import click

from data_resource_api.running_service import (
    MEDIA_TYPES,
    Refusal,
    RunningService,
    access_token,
    service_options,
)


@click.command("export")
@click.argument("table")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default="-")
@click.option(
    "--format",
    "form",
    type=click.Choice([*MEDIA_TYPES]),
    help="What to write.  [default: what FILE's name ends with, or csv]",
)
@click.option("--select", metavar="FIELDS", help="What of each row, such as 'id,name'.")
@click.option(
    "--where", metavar="QUERY", help="Which rows, as a query string: 'age=gte.18&order=name'."
)
@service_options
def export_rows(
    table: str,
    file: Path,
    form: str | None,
    select: str | None,
    where: str | None,
    url: str,
    token_file: BinaryIO | None,
) -> None:
    """Write the rows of a TABLE of a running service into FILE (- or nothing for standard output).

    The file is there when all of it is, and not before: an export that breaks off leaves what was there.
    """
    form = form or file.suffix.lower().removeprefix(".")
    media_type = MEDIA_TYPES.get(form, "" if file.suffix else MEDIA_TYPES["csv"])
    if not media_type:
        raise click.UsageError(
            f"What to write into {file} cannot be told from its name; say --format "
            f"{' or '.join(MEDIA_TYPES)}."
        )
    asked = []
    if select:
        asked.append(f"select={quote(select, safe=',:()*!.>-')}")
    if where:
        asked.append(quote(where.removeprefix("?"), safe="&=%,:()*!.>-+~'\""))
    path = f"/{quote(table, safe='')}"
    service = RunningService(url, access_token(token_file))
    about = _number(service, path, asked) if sys.stderr.isatty() else None
    query = f"?{'&'.join(asked)}" if asked else ""
    with _written(file) as out:
        count = _copy(service, path + query, media_type, out, about)
    if str(file) != "-":
        click.echo(f"{table} is in {file}: {count:,} lines.")


def _number(service: RunningService, path: str, asked: list[str]) -> int:
    """About how many rows there are, by the link to the last of them."""
    page = service.ask("GET", f"{path}?{'&'.join([*asked, 'limit=1'])}")
    links = {link["rel"]: link["href"] for link in page.get("links", ())}
    last = parse_qs(urlsplit(links.get("last", "")).query).get("offset", ["0"])
    return int(last[0]) + 1


def _copy(
    service: RunningService, path: str, media_type: str, out: BinaryIO, about: int | None
) -> int:
    """Copy the answer, with a bar that shows how much of it there is; return how many lines it has.

    :raises Refusal: it breaks off.
    """
    lines, end = 0, b"\n"
    bar: Any
    with (
        service.receive(path, media_type) as blocks,
        click.progressbar(
            length=about or 0, label="Receiving", file=sys.stderr, hidden=about is None
        ) as bar,
    ):
        for block in blocks:
            out.write(block)
            new = block.count(b"\n")
            lines, end = lines + new, block[-1:]
            bar.update(new)
    # What cannot be finished ends with half a line where its connection cannot be closed.
    if end != b"\n":
        raise Refusal("The service broke off: its log says why. What was written is not whole.")
    return lines


@contextmanager
def _written(file: Path) -> Iterator[Any]:
    """A file that has its name only if the block ends well."""
    if str(file) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        part.replace(file)
    except OSError as error:
        raise Refusal(f"{file} cannot be written: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)

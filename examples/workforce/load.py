"""Load the example rows of the workforce data trust into a running service.

    python examples/workforce/load.py [--url http://127.0.0.1:8081]

Every row goes through the generated API under the id it has in its file, so that running this
twice is harmless. What may be called is read from payload.json: a table without PUT is filled with
POST and corrected with PATCH.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

HERE = Path(__file__).resolve().parent
DEFAULT_URL = "http://127.0.0.1:8081"
TIMEOUT_SECONDS = 30

#: Table Schema types whose text in a CSV file is JSON already. It is sent as it stands, so that an
#: amount of money never goes through a binary float.
WRITTEN_AS_JSON = {"integer", "year", "number", "boolean", "object", "array", "geojson"}


class LoadError(Exception):
    """Something a person has to put right; the message says what."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and JSON body of what the service answered."""

    status: int
    body: Any

    @property
    def complaint(self) -> str:
        """The service's own words: its sentence, and a line per fault."""
        if not isinstance(self.body, dict):
            return str(self.body)
        sentence = self.body.get("error") or self.body.get("message") or self.body
        return "\n  - ".join([str(sentence), *map(str, self.body.get("errors", []))])


class Service:
    """The generated API of a running service."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        # The service refuses requests that a proxy forwards.
        self._opener = build_opener(ProxyHandler({}))

    def ask(self, verb: str, path: str, body: str | None = None) -> Answer:
        """Send one request; a refusal is an answer like any other.

        Raises:
            LoadError: nobody answers, or not in JSON.
        """
        request = Request(
            self.url + path,
            method=verb,
            data=None if body is None else body.encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                return Answer(response.status, json.load(response))
        except HTTPError as refusal:
            with refusal:
                return Answer(refusal.code, _json_or_text(refusal.read()))
        except ValueError:
            raise LoadError(f"What answers at {self.url} is not this service: no JSON.") from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise LoadError(
                f"No service answers at {self.url} ({reason}). Start one with `drg serve`."
            ) from None

    def send(self, verb: str, path: str, body: str, what: str) -> int:
        """Send a body that the service has to accept; return the status.

        Raises:
            LoadError: the service refuses it, with its messages.
        """
        answer = self.ask(verb, path, body)
        if answer.status >= 400:
            raise LoadError(
                f"{what}: {verb} {path} was refused ({answer.status}).\n{answer.complaint}"
            )
        return answer.status


def load(service: Service, payload: dict[str, Any]) -> None:
    """Fill the tables, then associate their rows. Prints a line for each."""
    schema = payload["data_resource_schema"]
    paths = schema["api"]["apiSpec"]["paths"]
    # The data dictionary names a table before those that refer to it.
    for entry in schema["data"]["dataDictionary"]:
        load_table(service, entry, paths)
    for parent, child in schema["data"]["relationships"]["manyToMany"]:
        load_associations(service, parent, child, paths)


def load_table(service: Service, entry: dict[str, Any], paths: dict[str, Any]) -> None:
    """Send every row of ``data/<table>.csv``."""
    table = entry["name"]
    types = {field["name"]: field["type"] for field in entry["tableSchema"]["fields"]}
    can_put = "put" in paths[f"/{table}/{{id}}"]
    statuses: Counter[int] = Counter()
    for line, cells in read_csv(table):
        what = f"{table}.csv, line {line}"
        row = json_object(cells, types, what)
        path = f"/{table}/{quote(cells['id'])}"
        verb, path = ("PUT", path) if can_put else add_or_correct(service, table, path)
        statuses[service.send(verb, path, row, what)] += 1
    print(f"{table}: {statuses.total()} rows ({statuses[201]} new, {statuses[200]} updated)")


def add_or_correct(service: Service, table: str, path: str) -> tuple[str, str]:
    """Verb and path that store the row of ``path`` where PUT is not whitelisted."""
    is_there = service.ask("GET", path).status == 200
    return ("PATCH", path) if is_there else ("POST", f"/{table}")


def load_associations(service: Service, parent: str, child: str, paths: dict[str, Any]) -> None:
    """Send the pairs of ``data/<parent>_<child>.csv``, all of a parent's at once."""
    name = f"{parent}_{child}"
    verb = "PUT" if "put" in paths[f"/{parent}/{{id}}/{child}"] else "PATCH"
    children: defaultdict[str, list[int]] = defaultdict(list)
    for _, cells in read_csv(name):
        children[cells[f"{parent}_id"]].append(int(cells[f"{child}_id"]))
    for parent_id, ids in children.items():
        path = f"/{parent}/{quote(parent_id)}/{child}"
        service.send(verb, path, json.dumps(ids), f"{name}.csv, {parent} {parent_id}")
    print(f"{parent} and {child}: {sum(map(len, children.values()))} associations")


def read_csv(name: str) -> list[tuple[int, dict[str, str]]]:
    """Rows of a CSV file beside this script, each with the line on which it ends."""
    with (HERE / "data" / f"{name}.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        return [(rows.line_num, cells) for cells in rows]


def json_object(cells: dict[str, str], types: dict[str, str], what: str) -> str:
    """A CSV row as the text of a JSON object. An empty cell is a field left out.

    Raises:
        LoadError: a cell is not what its type says.
    """
    members = [
        f"{json.dumps(name)}: {json_text(text, types[name], f'{what}, {name}')}"
        for name, text in cells.items()
        if text
    ]
    return "{" + ", ".join(members) + "}"


def json_text(text: str, field_type: str, what: str) -> str:
    """A CSV cell as JSON text, by the Table Schema type of its field."""
    if field_type not in WRITTEN_AS_JSON:
        return json.dumps(text)
    try:
        json.loads(text)
    except ValueError:
        raise LoadError(f"{what}: {text!r} is not a Table Schema {field_type}.") from None
    return text


def _json_or_text(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")[:500]


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Load the example rows into a running service.")
    parser.add_argument("--url", default=DEFAULT_URL, help="where it runs (default: %(default)s)")
    arguments = parser.parse_args()
    if not arguments.url.startswith(("http://", "https://")):
        parser.error(f"--url is an address such as {DEFAULT_URL}")
    payload = json.loads((HERE / "payload.json").read_text(encoding="utf-8"))
    try:
        load(Service(arguments.url), payload)
    except LoadError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

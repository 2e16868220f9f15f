"""What the code has, the documentation has: settings, routes, options, types, errors, names."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import sqlalchemy as sa
from flask import Flask
from packaging.requirements import Requirement
from sqlalchemy.dialects import postgresql

import data_resource_api
from data_resource_api.admin import register_admin
from data_resource_api.cli import drg
from data_resource_api.compiler import fields
from data_resource_api.compiler.fields import CONSTRAINTS, FIELD_TYPES
from data_resource_api.compiler.names import RESERVED_NAMES
from data_resource_api.compiler.openapi import KINDS, Shape
from data_resource_api.errors import DrgError
from data_resource_api.json_text import read_json
from data_resource_api.security import PROVIDERS
from data_resource_api.settings import CLIENT_VARIABLES, Settings
from data_resource_api.ui import register_pages
from tests.docs.pages import DOCS, PAGES
from tests.service import ROOT, entry, payload

SCHEMAS = Path(data_resource_api.__file__).parent / "compiler" / "schemas"


def page(name: str) -> str:
    """A page without its fenced blocks."""
    text = (DOCS / f"{name}.md").read_text("utf-8")
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def section(name: str, heading: str) -> str:
    """A page's text from a heading to the next one of the same level or above."""
    level = heading.partition(" ")[0]
    text = f"\n{page(name)}".split(f"\n{heading}\n", 1)[1]
    return re.split(rf"^#{{1,{len(level)}}} ", text, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def code(text: str) -> list[str]:
    """What stands in `backticks`."""
    return re.findall(r"`([^`]+)`", text)


# ── settings and commands ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("field", dataclasses.fields(Settings), ids=lambda field: field.name)
def test_every_setting_is_documented_in_its_own_words(field: dataclasses.Field[Any]) -> None:
    """Name, meaning and default are those of the code."""
    default = int(field.default) if isinstance(field.default, bool) else field.default
    if isinstance(default, tuple):
        default = " ".join(default) or None
    shown = "" if default is None else f"`{default}`"
    line = f"| `{field.metadata['name']}` | {field.metadata['about']} | {shown} |"
    assert line.replace("|  |", "| |") in page("configuration").replace("|  |", "| |"), line


def test_the_settings_are_documented_in_their_order() -> None:
    """``drg config`` prints them in that order, too."""
    names = [field.metadata["name"] for field in dataclasses.fields(Settings)]
    documented = [code(row[0])[0] for row in rows(section("configuration", "## Variables"))[1:]]
    assert documented[: len(names)] == names


def test_every_provider_is_documented_with_what_it_needs() -> None:
    table = rows(section("security", "### Providers"))[1:]
    documented = {code(name)[0]: (about, set(code(needs))) for name, about, needs in table}
    assert documented == {
        name: (
            provider.about,
            {*provider.needs} | (set() if provider.tells_scopes else {"OAUTH2_ADMIN_SCOPE"}),
        )
        for name, provider in PROVIDERS.items()
    }


def test_no_page_names_a_setting_that_does_not_exist() -> None:
    known = {field.metadata["name"] for field in dataclasses.fields(Settings)}
    known |= {"DRG_REQUIRE_BROWSER", "DRG_REQUIRE_PGBOUNCER"}  # of the tests
    known |= set(CLIENT_VARIABLES)
    named = {name for path in PAGES for name in re.findall(r"\bDRG_\w+", path.read_text("utf-8"))}
    assert named <= known


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, f"{path} {name}")


@pytest.mark.parametrize(
    ("path", "command"), list(commands(drg, "drg")), ids=lambda item: str(item)
)
def test_every_command_and_option_is_documented(path: str, command: click.Command) -> None:
    text = section("configuration", "## The command line")
    assert f"`{path}" in text
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert all(option in text for option in parameter.opts), parameter.opts


# ── routes and errors ────────────────────────────────────────────────────────────────────────────

PATHS = {
    Shape.ROWS: "/book",
    Shape.ROW: "/book/1",
    Shape.QUERY: "/book/query",
    Shape.RELATED: "/book/1/author",
}


def test_every_generated_operation_is_documented_and_no_other() -> None:
    table = page("interacting").split("\n## ")[0]
    documented = [code(row[0])[0] for row in rows(table) if code(row[0])]
    assert sorted(documented) == sorted(f"{verb.upper()} {PATHS[shape]}" for shape, verb in KINDS)


def test_every_shape_of_path_is_documented_with_its_verbs() -> None:
    table = rows(section("schema-reference", "## The OpenAPI document"))[1:]
    documented = {(code(row[0])[0], verb) for row in table for verb in code(row[1])}
    assert documented == {(str(shape), verb.upper()) for shape, verb in KINDS}


def test_every_route_of_the_service_is_documented() -> None:
    app = Flask("routes", static_folder=None)
    register_admin(app, None)  # type: ignore[arg-type]
    register_pages(app, None, public_docs=True)  # type: ignore[arg-type]
    text = section("interacting", "## Administration routes")
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<int:\w+>", "1", rule.rule)
        if "<" in path:  # the pages' own files
            continue
        for verb in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            assert f"{verb} {path}`" in text, f"{verb} {path}"


def every(error: type[DrgError]) -> Iterator[type[DrgError]]:
    yield error
    for child in error.__subclasses__():
        yield from every(child)


@pytest.mark.parametrize("error", list(every(DrgError)), ids=lambda error: error.__name__)
def test_every_refusal_is_documented(error: type[DrgError]) -> None:
    assert f"| {error.status} {error.title} |" in section("interacting", "## Errors")


# ── payloads ─────────────────────────────────────────────────────────────────────────────────────


def type_table() -> dict[str, list[str]]:
    return {
        code(row[0])[0]: row for row in rows(page("datatypes")) if len(row) == 4 and code(row[0])
    }


def test_every_type_is_documented_and_no_other() -> None:
    assert type_table().keys() == FIELD_TYPES.keys()


@pytest.mark.parametrize("name", FIELD_TYPES)
def test_a_type_has_the_column_that_is_documented(name: str) -> None:
    document = payload(entry("t", {"name": "f", "type": name}))
    resource = data_resource_api.compile_data_resource(document)
    column: sa.Column[Any] = resource.tables["t"].table.c["f"]
    column_type = str(column.type.compile(dialect=postgresql.dialect()))
    documented = re.match(r"[A-Z]+", type_table()[name][1])
    assert documented is not None
    assert column_type.split()[0] == documented[0]


@pytest.mark.parametrize("name", FIELD_TYPES)
def test_a_type_takes_the_example_that_is_documented(name: str) -> None:
    (example,) = code(type_table()[name][3])
    field = fields.compile_field(
        {"name": "f", "type": name}, in_key=False, generated=False, fault=lambda *_: None
    )
    assert field is not None
    field.read(read_json(example.encode()))


def test_every_constraint_is_documented_with_the_types_it_applies_to() -> None:
    table = rows(section("schema-reference", "### Constraints"))[1:]
    types = {name: row[1] for row in table for name in code(row[0])}
    assert types.keys() == {*CONSTRAINTS, "required", "unique"}
    ordered = {name for name, kind in FIELD_TYPES.items() if kind.ordered}
    sized = {name for name, kind in FIELD_TYPES.items() if kind.sized}
    assert set(code(types["minimum"])) == ordered
    assert set(code(types["maxLength"])) == sized


def schema_keys() -> set[str]:
    """The keys that the JSON Schema of a payload knows."""
    found: set[str] = set()

    def collect(schema: object) -> None:
        if isinstance(schema, dict):
            for key, value in schema.items():
                if key == "properties":
                    found.update(value)
                collect(value)
        elif isinstance(schema, list):
            for item in schema:
                collect(item)

    for path in SCHEMAS.glob("*.json"):
        collect(json.loads(path.read_text("utf-8")))
    return found


@pytest.mark.parametrize("key", sorted(schema_keys()))
def test_every_key_of_a_payload_is_documented(key: str) -> None:
    pieces = {piece for text in code(page("schema-reference")) for piece in text.split(".")}
    assert key in pieces


def test_every_reserved_table_name_is_documented() -> None:
    text = section("schema-reference", "### Names that are refused")
    assert set(code(text)) >= RESERVED_NAMES


# ── the package ──────────────────────────────────────────────────────────────────────────────────


def test_the_public_names_are_those_that_are_documented() -> None:
    table = rows(section("library", "## The public names"))[1:]
    documented = [code(row[0])[0].partition("(")[0] for row in table]
    assert sorted(documented) == sorted(data_resource_api.__all__)
    for name in documented:
        assert getattr(data_resource_api, name) is not None


@pytest.mark.parametrize(
    "row", rows(section("library", "## `DataResource`"))[1:], ids=lambda r: r[0]
)
def test_the_documented_members_of_a_data_resource_exist(row: list[str]) -> None:
    resource = data_resource_api.compile_data_resource(payload(entry("t")))
    for name in code(row[0]):
        assert hasattr(resource, name.partition("(")[0])


def test_every_room_is_described() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (rooms,) = [
        contract["layers"]
        for contract in project["tool"]["importlinter"]["contracts"]
        if contract["id"] == "rooms"
    ]
    names = {name.strip() for layer in rooms for name in re.split(r"[|:]", layer)}
    described = {name for row in rows(section("architecture", "## Rooms")) for name in code(row[0])}
    assert described == names


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    groups = [project["project"]["dependencies"], *project["dependency-groups"].values()]
    names = {Requirement(text).name for group in groups for text in group if isinstance(text, str)}
    explained = set(re.findall(r"[\w.-]*\w", section("architecture", "## Dependencies")))
    assert names <= explained

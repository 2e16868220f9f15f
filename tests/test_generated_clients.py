"""Clients that ``openapi-python-client`` makes of our documents work against the service."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.service import Service, clean_environment, entry, payload, running

PEOPLE = entry(
    "people",
    {"name": "name", "type": "string", "constraints": {"required": True, "maxLength": 12}},
    {"name": "kind", "type": "string", "constraints": {"enum": ["a", "b"]}},
    {"name": "born", "type": "date"},
    {"name": "score", "type": "number", "constraints": {"minimum": 0}},
    {"name": "mail", "type": "string", "format": "email", "constraints": {"unique": True}},
    {"name": "from", "type": "string"},
    {"name": "tags", "type": "array"},
    {"name": "more", "type": "object"},
)
BADGE = entry("badge", {"name": "title", "type": "string"})


class Generated:
    """A generated package, imported."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.client = self.module("client").Client(base_url=url)
        self.models = self.module("models")

    def module(self, place: str) -> ModuleType:
        return importlib.import_module(f"{self.name}.{place}")

    def call(self, operation: str, *arguments: Any, **more: Any) -> Any:
        """One operation, as ``api.people.list_people``: its answer with status, headers and value."""
        return self.module(f"api.{operation}").sync_detailed(*arguments, client=self.client, **more)


def generate(folder: Path, name: str, service: Service) -> str:
    """Make a client of the live document; everything but texts of many rows must be understood."""
    command = [str(Path(sys.executable).with_name("openapi-python-client")), "generate"]
    command += ["--url", f"{service.url}/static/swagger.json", "--meta", "none"]
    configuration = folder / "configuration.yml"
    configuration.write_text("post_hooks: []\n")
    command += ["--config", str(configuration), "--output-path", str(folder / name)]
    done = subprocess.run(
        command, cwd=folder, env=clean_environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout + done.stderr
    missed = re.findall(r"WARNING.*|Unable to process.*|(?:Unsupported|Cannot|Could not) .*", said)
    expected = r"Unsupported content type (text/csv|application/x-ndjson)"
    unexpected = [line for line in missed if not re.fullmatch(expected, line)]
    assert not [line for line in unexpected if not re.match("WARNING parsing POST /", line)], said
    return name


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("clients"), server_url) as service:
        yield service


def drafted(service: Service) -> dict[str, Any]:
    """The payload of these tables with the OpenAPI document that ``/swagger`` drafts for them."""
    related = {"relationships": {"manyToMany": [["people", "badge"]]}}
    assert service.put("/tableschema/1", {**PEOPLE, **related}).status_code == 200
    assert service.put("/tableschema/2", BADGE).status_code == 200
    document = payload(PEOPLE, BADGE, pairs=[("people", "badge")])
    api = service.get("/swagger").json()["swagger"]
    document["data_resource_schema"]["api"]["apiSpec"] = api
    return document


@pytest.fixture(scope="module", params=["filled", "drafted"])
def generated(
    request: pytest.FixtureRequest,
    service: Service,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Generated]:
    """A client of a document that only names the operations, and one of a drafted document."""
    documents = {
        "filled": lambda: payload(PEOPLE, BADGE, pairs=[("people", "badge")]),
        "drafted": lambda: drafted(service),
    }
    service.reset()
    service.generate(documents[request.param]())
    folder = tmp_path_factory.mktemp(request.param)
    name = generate(folder, f"client_of_{request.param}", service)
    sys.path.insert(0, str(folder))
    try:
        generated = Generated(name, service.url)
        with generated.client:
            yield generated
    finally:
        sys.path.remove(str(folder))


def test_a_row_is_created_read_and_changed(generated: Generated) -> None:
    models = generated.models
    new = models.PeopleNew(
        name="Ada", kind=models.PeopleNewKindType1.A, born=None, score=1.5, from_="London", tags=[1]
    )
    answer = generated.call("people.create_people", body=new)
    assert answer.status_code == 201
    key = answer.parsed.id
    assert answer.headers["Location"] == f"/people/{key}"

    row = generated.call("people.read_people", key).parsed
    assert isinstance(row, models.People)
    assert (row.id, row.name, row.kind, row.born) == (key, "Ada", "a", None)
    assert (row.score, row.from_, row.tags) == (1.5, "London", [1])

    change = models.PeopleChange(kind=models.PeopleChangeKindType1.B)
    answer = generated.call("people.modify_people", key, body=change)
    assert answer.parsed.message == "Successfully updated resource."
    row = generated.call("people.read_people", key).parsed
    assert (row.name, row.kind) == ("Ada", "b")


def test_a_change_of_another_state_is_refused(generated: Generated) -> None:
    """``If-Match`` with the ETag that was read; a client that has the state is told so (304)."""
    models = generated.models
    key = generated.call("people.create_people", body=models.PeopleNew(name="E")).parsed.id
    etag = generated.call("people.read_people", key).headers["ETag"]
    assert generated.call("people.read_people", key, if_none_match=etag).status_code == 304
    change = models.PeopleChange(name="F")
    assert (
        generated.call("people.modify_people", key, body=change, if_match=etag).status_code == 200
    )
    answer = generated.call("people.modify_people", key, body=change, if_match=etag)
    assert answer.status_code == 412
    assert isinstance(answer.parsed, models.Refusal)
    assert generated.call("people.read_people", key).headers["ETag"] == answer.headers["ETag"]


def test_bad_input_is_an_error_with_its_faults(generated: Generated) -> None:
    models = generated.models
    answer = generated.call("people.create_people", body=models.PeopleNew(name="A" * 13, score=-1))
    assert answer.status_code == 400
    assert isinstance(answer.parsed, models.Refusal)
    assert [line.partition(":")[0] for line in answer.parsed.errors] == ["name", "score"]
    answer = generated.call("people.read_people", 2**31 - 1)
    assert answer.status_code == 404
    assert answer.parsed.error


def test_many_rows_are_added_and_changed(generated: Generated) -> None:
    models = generated.models
    many = [models.PeopleNew(name=f"M{number}", mail=f"m{number}@x.org") for number in range(3)]
    answer = generated.call("people.create_people", body=many)
    assert (answer.status_code, len(answer.parsed.ids)) == (201, 3)
    again = generated.call("people.create_people", body=many)
    assert (again.status_code, len(again.parsed.errors)) == (409, 3)
    merged = generated.call(
        "people.create_people", body=many, on_conflict="mail", prefer="resolution=merge-duplicates"
    )
    assert (merged.parsed.added, merged.parsed.updated) == (0, 3)


def test_several_operations_are_run_at_once(generated: Generated) -> None:
    models = generated.models
    method = models.BatchOperationMethod
    add = models.BatchOperation(method=method.POST, path="/people", id="new", body={"name": "B"})
    badge = models.BatchOperation(method=method.POST, path="/badge", id="got", body={"title": "b"})
    relate = models.BatchOperation(
        method=method.PUT, path="/people/{new#/id}/badge", body=[{"$ref": "got#/id"}]
    )
    answer = generated.call("batch.batch", body=models.BatchRequest([add, badge, relate]))
    assert answer.status_code == 200
    results = answer.parsed.results
    assert [result.status for result in results] == [201, 201, 200]
    assert results[2].body == [results[1].body["id"]]
    refused = generated.call("batch.batch", body=models.BatchRequest([relate]))
    assert refused.status_code == 400
    assert refused.parsed.errors[0].startswith("operations[0]")


def test_rows_are_related(generated: Generated) -> None:
    models = generated.models
    person = generated.call("people.create_people", body=models.PeopleNew(name="R")).parsed.id
    badges = [
        generated.call("badge.create_badge", body=models.BadgeNew(title=title)).parsed.id
        for title in "ab"
    ]
    answer = generated.call("people.relate_people_badge", person, body=badges)
    assert answer.parsed == badges
    assert generated.call("people.related_people_badge", person).parsed == badges
    answer = generated.call("people.relate_people_badge", person, body=[badges[0], 999])
    assert "999" in answer.parsed.errors[0]


def test_rows_are_listed_in_pages_and_looked_for(generated: Generated) -> None:
    models = generated.models
    for name in ("P1", "P2"):
        generated.call("people.create_people", body=models.PeopleNew(name=name))
    page = generated.call("people.list_people", limit=1).parsed
    assert len(page.people) == 1
    assert isinstance(page.people[0], models.People)
    assert "next" in [link.rel for link in page.links]
    found = generated.call("people.query_people", body=models.PeopleQuery(name="P2")).parsed
    assert [row.name for row in found.results] == ["P2"]


def test_questions_are_asked(generated: Generated) -> None:
    """Every field is a parameter; all of them are one argument, ``filter_``."""
    models = generated.models
    for name, score in (("Q1", 1), ("Q2", 2), ("Q3", 3)):
        generated.call("people.create_people", body=models.PeopleNew(name=name, score=score))
    asked = models.PeopleFilter(name="like.Q*", score="gte.2")
    answer = generated.call(
        "people.list_people",
        filter_=asked,
        order="score.desc",
        select="name",
        count=models.ListPeopleCount.EXACT,
    )
    assert [row.name for row in answer.parsed.people] == ["Q3", "Q2"]
    assert answer.headers["Content-Range"] == "0-1/2"
    asked = models.PeopleFilter.from_dict({"badge": "is.null", "name": "eq.Q1"})
    page = generated.call("people.list_people", filter_=asked, select="*,badge()").parsed
    assert [row.name for row in page.people] == ["Q1"]
    answer = generated.call("people.list_people", or_="(name.eq.Q1,name.eq.Q3)", order="name")
    assert [row.name for row in answer.parsed.people] == ["Q1", "Q3"]
    refused = generated.call("people.list_people", filter_=models.PeopleFilter(name="liek.Q*"))
    assert "like" in refused.parsed.errors[0]
    query = models.PeopleQuery.from_dict({"name": "Q2", "select": "score"})
    assert [
        row.score for row in generated.call("people.query_people", body=query).parsed.results
    ] == [2]

"""Bad input, generated: no 5xx, no traceback, and everything as before.

The short version runs with the suite; ``make soak`` runs many more cases, and other ones each time.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from tests.service import Service, running, workforce

SHORT = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    database=None,
)
LONG = settings(SHORT, max_examples=5_000, derandomize=False)

VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    2**70,
    "",
    "x",
    "id",
    "query",
    "generator",
    "é" * 40,
    "%s",
    "'",
    [],
    {},
    [[]],
    ["id"],
    [None],
    {"x": 1},
    {"$ref": "#/nowhere"},
    "#/components/schemas/Provider",
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    """A live data resource of the example's, for bad requests."""
    with running(tmp_path_factory.mktemp("fuzz"), server_url) as service:
        service.generate(workforce())
        yield service


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        # A kept connection that the server has just closed: any HTTP client asks again.
        again = Retry(total=None, read=3, connect=0, allowed_methods=None, backoff_factor=0)
        session.mount("http://", HTTPAdapter(max_retries=again))
        yield session


# ── documents ────────────────────────────────────────────────────────────────────────────────────


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside a document."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def mutated(document: Any, chance: random.Random) -> Any:
    """A copy of a document with one to three of its values removed, retyped, renamed or doubled."""
    document = copy.deepcopy(document)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        # As often in the data dictionary, the small part, as in the OpenAPI document.
        paths = list(places(document))
        if not paths:
            break
        in_data = [path for path in paths if path[:2] == ("data_resource_schema", "data")]
        *parents, last = chance.choice(in_data if in_data and chance.random() < 0.6 else paths)
        holder = document
        for step in parents:
            holder = holder[step]
        operation = chance.choice(("remove", "retype", "rename", "double", "swap"))
        if operation == "remove":
            del holder[last]
        elif operation == "rename" and isinstance(holder, dict):
            holder[chance.choice(("x", str(last).upper(), f"{last} ", "type", "name"))] = (
                holder.pop(last)
            )
        elif operation == "double" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[last]))
        elif operation == "swap" and isinstance(holder, (dict, list)):
            other = chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
            holder[last], holder[other] = holder[other], holder[last]
        else:
            holder[last] = copy.deepcopy(chance.choice(VALUES))
    return document


class State:
    """All that a refused payload must leave as it was."""

    def __init__(self, service: Service) -> None:
        assert service.database is not None
        self.tables = service.database.tables()
        self.generations = service.execute("SELECT id, digest FROM admin.generation")
        self.copy = (service.static / "data_resource_generation_payload.json").read_bytes()
        self.openapi = (service.static / "swagger.json").read_bytes()
        self.live = service.get("/generator").content


def check_document(service: Service, session: requests.Session, document: Any) -> None:
    before = State(service)
    response = session.post(
        service.url + "/generator",
        data=json.dumps(document),
        headers={"Content-Type": "application/json"},
        timeout=60,
    )
    assert response.status_code in (204, 400, 409), response.text
    if response.status_code == 204:
        # Not everything that was changed matters: then it is what is live, or lives beside it.
        assert State(service).tables == before.tables
    else:
        assert response.json()["error"]
        assert vars(State(service)) == vars(before)


def documents(service: Service, session: requests.Session, chosen: settings) -> None:
    original = workforce()

    @chosen
    @given(seed=st.integers(0, 2**64), touch=st.booleans(), ignore=st.booleans())
    def check(seed: int, touch: bool, ignore: bool) -> None:
        chance = random.Random(seed)
        document = mutated(original, chance)
        if isinstance(document, dict):
            if not touch:
                document["touch_database"] = False
            if ignore and chance.random() < 0.5:
                document["ignore_validation"] = None
        check_document(service, session, document)

    check()
    service.generate({**original, "touch_database": False})


def test_a_changed_document_is_accepted_whole_or_refused_whole(
    service: Service, session: requests.Session
) -> None:
    documents(service, session, SHORT)
    assert "Traceback" not in service.log()


@pytest.mark.soak
def test_many_changed_documents_are_accepted_whole_or_refused_whole(
    service: Service, session: requests.Session
) -> None:
    documents(service, session, LONG)
    assert "Traceback" not in service.log()


# ── requests on generated routes ─────────────────────────────────────────────────────────────────

text = st.text(max_size=12)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**80), max_value=2**80)
    | st.floats(allow_nan=True)
    | text
    | st.sampled_from(VALUES),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(text, children, max_size=3),
    max_leaves=6,
)
TABLES = ("provider", "program", "credential", "participant", "enrollment")
FIELDS = sorted(
    {
        field["name"]
        for entry in workforce()["data_resource_schema"]["data"]["dataDictionary"]
        for field in entry["tableSchema"]["fields"]
    }
)
segments = (
    st.sampled_from([*TABLES, "query", "1", "0", "-1", "x", "", "é", "%00", "a/b"]) | text
).filter(lambda segment: ".." not in segment)  # leads clients to the pages, which are HTML
rows = st.dictionaries(st.sampled_from(FIELDS) | text, json_values, max_size=6)
bodies = (
    json_values.map(json.dumps)
    | rows.map(json.dumps)
    | st.binary(max_size=40)
    | st.sampled_from(["", "{", "[", '{"a":', "\\", '"\\ud800"', "1e400", "[1,]", "{'a': 1}"])
)
queries = st.lists(
    st.tuples(
        st.sampled_from(["offset", "limit", "order", "x", "", "Offset"]) | text,
        st.sampled_from(["0", "1", "-1", "20", "1e3", "", "x", str(2**63), str(10**30), "１"])
        | text,
    ),
    max_size=3,
)
media_types = st.sampled_from(
    ["application/json", "application/json", "application/json", "text/plain", "a/b;c", "", "é"]
)


def requests_of_all_kinds(service: Service, session: requests.Session, chosen: settings) -> None:
    @chosen
    @given(
        method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "X"]),
        table=st.sampled_from(TABLES),
        more=st.lists(segments, max_size=3),
        query=queries,
        body=bodies,
        media_type=media_types,
    )
    def check(
        method: str,
        table: str,
        more: list[str],
        query: list[tuple[str, str]],
        body: str | bytes,
        media_type: str,
    ) -> None:
        path = "/".join(quote(segment, safe="%") for segment in ("", table, *more))
        data = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
        response = session.request(
            method,
            service.url + path,
            params=[(name.encode("utf-8", "replace"), value) for name, value in query],
            data=data,
            headers={"Content-Type": media_type.encode()},
            timeout=60,
            allow_redirects=False,
        )
        assert response.status_code < 500, (method, path, query, data, response.text)
        if response.content:
            response.json()

    check()


def test_a_request_of_any_kind_is_answered_in_json_and_never_by_a_5xx(
    service: Service, session: requests.Session
) -> None:
    requests_of_all_kinds(service, session, settings(SHORT, max_examples=400))
    assert "Traceback" not in service.log()


@pytest.mark.soak
def test_many_requests_of_any_kind_are_answered_in_json_and_never_by_a_5xx(
    service: Service, session: requests.Session
) -> None:
    requests_of_all_kinds(service, session, settings(LONG, max_examples=30_000))
    assert "Traceback" not in service.log()


def test_rows_that_are_accepted_come_back_and_can_be_sent_back(
    service: Service, session: requests.Session
) -> None:
    """Whatever the values: what was accepted is a row that the service gives and takes again."""
    schema = service.get("/static/swagger.json").json()["paths"]["/credential"]["post"]
    example = schema["requestBody"]["content"]["application/json"]["example"]
    accepted = 0

    @settings(SHORT, max_examples=200)
    @given(
        likely=st.fixed_dictionaries(
            {},
            optional={
                "name": st.text(min_size=2, max_size=100),
                "issuer": st.text(min_size=2, max_size=100),
                "valid_years": st.integers(1, 10) | st.none(),
                "exam_fee": st.integers(0, 10**30) | st.floats(0, 1e300) | st.none(),
            },
        ),
        changes=st.dictionaries(st.sampled_from(sorted(example)), json_values, max_size=1)
        | st.just({}),
    )
    def check(likely: dict[str, Any], changes: dict[str, Any]) -> None:
        nonlocal accepted
        row = {**example, **likely, **changes}
        response = session.put(
            f"{service.url}/credential/77",
            data=json.dumps(row),
            headers={"Content-Type": "application/json"},
            timeout=60,
        )
        assert response.status_code in (200, 201, 400, 409), response.text
        if response.status_code < 300:
            accepted += 1
            given_back = session.get(f"{service.url}/credential/77", timeout=60).content
            again = session.put(
                f"{service.url}/credential/77",
                data=given_back,
                headers={"Content-Type": "application/json"},
                timeout=60,
            )
            assert again.status_code == 200, (given_back, again.text)
            assert session.get(f"{service.url}/credential/77", timeout=60).content == given_back

    check()
    assert accepted > 10

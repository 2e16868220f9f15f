"""Two people at once: entity tags, and changes that are made only to what their client has seen."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.rest.tables import PLACE
from tests.service import Service, entry, payload, running

NOTE = entry(
    "note",
    {"name": "text", "type": "string"},
    {"name": "count", "type": "integer"},
    {"name": "price", "type": "number"},
    {"name": "secret", "type": "string", "protected": True},
)
NOTE["encryptionSchema"] = {"secret": {"type": "AES_256_GCM", "key": "NOTE_KEY"}}
LABEL = entry("label")
#: Its rows can be changed and not be read.
BLIND = entry("blind", {"name": "text", "type": "string"})
DOCUMENT = payload(NOTE, LABEL, PLACE, BLIND, pairs=[("place", "label"), ("note", "label")])
del DOCUMENT["data_resource_schema"]["api"]["apiSpec"]["paths"]["/blind/{id}"]["get"]

STALE = '"00000000000000000000000000000000"'


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("conditional")
    with running(folder, server_url, NOTE_KEY="a key") as service:
        service.generate(DOCUMENT)
        yield service


@pytest.fixture(autouse=True)
def _rows(service: Service) -> None:
    service.execute(
        'TRUNCATE note, label, place, blind, "label/note", "label/place" RESTART IDENTITY'
    )
    service.execute("INSERT INTO label SELECT FROM generate_series(1, 5)")
    row = {"text": "one", "count": 1, "price": 1.50, "secret": "hidden"}
    assert service.post("/note", row).status_code == 201
    assert service.post("/blind", {"text": "one"}).status_code == 201


def tag(service: Service, path: str = "/note/1") -> str:
    return service.get(path).headers["ETag"]


def change(service: Service, verb: str, path: str, body: Any, **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return service.request(verb, path, body, headers=named)


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/note/1", "/note", "/note?limit=1", "/note/1/label", "/label"])
def test_every_row_and_page_has_a_tag_that_answers_304(service: Service, path: str) -> None:
    first = service.get(path)
    assert first.headers["ETag"].startswith('"')
    for tags in (first.headers["ETag"], "*", f'"x", W/{first.headers["ETag"]}'):
        again = service.get(path, headers={"If-None-Match": tags})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        assert again.headers["DRG-Version"] == first.headers["DRG-Version"]
        assert "Content-Type" not in again.headers
    assert service.get(path, headers={"If-None-Match": STALE}).json() == first.json()
    head = service.request("HEAD", path)
    assert head.headers["ETag"] == first.headers["ETag"]
    asked = {"If-None-Match": first.headers["ETag"]}
    assert service.request("HEAD", path, headers=asked).status_code == 304


def test_a_query_has_a_tag(service: Service) -> None:
    first = service.post("/note/query", {"count": 1})
    again = service.post(
        "/note/query", {"count": 1}, headers={"If-None-Match": first.headers["ETag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


def test_the_connection_goes_on_after_a_304(service: Service) -> None:
    with requests.Session() as session:
        seen = tag(service)
        for _ in range(3):
            url = f"{service.url}/note/1"
            assert session.get(url, headers={"If-None-Match": seen}).status_code == 304
            assert session.get(url).status_code == 200


def test_a_refusal_has_no_tag(service: Service) -> None:
    assert "ETag" not in service.get("/note/99").headers
    assert service.get("/note/99", headers={"If-None-Match": "*"}).status_code == 404


def test_a_tag_changes_with_the_row_and_comes_back_with_it(service: Service) -> None:
    """It is a hash of the row, protected values included, and not of how it is stored."""
    first = tag(service)
    for field, value, former in (("text", "two", "one"), ("secret", "x", "hidden")):
        service.patch("/note/1", {field: value})
        assert tag(service) != first
        service.patch("/note/1", {field: former})
        assert tag(service) == first


def test_a_tag_survives_a_restart(service: Service) -> None:
    first = tag(service), tag(service, "/note"), tag(service, "/note/1/label")
    service.stop()
    service.start()
    assert first == (tag(service), tag(service, "/note"), tag(service, "/note/1/label"))


def test_a_read_may_ask_for_one_state_only(service: Service) -> None:
    assert service.get("/note/1", headers={"If-Match": tag(service)}).status_code == 200
    assert service.get("/note/1", headers={"If-Match": STALE}).status_code == 412


# ── changing a row ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("verb", ["PUT", "PATCH"])
def test_a_change_of_what_the_client_has_seen_is_made_and_tells_the_new_tag(
    service: Service, verb: str
) -> None:
    answer = change(service, verb, "/note/1", {"text": "two"}, If_Match=tag(service))
    assert answer.status_code == 200
    assert answer.json() == {"message": "Successfully updated resource.", "id": 1}
    assert answer.headers["ETag"] == tag(service)
    assert service.get("/note/1").json()["text"] == "two"


@pytest.mark.parametrize("verb", ["PUT", "PATCH"])
def test_a_change_of_something_else_is_refused_with_the_present_tag(
    service: Service, verb: str
) -> None:
    seen = tag(service)
    service.patch("/note/1", {"count": 2})
    answer = change(service, verb, "/note/1", {"text": "two"}, If_Match=seen)
    assert answer.status_code == 412
    assert answer.json() == {
        "error": "This has changed. GET it again, and make your change to what it is now."
    }
    assert answer.headers["ETag"] == tag(service)
    assert service.get("/note/1").json()["text"] == "one"


def test_one_of_several_tags_is_enough_and_a_weak_one_never_is(service: Service) -> None:
    seen = tag(service)
    assert change(service, "PATCH", "/note/1", {}, If_Match=f'{STALE},, "a,b" , {seen}').ok
    answer = change(service, "PATCH", "/note/1", {}, If_Match=f"W/{seen}")
    assert answer.status_code == 412
    assert "without W/" in answer.json()["error"]


def test_a_star_matches_what_exists(service: Service) -> None:
    assert change(service, "PUT", "/note/1", {"text": "x"}, If_Match="*").status_code == 200
    missing = change(service, "PUT", "/note/9", {"text": "x"}, If_Match="*")
    assert missing.status_code == 412
    assert "If-None-Match: *" in missing.json()["error"]
    assert change(service, "PUT", "/note/9", {"text": "x"}, If_Match=STALE).status_code == 412
    assert change(service, "PATCH", "/note/9", {"text": "x"}, If_Match="*").status_code == 404
    assert service.get("/note/9").status_code == 404


def test_a_put_may_only_create(service: Service) -> None:
    made = change(service, "PUT", "/note/9", {"text": "x"}, If_None_Match="*")
    assert made.status_code == 201
    assert made.headers["ETag"] == tag(service, "/note/9")
    again = change(service, "PUT", "/note/9", {"text": "y"}, If_None_Match="*")
    assert again.status_code == 412
    assert again.headers["ETag"] == made.headers["ETag"]
    assert service.get("/note/9").json()["text"] == "x"


def test_of_many_that_create_at_once_one_does(service: Service) -> None:
    def create(number: int) -> int:
        return change(service, "PUT", "/note/50", {"count": number}, If_None_Match="*").status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(create, range(16))) == [201] + [412] * 15


def test_a_state_may_be_excluded(service: Service) -> None:
    seen = tag(service)
    answer = change(service, "PATCH", "/note/1", {"count": 2}, If_None_Match=f"W/{seen}")
    assert answer.status_code == 412
    assert change(service, "PATCH", "/note/1", {"count": 2}, If_None_Match=STALE).ok


@pytest.mark.parametrize("tags", ["abc", '"a', '"a" "b"', '"a b"', 'w/"a"', '*, "a"', ",", '"a",*'])
@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
def test_what_is_no_tag_is_refused(service: Service, header: str, tags: str) -> None:
    """Ignoring it would make a change that its client wanted to be careful with."""
    answer = service.patch("/note/1", {"count": 2}, headers={header: tags})
    assert answer.status_code == 400
    assert header in answer.json()["error"]
    assert service.get("/note/1").json()["count"] == 1


def test_a_plain_change_tells_no_tag(service: Service) -> None:
    assert "ETag" not in service.patch("/note/1", {"count": 2}).headers


def test_what_a_condition_cannot_save_is_refused_as_ever(service: Service) -> None:
    seen = tag(service)
    assert change(service, "PATCH", "/note/1", {"count": "x"}, If_Match=seen).status_code == 400
    assert change(service, "PATCH", "/note/x", {}, If_Match=seen).status_code == 404
    assert change(service, "POST", "/note", {}, If_Match=seen).status_code == 201


def test_who_cannot_read_a_row_learns_nothing_of_it_by_tags(service: Service) -> None:
    """A tag is a hash of the row, and comparing one would tell whether a guess is right."""
    answer = change(service, "PATCH", "/blind/1", {"text": "x"}, If_Match=STALE)
    assert answer.status_code == 403
    assert "ETag" not in answer.headers
    answer = change(service, "PATCH", "/blind/1", {"text": "x"}, If_Match="*")
    assert answer.status_code == 200
    assert "ETag" not in answer.headers
    answer = change(service, "PUT", "/blind/1", {"text": "x"}, If_None_Match="*")
    assert answer.status_code == 412
    assert "ETag" not in answer.headers


def test_a_row_of_any_key_is_changed_on_conditions(service: Service) -> None:
    path = "/place/a~2Fb~2C,2001-02-03"
    made = change(service, "PUT", path, {"name": "x"}, If_None_Match="*")
    assert made.status_code == 201, made.text
    assert made.headers["ETag"] == tag(service, path)
    assert change(service, "PUT", path, {"name": "y"}, If_None_Match="*").status_code == 412
    assert change(service, "PATCH", path, {"name": "y"}, If_Match=STALE).status_code == 412
    assert change(service, "PATCH", path, {"name": "y"}, If_Match=made.headers["ETag"]).ok
    related = f"{path}/label"
    assert change(service, "PUT", related, [1], If_Match=STALE).status_code == 412
    assert change(service, "PUT", related, [1], If_Match=tag(service, related)).json() == [1]


# ── changing a list of related rows ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("verb", ["PUT", "PATCH"])
def test_a_related_list_is_changed_if_it_is_what_the_client_has_seen(
    service: Service, verb: str
) -> None:
    path = "/note/1/label"
    seen = tag(service, path)
    answer = change(service, verb, path, [1, 2], If_Match=seen)
    assert (answer.status_code, answer.json()) == (200, [1, 2])
    assert answer.headers["ETag"] == tag(service, path)
    answer = change(service, verb, path, [3], If_Match=seen)
    assert answer.status_code == 412
    assert service.get(path).json() == [1, 2]
    assert change(service, verb, "/note/9/label", [3], If_Match=seen).status_code == 404


def test_of_many_that_change_a_related_list_at_once_from_both_sides_none_is_lost(
    service: Service,
) -> None:
    """Each adds or removes its own id, by reading, changing and writing the whole list."""
    path = "/note/1/label"

    def add(label: int) -> None:
        while True:
            answer = service.get(path)
            body = [*answer.json(), label]
            if change(service, "PUT", path, body, If_Match=answer.headers["ETag"]).ok:
                return

    service.put(path, [5])
    with ThreadPoolExecutor(5) as pool:
        done = [pool.submit(add, label) for label in (1, 2, 3, 4)]
        done.append(pool.submit(service.put, "/label/5/note", []))
        for one in done:
            one.result()
    assert service.get(path).json() == [1, 2, 3, 4]


# ── no update is lost ────────────────────────────────────────────────────────────────────────────


def count_up(service: Service, times: int, failed: list[int]) -> None:
    """Read, add one, write if nobody else has; until that was so as often as asked."""
    url = f"{service.url}/note/1"
    with requests.Session() as session:
        for _ in range(times):
            while True:
                read = session.get(url)
                body = {"count": read.json()["count"] + 1}
                answer = session.patch(url, json=body, headers={"If-Match": read.headers["ETag"]})
                if answer.status_code == 200:
                    break
                assert answer.status_code == 412, answer.text
                failed.append(1)


@pytest.mark.parametrize("times", [300, pytest.param(10_000, marks=pytest.mark.soak)])
def test_two_clients_that_read_change_and_write_lose_no_update(
    service: Service, times: int
) -> None:
    """Against two workers; without If-Match most runs lose many."""
    service.patch("/note/1", {"count": 0})
    failed: list[int] = []
    clients = [
        threading.Thread(target=count_up, args=(service, times // 2, failed)) for _ in range(2)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert service.get("/note/1").json()["count"] == times
    assert failed, "the clients never met"


# ── DRG_REQUIRE_IF_MATCH ─────────────────────────────────────────────────────────────────────────


def test_changes_may_have_to_say_what_they_were_made_for(
    tmp_path_factory: pytest.TempPathFactory, server_url: str
) -> None:
    folder = tmp_path_factory.mktemp("required")
    with running(
        folder, server_url, workers=1, NOTE_KEY="a key", DRG_REQUIRE_IF_MATCH="1"
    ) as service:
        service.generate(DOCUMENT)
        assert service.post("/note", {"text": "one"}).status_code == 201
        assert service.post("/label", {}).status_code == 201
        for verb, path, body in (
            ("PUT", "/note/1", {"text": "x"}),
            ("PUT", "/note/2", {"text": "x"}),
            ("PATCH", "/note/1", {"text": "x"}),
            ("PUT", "/note/1/label", [1]),
        ):
            answer = service.request(verb, path, body)
            assert answer.status_code == 428, (verb, path)
            assert "If-Match" in answer.json()["error"]
            assert ("If-None-Match: *" in answer.json()["error"]) == (
                path.count("/") == 2 and verb == "PUT"
            )
        excluded = change(service, "PATCH", "/note/1", {}, If_None_Match=STALE)
        assert excluded.status_code == 428
        assert service.get("/note/1").json()["text"] == "one"
        assert change(service, "PATCH", "/note/1", {"text": "x"}, If_Match=tag(service)).ok
        assert change(service, "PATCH", "/note/1", {"text": "x"}, If_Match="*").ok
        made = change(service, "PUT", "/note/2", {"text": "x"}, If_None_Match="*")
        assert made.status_code == 201
        assert change(
            service, "PUT", "/note/1/label", [1], If_Match=tag(service, "/note/1/label")
        ).ok
        assert service.patch("/note/1/label", [1]).status_code == 200

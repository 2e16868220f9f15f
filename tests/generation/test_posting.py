"""POST /generator and what is live afterwards, against two workers."""

from __future__ import annotations

import copy
import json
import threading
from pathlib import Path
from typing import Any

from tests.generation.live import AGE, NAME, answers, stored
from tests.service import Service, entry, payload, workforce


def test_nothing_generated_yet_is_ready_and_says_what_to_do(service: Service) -> None:
    assert service.get("/-/ready").status_code == 200
    assert service.get("/-/health").status_code == 200
    response = service.get("/generator")
    assert response.status_code == 404
    assert "POST" in response.json()["error"]
    assert service.get("/static/swagger.json").status_code == 404
    assert service.get("/people").status_code == 404


def test_after_the_204_every_worker_answers_by_the_new_api(service: Service) -> None:
    people = entry("people", NAME)
    response = service.post("/generator", payload(people))
    assert (response.status_code, response.content) == (204, b"")
    assert answers(service, "/people") == {200}, "a route added"

    # A field renamed and a verb removed, after a migration by hand.
    service.execute("ALTER TABLE people RENAME COLUMN name TO full_name")
    renamed = payload(entry("people", {"name": "full_name", "type": "string"}))
    del renamed["data_resource_schema"]["api"]["apiSpec"]["paths"]["/people"]["post"]
    service.put("/people/1", {})
    service.generate({**renamed, "touch_database": False})
    for _ in range(200):
        assert list(service.get("/people").json()["people"][0]) == ["id", "full_name"]
    assert answers(service, "/people", method="POST") == {405}, "a verb removed"

    del renamed["data_resource_schema"]["api"]["apiSpec"]["paths"]["/people"]
    service.generate({**renamed, "touch_database": False})
    assert answers(service, "/people") == {404}, "a path removed"
    assert answers(service, "/people/1") == {200}


def test_a_second_host_follows_within_two_seconds(service: Service, tmp_path: Path) -> None:
    other = Service(tmp_path / "other", service.database, workers=1)
    try:
        other.start()
        service.generate(payload(entry("people", NAME)))
        import time

        time.sleep(2)
        assert answers(other, "/people", 20) == {200}
    finally:
        other.stop()


def test_get_generator_tells_what_is_live(service: Service) -> None:
    document = workforce()
    document["data_resource_schema"]["api"]["apiSpec"]["paths"]["/nobody"] = {
        "get": {"responses": {"200": {"description": "?"}}}
    }
    service.generate(document)
    live = service.get("/generator").json()
    assert live["name"] == document["data_resource_schema"]["name"]
    assert len(live["version"]) == 64
    assert live["tables"][0]["name"] == "provider"
    assert "GET /provider" in live["operations"]
    assert live["public"] == []
    assert {"operation": "GET /nobody", "reason": 'no table is called "nobody"'} in live[
        "unmatched"
    ]
    assert any(item["operation"] == "PUT /participant/{id}" for item in live["disabled"])
    assert live["apiOnly"] == []


def test_rules_that_only_the_api_holds_are_told(service: Service) -> None:
    word = {"name": "word", "type": "string", "constraints": {"pattern": r"\bword\b"}}
    service.generate(payload(entry("t", word)))
    assert service.get("/generator").json()["apiOnly"] == [
        {
            "table": "t",
            "field": "word",
            "constraint": "pattern",
            "reason": "PostgreSQL has no pattern of the same meaning for string",
        }
    ]
    assert service.post("/t", {"word": "words"}).status_code == 400
    assert service.post("/t", {"word": "word"}).status_code == 201


def test_the_live_document_is_served_and_nothing_else_under_static(service: Service) -> None:
    service.generate(workforce())
    document = service.get("/static/swagger.json")
    paths = workforce()["data_resource_schema"]["api"]["apiSpec"]["paths"]
    assert document.json()["paths"].keys() == {*paths, "/-/batch"}
    assert document.json()["servers"] == [{"url": "/"}]
    for path in (
        "/static/data_resource_generation_payload.json",
        "/static/",
        "/static/../wsgi.py",
        "/static/%2e%2e/wsgi.py",
        "/static/.live",
        "/static/README.md",
    ):
        assert service.get(path).status_code == 404, path


def test_the_payload_that_is_live_can_be_posted_again(service: Service) -> None:
    service.generate(workforce())
    before = stored(service)
    reordered = json.dumps(workforce(), sort_keys=True, indent=7)
    assert service.post("/generator", reordered).status_code == 204
    assert service.post("/generator", {**workforce(), "ignore_validation": None}).status_code == 204
    assert stored(service) == before


def test_two_generations_at_once_wait_for_each_other(service: Service) -> None:
    documents = [payload(entry("people", NAME)), payload(entry("people", NAME, AGE))]
    statuses: list[int] = []

    def post(document: Any) -> None:
        statuses.append(service.post("/generator", document).status_code)

    threads = [threading.Thread(target=post, args=(document,)) for document in documents * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {204, 409}
    assert statuses.count(204) == 4
    fields = service.get("/generator").json()["tables"][0]["fields"]
    assert (
        json.loads(stored(service))["data_resource_schema"]["data"]["dataDictionary"][0][
            "tableSchema"
        ]["fields"][-1]["name"]
        == fields[-1]
    )


def test_the_old_name_of_the_schema_is_accepted(service: Service) -> None:
    document = payload(entry("people", NAME))
    service.generate({"data_catalog": document["data_resource_schema"]})
    assert service.get("/people").status_code == 200


def test_ignore_validation_skips_the_rules_and_not_the_reading(service: Service) -> None:
    document = payload(entry("people", NAME))
    schema = document["data_resource_schema"]
    schema["api"]["apiSpec"] = {"paths": {"/people": {"get": {}}}}  # no OpenAPI document
    assert service.post("/generator", document).status_code == 400
    broken = copy.deepcopy(document)
    broken["data_resource_schema"]["api"]["apiSpec"]["paths"] = 5
    broken["ignore_validation"] = False
    assert service.post("/generator", broken).status_code == 400
    service.generate({**document, "ignore_validation": False})
    assert service.get("/people").status_code == 200


def test_metadata_is_kept_verbatim(service: Service) -> None:
    document = payload(entry("people", NAME))
    schema = document["data_resource_schema"]
    schema |= {"@context": ["x"], "@id": "y", "ownerOrg": [{"z": 1.10}], "published": True}
    text = json.dumps(document).replace("1.1", "1.10")
    assert service.post("/generator", text).status_code == 204
    kept = json.loads(stored(service))
    assert {**kept} == document
    assert b"1.10" in stored(service)

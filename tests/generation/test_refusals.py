"""What POST /generator refuses, and that nothing has changed then."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from tests.generation.live import AGE, NAME, answers, stored
from tests.service import Service, entry, payload


def test_a_different_payload_over_existing_tables_is_409_and_names_them(service: Service) -> None:
    service.generate(payload(entry("people", NAME)))
    before = stored(service)
    for other in (entry("people", NAME, AGE), entry("unrelated", NAME)):
        response = service.post("/generator", payload(other))
        assert response.status_code == 409
        assert response.json()["errors"] == ["people: the table exists."]
        assert "touch_database" in response.json()["error"]
    assert service.database is not None
    assert service.database.tables() == ["people"]
    assert stored(service) == before
    assert answers(service, "/people", 20) == {200}


def test_tables_that_nobody_names_are_none_of_its_business(service: Service) -> None:
    assert service.database is not None
    service.execute("CREATE TABLE somebody_elses (x int)")
    service.generate(payload(entry("people", NAME)))
    assert service.database.tables() == ["people", "somebody_elses"]


def test_a_refused_payload_changes_nothing(service: Service) -> None:
    document = payload(entry("people", NAME), entry("bad", {"name": "x", "type": "strin"}))
    response = service.post("/generator", document)
    assert response.status_code == 400
    place = "data.dataDictionary[1].tableSchema.fields[1].type"
    assert response.json()["errors"] == [
        f'{place}: "strin" is not a Table Schema type; did you mean "string"?'
    ]
    assert service.database is not None
    assert service.database.tables() == []
    assert service.get("/people").status_code == 404
    assert not (service.static / "data_resource_generation_payload.json").exists()


def test_a_table_that_the_database_refuses_leaves_none_of_the_others(service: Service) -> None:
    assert service.database is not None
    service.execute("CREATE VIEW pk_second AS SELECT 1")  # has the name of the key's index
    response = service.post("/generator", payload(entry("first", NAME), entry("second", NAME)))
    assert response.status_code == 409
    assert "pk_second" in response.json()["errors"][0]
    assert service.database.tables() == []
    assert service.get("/generator").status_code == 404


def test_a_static_folder_that_cannot_be_written_changes_nothing(service: Service) -> None:
    service.generate(payload(entry("people", NAME)))
    blocked = service.static / "swagger.json"
    blocked.unlink()
    service.static.rename(service.folder / "aside")
    service.static.write_text("a file where the folder should be")
    changed = payload(entry("people", NAME, AGE))
    response = service.post("/generator", {**changed, "touch_database": False})
    assert response.status_code in (409, 503)
    service.static.unlink()
    (service.folder / "aside").rename(service.static)
    assert answers(service, "/people", 10) == {200}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "must be a JSON object"),
        (b"{}", "data_resource_schema"),
        (b'{"data_resource_schema": 5}', "must be an object"),
        (b'{"data": {}, "api": {}}', "bare Data Resource Schema"),
        (b'{"data_resource_schema": {}}', "fault"),
    ],
)
def test_what_is_no_payload_is_refused(tmp_path: Path, body: bytes, said: str) -> None:
    from data_resource_api import compile_data_resource
    from data_resource_api.errors import BadRequest
    from data_resource_api.json_text import read_json

    with pytest.raises(BadRequest, match=said):
        compile_data_resource(read_json(body))


def test_a_request_that_is_not_json_is_415_on_the_administration_routes_too(
    service: Service,
) -> None:
    for method, path in (("POST", "/generator"), ("PUT", "/tableschema/1")):
        response = requests.request(method, service.url + path, data="{}", timeout=10)
        assert response.status_code == 415

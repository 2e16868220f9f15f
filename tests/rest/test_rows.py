from tests.service import Service, entry, payload


def test_a_generated_table_lists_its_rows(service: Service) -> None:
    service.generate(payload(entry("people", {"name": "name", "type": "string"})))
    assert service.get("/people").json() == {"people": [], "links": []}
    assert service.post("/people", {"name": "Ada"}).json()["id"] == 1

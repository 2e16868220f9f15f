"""A question is one statement on the wire, however much is embedded in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tests.rest.questions.people import PEOPLE, schools
from tests.service import Database, Service
from tests.wire import Wire, wire


@pytest.fixture(scope="module")
def relay(server_url: str) -> Iterator[Wire]:
    with wire(server_url) as relay:
        yield relay


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, server_url: str, relay: Wire
) -> Iterator[Service]:
    """One that reaches its database by way of the relay alone."""
    database = Database(server_url)
    folder = tmp_path_factory.mktemp("one_statement")
    service = Service(folder, database, workers=1)
    service.environment["DATABASE_URL"] = relay.url(database.url)
    try:
        service.start()
        service.generate(schools())
        database.execute(PEOPLE)
        yield service
        service.stop()
    finally:
        service.kill()
        database.drop()


@pytest.mark.parametrize(
    "path",
    [
        "/people?select=name,school(*),club(*)",
        "/school?select=*,people(*,club(*,people(name)))&people.order=age&people.club.limit=1",
        "/club?select=*,people!inner(*,school(*))&people.age=gt.17&order=name",
        "/people/1?select=*,school(*,people(*)),club(*)",
    ],
)
def test_a_page_with_all_that_is_embedded_is_read_by_one_statement(
    service: Service, relay: Wire, path: str
) -> None:
    """Also when a connection has prepared it: what it runs then is no more."""
    for number in range(8):
        with relay.recorded() as sent:
            assert requests.get(service.url + path, timeout=60).status_code == 200
        # The service also asks for itself, now and then, whether what is live has changed.
        sent = [text for text in sent if " admin." not in text]
        reads = [text for text in sent if text.startswith(("SELECT", "EXECUTE"))]
        assert len(reads) == 1, sent
        assert ";" not in reads[0]
        others = [text for text in sent if text not in reads]
        assert all(text.startswith("PREPARE") for text in others), others
        assert len(others) <= (number > 0), others

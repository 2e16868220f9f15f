"""A page of another origin, in a real browser: where it is listed it uses the API, and else nothing."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Browser
from tests.service import Service, entry, payload, running

DOCUMENT = payload(entry("people", {"name": "name", "type": "string"}))

#: What a page can try without anybody's permission, and with it. ``read`` is what it got to see.
ATTACK = """
const [url, done] = [arguments[0], arguments[arguments.length - 1]];
const row = JSON.stringify({name: "from another page"});
const json = {"Content-Type": "application/json"};
const attempts = {
  read: () => fetch(url + "/people"),
  opaque: () => fetch(url + "/people", {mode: "no-cors"}),
  text: () => fetch(url + "/people", {method: "POST", mode: "no-cors", body: row}),
  post: () => fetch(url + "/people", {method: "POST", headers: json, body: row}),
  put: () => fetch(url + "/people/1", {method: "PUT", headers: json, body: row}),
  remove: () => fetch(url + "/tableschema/1", {method: "DELETE"}),
  generate: () => fetch(url + "/generator", {method: "POST", mode: "no-cors", body: "{}"}),
  beacon: async () => { navigator.sendBeacon(url + "/people", row); return {status: 0, text: () => ""}; },
};
(async () => {
  const read = {};
  for (const [name, attempt] of Object.entries(attempts)) {
    try {
      const answer = await attempt();
      read[name] = [answer.status, await answer.text()];
    } catch (error) {
      read[name] = [0, ""];
    }
  }
  done(read);
})();
"""

#: A form that a browser sends by itself; the ``=`` makes JSON of name and value.
FORM = """
const form = document.createElement("form");
Object.assign(form, {method: "POST", enctype: "text/plain", action: arguments[0] + "/people"});
const input = document.createElement("input");
Object.assign(input, {name: '{"name":"', value: '"}'});
form.append(input);
document.body.append(form);
form.submit();
"""

#: Whether another page's answers can be loaded as a script, an image or a frame.
EMBED = """
const [url, done] = [arguments[0], arguments[arguments.length - 1]];
const load = (tag, property) => new Promise(resolve => {
  const element = document.createElement(tag);
  element.onload = () => resolve("loaded");
  element.onerror = () => resolve("refused");
  element[property] = url;
  document.body.append(element);
});
Promise.all([load("script", "src"), load("img", "src")]).then(done);
"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def website(folder: Path) -> Iterator[str]:
    """Another site, with one empty page."""
    (folder / "index.html").write_text("<!doctype html><title>Another page</title><body>")
    (folder / "favicon.ico").write_bytes(b"")
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_Quiet, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Two other sites: one that the service below lists, and one that it does not."""
    with (
        website(tmp_path_factory.mktemp("listed")) as listed,
        website(tmp_path_factory.mktemp("other")) as other,
    ):
        yield listed, other


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, server_url: str, sites: tuple[str, str]
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("origins")
    with running(folder, server_url, workers=1, DRG_CORS_ORIGINS=sites[0]) as service:
        service.generate(DOCUMENT)
        yield service


@pytest.fixture(autouse=True)
def _one_row(service: Service) -> None:
    """One person, one draft."""
    service.execute("TRUNCATE people")
    service.put("/people/1", {"name": "somebody"})
    service.put("/tableschema/1", {"name": "t", "tableSchema": {"fields": [{"name": "f"}]}})


@pytest.fixture
def other(browser: Browser, service: Service, sites: tuple[str, str]) -> Iterator[Browser]:
    """The browser on a page that is not listed."""
    browser.site = sites[1]
    browser.open("/")
    yield browser
    browser.open("/")
    browser.complaints()  # that it was refused is what the tests want
    browser.requested()


def is_untouched(service: Service) -> bool:
    return (
        service.get("/people").json()["people"] == [{"id": 1, "name": "somebody"}]
        and service.get("/tableschema/1").status_code == 200
        and service.get("/generator").json()["tables"][0]["name"] == "people"
    )


def run(browser: Browser, script: str, *arguments: Any) -> Any:
    return browser.driver.execute_async_script(script, *arguments)


def test_a_page_that_is_not_listed_reads_nothing_and_changes_nothing(
    other: Browser, service: Service
) -> None:
    read = run(other, ATTACK, service.url)
    assert read == {name: [0, ""] for name in read}
    assert is_untouched(service)


def test_its_form_is_refused(other: Browser, service: Service) -> None:
    other.run(FORM, service.url)
    assert "web page of another origin" in other.wait_for("body pre").text
    assert is_untouched(service)


def test_it_can_embed_nothing(other: Browser, service: Service) -> None:
    for path in ("/people", "/static/swagger.json", "/ui/swagger-ui-bundle.js", "/-/health"):
        assert run(other, EMBED, service.url + path) == ["refused", "refused"], path


def test_it_can_link_to_the_service(other: Browser, service: Service) -> None:
    other.run("location.href = arguments[0] + '/ui/'", service.url)
    assert other.wait_for(".swagger-ui .opblock")


def test_a_page_that_is_listed_reads_and_writes(
    browser: Browser, service: Service, sites: tuple[str, str]
) -> None:
    browser.site = sites[0]
    browser.tolerated = ("415",)  # forms and beacons are not JSON, whoever sends them
    browser.open("/")
    read = run(browser, ATTACK, service.url)
    assert read["read"][0] == 200
    assert "somebody" in read["read"][1]
    assert read["post"][0] == 201
    assert read["put"][0] == 200
    assert read["remove"][0] == 204
    assert (read["text"], read["opaque"]) == ([0, ""], [0, ""])
    rows = service.get("/people").json()["people"]
    assert [row["name"] for row in rows] == ["from another page"] * 2
    browser.complaints()
    browser.requested()


def test_a_name_of_the_attackers_that_means_this_machine_is_refused(
    service: Service,
) -> None:
    """DNS rebinding: the page is of the service's own origin to the browser, but the Host tells."""
    port = service.port
    own = {
        "Host": f"attacker.example:{port}",
        "Origin": f"http://attacker.example:{port}",
        "Sec-Fetch-Site": "same-origin",
    }
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        response = service.request(method, "/people/1", {"name": "x"}, headers=dict(own))
        assert response.status_code == 403, method
    assert is_untouched(service)

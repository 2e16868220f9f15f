"""Swagger UI as a person uses it: expand, Try it out, Execute, see the row."""

from __future__ import annotations

import json

import requests
from selenium.webdriver.support.ui import WebDriverWait

from data_resource_api.compiler.openapi import BATCH_PATH
from tests.browser.conftest import PROVIDER, Browser
from tests.service import Service, workforce


def operation(browser: Browser, verb: str, path: str) -> str:
    """The selector of an operation's block, after expanding it."""
    browser.wait_for(".opblock")
    for block in browser.all(f".opblock-{verb}"):
        if block.find_element("css selector", "[data-path]").get_attribute("data-path") == path:
            selector = f"#{block.get_attribute('id')}"
            if "is-open" not in (block.get_attribute("class") or ""):
                browser.one(f"{selector} .opblock-summary-control").click()
            browser.wait_for(f"{selector} .btn.execute")
            return selector
    raise AssertionError(f"no {verb} {path}")


def execute(browser: Browser, block: str) -> tuple[str, str]:
    """Status and body that Swagger UI shows after Execute."""
    browser.one(f"{block} .btn.execute").click()
    status = browser.wait_for(f"{block} .live-responses-table tbody .response-col_status").text
    body = browser.wait_for(f"{block} .live-responses-table .response-col_description pre").text
    return status.split()[0], body


def test_what_is_executed_is_in_the_database_and_shown(page: Browser, live: Service) -> None:
    """POST /provider with the document's own example answers 201; the list then has the row."""
    page.open("/ui/")
    status, body = execute(page, operation(page, "post", "/provider"))
    assert status == "201"
    key = json.loads(body)["id"]

    status, body = execute(page, operation(page, "get", "/provider"))
    assert status == "200"
    names = {row["id"]: row["name"] for row in json.loads(body)["provider"]}
    assert PROVIDER["name"] in names.values()
    assert names[key] == "Saint-Côme Culinary Academy"
    assert live.get(f"/provider/{key}").json()["name"] == names[key]
    assert page.one(".live-responses-table").text.count("ms") > 0  # how long it took


def test_an_edited_body_is_what_is_sent(page: Browser, live: Service) -> None:
    """The text area is open for editing at once, and a refusal names the field."""
    page.tolerated = ("status of 400",)
    page.open("/ui/")
    block = operation(page, "post", "/provider")
    area = page.wait_for(f"{block} textarea.body-param__text")
    area.clear()
    area.send_keys(json.dumps(PROVIDER | {"ein": "no"}))
    status, body = execute(page, block)
    assert status == "400"
    assert "ein" in json.dumps(json.loads(body))


def test_every_operation_of_the_document_is_listed(page: Browser) -> None:
    page.open("/ui/")
    page.wait_for(".opblock")
    shown = {
        (
            block.find_element("css selector", ".opblock-summary-method").text.lower(),
            block.find_element("css selector", "[data-path]").get_attribute("data-path"),
        )
        for block in page.all(".opblock")
    }
    paths = workforce()["data_resource_schema"]["api"]["apiSpec"]["paths"]
    verbs = {"get", "post", "put", "patch", "delete"}
    stated = {(verb, path) for path, item in paths.items() for verb in item.keys() & verbs}
    assert shown == stated | {("post", BATCH_PATH)}


def test_schemas_unfold(page: Browser) -> None:
    """The parts of Swagger UI that draw most run under our Content-Security-Policy too."""
    page.open("/ui/")
    page.wait_for(".models h4 button, .models h4").click()
    page.wait_for(".models .model-container .model-toggle, .models .model-container button").click()
    assert page.wait_for(".models .model-container.is-open, .models table.model").text
    block = operation(page, "post", "/provider")
    page.wait_for(f"{block} .responses-table .tab li:nth-child(2) button").click()
    assert page.wait_for(f"{block} .responses-table .model").text


def test_there_is_no_field_for_another_documents_address(page: Browser) -> None:
    """Neither a top bar nor ``?url=`` makes the page show somebody else's document."""
    page.open("/ui/?url=https://evil.example/swagger.json&configUrl=https://evil.example/c.json")
    page.wait_for(".opblock")
    assert page.all(".topbar, .download-url-input") == []
    assert "Cedar Bend" in page.one(".info .title").text


def test_an_operation_has_an_address(page: Browser) -> None:
    """Deep links: the fragment opens the operation."""
    page.open("/ui/#/provider/createProvider")
    page.wait_for("#operations-provider-createProvider.is-open .btn.execute")


def test_the_header_leads_back_to_the_landing_page(page: Browser) -> None:
    page.open("/ui")
    page.wait_for(".opblock")
    assert page.run("return location.pathname") == "/ui/"
    page.one(".bar .brand").click()
    WebDriverWait(page.driver, 10).until(lambda _: page.run("return location.pathname") == "/")


def test_the_page_is_as_wide_as_a_phone(page: Browser) -> None:
    page.resize(390)
    page.open("/ui/")
    page.wait_for(".opblock")
    assert page.run("return document.documentElement.scrollWidth") <= 390


def test_assets_come_from_this_service_and_the_cache(page: Browser, live: Service) -> None:
    """Everything that the page refers to is there, by a name that can be kept for good."""
    page.open("/ui/")
    page.wait_for(".opblock")
    references = page.run(
        "return [...document.querySelectorAll('script[src], link[href], img[src]')]"
        ".map(element => element.src || element.href)"
    )
    assert len(references) >= 6
    for reference in references:
        assert reference.startswith(f"{live.url}/ui/")
        answer = requests.get(reference, timeout=10)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]

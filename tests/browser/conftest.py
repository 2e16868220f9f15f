"""A headless Chromium that can reach this machine only, and pages that it looks at."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.service import Service, running, workforce

OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

#: The row that is there before anybody touches Swagger UI.
PROVIDER = {
    "ein": "00-1045501",
    "name": "Cedar Bend Community College",
    "provider_type": "community_college",
    "etpl_approved": True,
    "contact_email": "workforce@cedarbend.example.org",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


class Browser:
    """One tab. What it logs and which hosts it asks is checked after each test."""

    def __init__(self, driver: Chrome, site: str = "") -> None:
        self.driver = driver
        self.site = site
        self.tolerated: tuple[str, ...] = ()
        #: Other origins that the page may ask, for tests of tokens.
        self.others: tuple[str, ...] = ()

    def open(self, path: str) -> None:
        self.driver.get(self.site + path)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements("css selector", selector)

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element("css selector", selector)

    def wait_for(self, selector: str, seconds: float = 20) -> WebElement:
        """The first element that is displayed."""

        def displayed(_: Chrome) -> WebElement | None:
            return next((found for found in self.all(selector) if found.is_displayed()), None)

        message = f"no {selector} on {self.driver.current_url}"
        found: WebElement = WebDriverWait(self.driver, seconds).until(displayed, message)
        return found

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def resize(self, width: int, height: int = 900) -> None:
        """A viewport of this width; a window cannot be as narrow as a phone."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, scheme: str) -> None:
        """``light`` or ``dark``; without motion, so that nothing moves while it is clicked on."""
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def complaints(self) -> list[str]:
        """Errors in the console since it was asked last: CSP violations, exceptions, failed loads."""
        return [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if entry["level"] == "SEVERE"
            and not any(text in entry["message"] for text in self.tolerated)
        ]

    def requested(self) -> list[str]:
        """Every URL that was asked for since this was called last."""
        messages = [
            json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")
        ]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    chromedriver = shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        reason = "Chromium is missing: apt install chromium chromium-driver"
        if os.environ.get("DRG_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    options = ChromeOptions()
    options.binary_location = chromium
    for option in OPTIONS:
        options.add_argument(option)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=ChromeService(chromedriver))
    yield driver
    driver.quit()


@pytest.fixture
def browser(driver: Chrome) -> Iterator[Browser]:
    """A fresh tab's worth of browser; fails the test for a console error or a foreign request."""
    browser = Browser(driver)
    browser.open("about:blank")
    browser.complaints()
    browser.requested()
    browser.resize(1280)
    browser.prefer("light")
    yield browser
    assert browser.complaints() == []
    local = (f"{browser.site}/", "data:", "about:", "chrome:", "blob:", *browser.others)
    assert [url for url in browser.requested() if not url.startswith(local)] == []


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    """A service that serves the workforce example, with one provider."""
    with running(tmp_path_factory.mktemp("live"), server_url) as service:
        service.generate(workforce())
        assert service.post("/provider", PROVIDER).status_code == 201
        yield service


@pytest.fixture
def page(browser: Browser, live: Service) -> Browser:
    """The browser on the workforce example's service."""
    browser.site = live.url
    return browser

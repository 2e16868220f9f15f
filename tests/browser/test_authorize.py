"""Swagger UI's Authorize: a token that is pasted, or fetched by its dialog, is sent with every Execute."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Browser
from tests.browser.test_swagger_ui import execute, operation
from tests.provider import Provider
from tests.service import Service, entry, payload, running

DONE = {"responses": {"200": {"description": "Done."}}}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.stop()


def document(provider: Provider) -> dict[str, Any]:
    """An operation for each sort of scheme that can be enforced."""
    asked = {"any": "bearer", "scoped": "oauth", "known": "discovered", "redirected": "code"}
    stated = payload(
        *(entry(name) for name in asked),
        paths={f"/{name}": {"get": DONE | {"security": [{asked[name]: []}]}} for name in asked},
    )
    token_url = f"{provider.issuer}/oauth/token"
    code = {
        "authorizationUrl": "https://id.example.org/authorize",
        "tokenUrl": "https://code.example.org/token",
        "scopes": {},
    }
    stated["data_resource_schema"]["api"]["apiSpec"]["components"] = {
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer"},
            "oauth": {
                "type": "oauth2",
                "flows": {
                    "clientCredentials": {"tokenUrl": token_url, "scopes": {"read": "Read."}},
                    "authorizationCode": code,
                },
            },
            "discovered": {
                "type": "openIdConnect",
                "openIdConnectUrl": "https://id.example.org/.well-known/openid-configuration",
            },
            "code": {"type": "oauth2", "flows": {"authorizationCode": code}},
        }
    }
    return stated


@pytest.fixture(scope="module")
def secured(
    tmp_path_factory: pytest.TempPathFactory, server_url: str, provider: Provider
) -> Iterator[Service]:
    """A LOCAL service: nothing is checked, so that what is sent is all that is looked at."""
    folder: Path = tmp_path_factory.mktemp("secured")
    with running(folder, server_url, workers=1, APP_ENV="LOCAL") as service:
        service.generate(document(provider))
        yield service


@pytest.fixture
def ui(browser: Browser, secured: Service) -> Browser:
    browser.site = secured.url
    browser.open("/ui/")
    browser.wait_for(".opblock")
    return browser


def dialog(browser: Browser, scheme: str) -> Any:
    """The part of the Authorize dialog that is about this scheme."""
    if not browser.all(".modal-ux"):
        browser.wait_for(".btn.authorize").click()
    browser.wait_for(".auth-container")
    return next(
        part
        for part in browser.all(".auth-container")
        if part.find_element("css selector", "h4").text.split()[0] == scheme
    )


def close(browser: Browser) -> None:
    browser.one(".modal-ux .close-modal").click()


def sent(browser: Browser, path: str) -> str:
    """The ``curl`` command that Swagger UI shows for what it has just executed."""
    block = operation(browser, "get", path)
    status, _ = execute(browser, block)
    assert status == "200"
    return str(browser.wait_for(f"{block} .curl-command .curl").text)


@pytest.mark.parametrize(
    ("scheme", "path"), [("bearer", "/any"), ("discovered", "/known"), ("code", "/redirected")]
)
def test_a_pasted_token_is_sent(ui: Browser, provider: Provider, scheme: str, path: str) -> None:
    """Also for schemes whose own dialogs would have to leave the page."""
    assert "Authorization" not in sent(ui, path)
    token = provider.token()
    part = dialog(ui, scheme)
    part.find_element("css selector", "input").send_keys(token)
    part.find_element("css selector", ".btn.authorize").click()
    close(ui)
    assert f"Authorization: Bearer {token}" in sent(ui, path)
    ui.open("/ui/")
    ui.wait_for(".opblock")
    assert "Authorization" not in sent(ui, path)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_dialog_is_in_sight(ui: Browser, scheme: str) -> None:
    """Whatever is done to the page's colours, and however long it is."""
    ui.prefer(scheme)
    dialog(ui, "bearer")
    left, top, right, bottom, width, height = ui.run(
        "const box = document.querySelector('.modal-ux').getBoundingClientRect();"
        "return [box.left, box.top, box.right, box.bottom, innerWidth, innerHeight]"
    )
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_the_dialog_fetches_a_token_from_the_documents_token_url(
    ui: Browser, provider: Provider
) -> None:
    ui.others = (f"{provider.issuer}/",)
    part = dialog(ui, "oauth")
    assert "authorizationCode" not in part.text
    name, secret = part.find_elements("css selector", "input[type=text], input[type=password]")
    name.send_keys("reader")
    secret.send_keys("reader-secret")
    part.find_element("css selector", "input[type=checkbox] + label").click()
    part.find_element("css selector", ".btn.authorize").click()
    ui.wait_for(".auth-container .btn-done, .auth-container h6")
    ui.wait_for(".auth-btn-wrapper .btn.modal-btn.auth:not(.authorize)")
    close(ui)
    assert "Authorization: Bearer ey" in sent(ui, "/scoped")
    assert provider.counts["/oauth/token"] > 0


def test_only_token_urls_that_the_dialog_uses_may_be_asked(
    secured: Service, provider: Provider
) -> None:
    policy = secured.get("/ui/").headers["Content-Security-Policy"]
    assert policy.endswith(f"connect-src 'self' {provider.issuer}")
    assert "example.org" not in policy

"""PRODUCTION as people see it: an empty shell and a locked landing page, until there is a token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.conftest import PROVIDER, Browser
from tests.browser.test_pages import ACCESS, CONTRAST
from tests.browser.test_swagger_ui import execute, operation
from tests.command_line import run
from tests.provider import Provider
from tests.service import WORKFORCE, Service, running, workforce

ADMIN = "drg:admin"
HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture(scope="module")
def locked(
    tmp_path_factory: pytest.TempPathFactory, server_url: str, provider: Provider
) -> Iterator[Service]:
    """A PRODUCTION service of the workforce example, with one row."""
    folder = tmp_path_factory.mktemp("locked")
    with running(folder, server_url, workers=1, **provider.settings()) as service:
        document = WORKFORCE.read_text()
        answer = service.post("/generator", document, headers=provider.bearer(ADMIN))
        assert answer.status_code == 204, answer.text
        answer = service.post("/provider", PROVIDER, headers=provider.bearer())
        assert answer.status_code == 201, answer.text
        yield service


@pytest.fixture
def shell(browser: Browser, locked: Service) -> Browser:
    browser.site = locked.url
    browser.tolerated = ("status of 401",)
    return browser


def told() -> set[str]:
    """What the workforce example is about: its name, and those of its tables and fields."""
    schema = workforce()["data_resource_schema"]
    tables = schema["data"]["dataDictionary"]
    names = {schema["name"], schema["api"]["apiSpec"]["info"]["title"]}
    names |= {table["title"] for table in tables} | {f"/{table['name']}" for table in tables}
    return names | {field["title"] for t in tables for field in t["tableSchema"]["fields"]}


def enter(browser: Browser, token: str) -> None:
    """Paste a token into the form and press Enter."""
    field = browser.wait_for("#token")
    field.clear()
    field.send_keys(token, Keys.ENTER)


def until_refused(browser: Browser, words: str) -> None:
    WebDriverWait(browser.driver, 10).until(lambda _: words in browser.one("#refused").text, words)


# ── the shell ────────────────────────────────────────────────────────────────────────────────────


def test_the_shell_is_public_and_names_nothing(locked: Service) -> None:
    answer = locked.get("/ui/")
    assert answer.status_code == 200
    assert [name for name in told() if name in answer.text] == []
    assert "connect-src 'self'" in answer.headers["Content-Security-Policy"]
    assert locked.get("/static/swagger.json").status_code == 401


def test_the_form_can_be_used_by_everybody(shell: Browser) -> None:
    """The field has the focus, a name and an explanation; light and dark can be read."""
    shell.open("/ui/")
    shell.wait_for("#ask")
    assert shell.run("return document.activeElement.id") == "token"
    assert shell.run("return document.getElementById('token').labels[0].innerText")
    assert shell.run(ACCESS) == []
    for scheme in ("light", "dark"):
        shell.prefer(scheme)
        assert shell.run(CONTRAST)[1] == []
    shell.resize(390)
    assert shell.run("return document.documentElement.scrollWidth") <= 390


def test_a_wrong_token_is_told_and_another_can_be_tried(shell: Browser, provider: Provider) -> None:
    shell.open("/ui/")
    enter(shell, "no token")
    until_refused(shell, "This is not a token")
    enter(shell, provider.token(exp=1))
    until_refused(shell, "does not accept this token")
    assert shell.run("return document.activeElement.id") == "token"
    assert shell.one("#token").get_attribute("value") == ""
    assert shell.one("#token").get_attribute("aria-invalid") == "true"
    enter(shell, f"Bearer {provider.token()}")
    shell.wait_for(".opblock")
    assert not shell.one("#ask").is_displayed()


def test_with_a_token_the_api_is_shown_and_used(shell: Browser, provider: Provider) -> None:
    """The same token goes out with what is executed."""
    shell.open("/ui/")
    token = provider.token()
    enter(shell, token)
    shell.wait_for(".opblock")
    schema = workforce()["data_resource_schema"]
    assert shell.driver.title == f"API · {schema['api']['apiSpec']['info']['title']}"
    block = operation(shell, "get", "/provider")
    status, body = execute(shell, block)
    assert status == "200"
    assert PROVIDER["name"] in [row["name"] for row in json.loads(body)["provider"]]
    assert f"Authorization: Bearer {token}" in shell.wait_for(f"{block} .curl-command .curl").text


def test_the_token_is_kept_in_memory_only(shell: Browser, provider: Provider) -> None:
    shell.open("/ui/")
    token = provider.token()
    enter(shell, token)
    shell.wait_for(".opblock")
    kept = shell.run(
        "return [document.cookie, location.href, JSON.stringify({...localStorage}),"
        " JSON.stringify({...sessionStorage}), document.getElementById('token').value]"
    )
    assert token not in "".join(kept)
    assert kept[2:] == ["{}", "{}", ""]
    shell.one("#forget").click()
    shell.wait_for("#ask")
    assert shell.all(".opblock") == []


# ── the landing page ─────────────────────────────────────────────────────────────────────────────


def test_a_browser_without_a_token_is_shown_the_way(shell: Browser) -> None:
    shell.open("/")
    assert "needs a token" in shell.one("h1").text
    assert [name for name in told() if name in shell.driver.page_source] == []
    assert shell.run(ACCESS) == []
    for scheme in ("light", "dark"):
        shell.prefer(scheme)
        assert shell.run(CONTRAST)[1] == []
    shell.one("main .button").click()
    shell.wait_for("#ask")
    assert shell.run("return location.pathname") == "/ui/"


def test_the_landing_page_is_a_401_like_every_other(locked: Service) -> None:
    """For programs as JSON; with a token it is the page."""
    page = locked.get("/", headers=HTML)
    assert page.status_code == 401
    assert page.headers["WWW-Authenticate"].startswith("Bearer")
    assert page.headers["Content-Type"].startswith("text/html")
    assert page.headers["X-Frame-Options"] == "DENY"
    for headers in ({}, {"Accept": "application/json"}):
        answer = locked.get("/", headers=headers)
        assert answer.status_code == 401
        assert answer.json() == {"message": "Access Denied"}


def test_with_a_token_the_landing_page_is_shown(locked: Service, provider: Provider) -> None:
    answer = locked.get("/", headers=HTML | provider.bearer())
    assert answer.status_code == 200
    assert workforce()["data_resource_schema"]["name"] in answer.text
    assert "Authorization: Bearer $TOKEN" in answer.text


def test_public_docs_are_shown_to_everybody(
    tmp_path: Path, server_url: str, provider: Provider
) -> None:
    settings = provider.settings(DRG_PUBLIC_DOCS="1")
    with running(tmp_path, server_url, workers=1, **settings) as service:
        service.post("/generator", workforce(), headers=provider.bearer(ADMIN))
        name = workforce()["data_resource_schema"]["name"]
        for path in ("/", "/ui/"):
            assert name in service.get(path, headers=HTML).text
        assert service.get("/static/swagger.json").status_code == 200
        assert service.get("/provider").status_code == 401


# ── programs ─────────────────────────────────────────────────────────────────────────────────────


def test_the_document_tells_clients_that_a_token_is_needed(
    locked: Service, provider: Provider
) -> None:
    """As it is served, and as it is kept in the static folder."""
    document = locked.get("/static/swagger.json", headers=provider.bearer()).json()
    assert document["security"] == [{"bearerAuth": []}]
    assert document["components"]["securitySchemes"]["bearerAuth"]["scheme"] == "bearer"
    assert json.loads((locked.static / "swagger.json").read_text()) == document


def test_a_draft_names_the_provider_that_the_service_trusts(
    locked: Service, provider: Provider
) -> None:
    draft = {
        "tableschema": {
            "api": {"methods": [{"get": {"enabled": True, "grants": ["get:users"]}}]},
            "datastore": {
                "tablename": "users",
                "schema": {"fields": [{"name": "id", "type": "integer"}], "primaryKey": "id"},
            },
        }
    }
    put = locked.put("/tableschema/1", draft, headers=provider.bearer(ADMIN))
    for drafted in (put, locked.get("/swagger", headers=provider.bearer(ADMIN))):
        assert drafted.status_code == 200, drafted.text
        schemes = drafted.json()["swagger"]["components"]["securitySchemes"]
        flow = schemes["oauth2"]["flows"]["clientCredentials"]
        assert flow["tokenUrl"] == f"{provider.issuer}/oauth/token"


def test_drg_generate_posts_with_a_token(locked: Service, provider: Provider) -> None:
    """Without one, and with one that lacks the scope, it says what to do."""
    command = ("drg", "generate", WORKFORCE, "--url", locked.url)
    assert run(*command, DRG_TOKEN=provider.token(ADMIN)).returncode == 0
    for token, remedy in (("", "--token-file"), (provider.token("read"), "OAUTH2_ADMIN_SCOPE")):
        done = run(*command, DRG_TOKEN=token)
        assert done.returncode == 1
        assert remedy in done.stderr
        assert not token or token not in done.stderr

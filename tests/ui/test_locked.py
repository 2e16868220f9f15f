"""The pages where the documentation is not public, and where tokens are needed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask

from data_resource_api.compiler.data_resource import compile_data_resource
from data_resource_api.errors import MethodNotAllowed
from data_resource_api.ui import locked_landing, register_pages, wants_landing_page
from data_resource_api.ui.assets import PAGES as PAGES_FOLDER
from data_resource_api.ui.origins import FLOWS, token_origins
from data_resource_api.ui.sections import sections_of
from tests.service import entry, payload


@pytest.fixture
def private() -> Flask:
    """The pages alone. There is nothing that they could tell, and nobody whom they could ask."""
    app = Flask("pages", static_folder=None)
    register_pages(app, None, public_docs=False)  # type: ignore[arg-type]
    return app


def test_the_shell_is_served_without_looking_at_what_is_live(private: Flask) -> None:
    """So it cannot name anything of it; its assets are the same as ever."""
    answer = private.test_client().get("/ui/")
    assert answer.status_code == 200
    assert "connect-src 'self'" in answer.headers["Content-Security-Policy"]
    for reference in re.findall(r'(?:src|href)="([^".]+\.(?:css|js|svg)\?v=\w+)"', answer.text):
        assert private.test_client().get(f"/ui/{reference}").status_code == 200


def test_the_tokens_field_leaves_nothing_behind(private: Flask) -> None:
    """No name, so that no form sends it; nothing that browsers fill in, keep or correct."""
    found = re.search(r'<input id="token"[^>]*>', private.test_client().get("/ui/").text)
    assert found is not None
    for attribute in ('type="text"', 'autocomplete="off"', 'spellcheck="false"'):
        assert attribute in found[0]
    assert "name=" not in found[0]


def test_the_locked_landing_page_keeps_the_refusals_status_and_headers(private: Flask) -> None:
    with private.test_request_context("/"):
        answer = locked_landing(MethodNotAllowed("No.", ["GET"]))
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET"
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert 'href="ui/"' in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("method", "path", "accept", "page"),
    [
        ("GET", "/", "text/html,application/xhtml+xml,*/*;q=0.8", True),
        ("HEAD", "/", "text/html", True),
        ("GET", "/", "*/*", False),
        ("GET", "/", "", False),
        ("GET", "/", "application/json, text/html;q=0.5", False),
        ("POST", "/", "text/html", False),
        ("GET", "/people", "text/html", False),
    ],
)
def test_only_a_browser_at_the_landing_page_gets_a_page(
    private: Flask, method: str, path: str, accept: str, page: bool
) -> None:
    headers = {"Accept": accept} if accept else {}
    with private.test_request_context(path, method=method, headers=headers):
        assert wants_landing_page() is page


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://id.example.org/oauth/token", "https://id.example.org"),
        ("HTTPS://ID.Example.org:8443/t?a=b", "https://id.example.org:8443"),
        ("http://127.0.0.1:9000/t", "http://127.0.0.1:9000"),
        ("https://user:secret@id.example.org/t", "https://id.example.org"),
        ("/oauth/token", None),
        ("https://id.example.org; script-src *", None),
        ("https://*/t", None),
        ("https://*.example.org/t", None),
        ("https://a b/t", None),
        ("https://id.example.org:port/t", None),
        ("https://[::1/t", None),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("", None),
        (5, None),
    ],
)
def test_a_token_url_allows_its_origin_and_nothing_else(url: Any, origin: str | None) -> None:
    """Whatever it holds, it cannot end the directive."""
    flows = {
        "clientCredentials": {"tokenUrl": url},
        "authorizationCode": {"tokenUrl": "https://a.b"},
    }
    schemes = {
        "oauth": {"type": "oauth2", "flows": flows},
        "again": {"type": "oauth2", "flows": flows},
    }
    assert token_origins({"components": {"securitySchemes": schemes}}) == (
        () if origin is None else (origin,)
    )


def test_the_dialogs_flows_are_those_whose_urls_may_be_asked() -> None:
    """The script keeps the flows that the policy knows."""
    script = (PAGES_FOLDER / "assets" / "swagger.js").read_text("utf-8")
    stated = re.search(r"FLOWS = \[(.*?)\]", script)
    assert stated is not None
    assert tuple(re.findall(r'"(\w+)"', stated[1])) == FLOWS


def test_where_tokens_are_needed_the_commands_send_one() -> None:
    """But for public operations."""
    document = payload(entry("thing"), entry("notice"))
    listed = document["data_resource_schema"]["api"]["apiSpec"]["paths"]["/notice"]
    listed["get"] = {**listed["get"], "security": []}
    resource = compile_data_resource(document)
    header = ' \\\n  -H "Authorization: Bearer $TOKEN"'
    for locked in (False, True):
        thing, notice = sections_of(resource, "http://a/", locked=locked)
        sent = header if locked else ""
        assert thing.curl == (f"curl 'http://a/thing?limit=5'{sent}",)
        assert notice.curl == ("curl 'http://a/notice?limit=5'",)


@pytest.mark.parametrize("broken", [None, [], {"a": 5}, {"a": {"type": "oauth2", "flows": []}}])
def test_schemes_that_nobody_validated_allow_nothing(broken: Any) -> None:
    assert token_origins({"components": {"securitySchemes": broken}}) == ()
    assert token_origins({"components": broken}) == ()

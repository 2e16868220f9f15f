"""What the pages are made of: sent once, kept under its version, and nothing else beside it."""

from __future__ import annotations

import re

import pytest

from data_resource_api.ui.assets import ASSETS
from tests.service import Service
from tests.ui.pages import raw


@pytest.mark.parametrize("name", ASSETS)
def test_an_asset_is_sent_once(live: Service, name: str) -> None:
    """With its type and an ETag; asked again, the answer is 304 without a body."""
    answer = live.get(f"/ui/{name}")
    assert answer.status_code == 200
    types = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    assert answer.headers["Content-Type"].startswith(types[name.rpartition(".")[2]])
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-cache"
    again = live.get(f"/ui/{name}", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    assert again.content == b""
    other = live.get(f"/ui/{name}", headers={"If-None-Match": '"other"'})
    assert other.status_code == 200


def test_an_asset_is_kept_for_good_under_its_version_only(live: Service) -> None:
    """Another version's name must not be kept: it would outlive the next release."""
    found = re.search(r'href="(ui/pages\.css\?v=\w+)"', live.get("/").text)
    assert found is not None
    cached = live.get(f"/{found[1]}").headers["Cache-Control"]
    assert cached == "public, max-age=31536000, immutable"
    assert live.get("/ui/pages.css?v=old").headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/ui/../app.py",
        "/ui/%2e%2e/app.py",
        "/ui/%2e%2e%2fapp.py",
        "/ui/..%5capp.py",
        "/ui/....//app.py",
        "/ui/assets/pages.css",
        "/ui/landing.html",
        "/ui/first-payload.json",
        "/ui/index.html",
        "/ui/oauth2-redirect.html",
        "/ui/swagger-ui-bundle.js.map",
        "/ui/swagger-ui.css/",
        "/ui/%00",
        "/ui//etc/passwd",
        "/ui/nothing",
    ],
)
def test_nothing_else_is_served(live: Service, path: str) -> None:
    """Names are looked up in a list, never in a folder; a 404 is JSON."""
    status, body = raw(live, path)
    assert status == 404
    assert body.startswith(b'{"error":')
    assert b"import" not in body

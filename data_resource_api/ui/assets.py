"""The files that pages refer to: style sheets, scripts, images; ours and Swagger UI's."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PAGES: Final = Path(__file__).with_name("pages")

#: What is served under ``/ui/``, and nothing else: ours, and Swagger UI's.
OWN_ASSETS: Final = ("frame.css", "mark.svg", "pages.css", "swagger.css", "swagger.js")
SWAGGER_UI_ASSETS: Final = ("swagger-ui.css", "swagger-ui-bundle.js")
ASSETS: Final = OWN_ASSETS + SWAGGER_UI_ASSETS

_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that pages refer to as ``name?v=version``, so that browsers may keep it for good."""

    body: bytes
    media_type: str
    digest: str

    @property
    def version(self) -> str:
        """Enough of the digest to tell one release's file from another's."""
        return self.digest[:12]


@functools.cache
def read_asset(name: str) -> Asset:
    """One of the known assets; read once."""
    folder = PAGES / "assets"
    if name in SWAGGER_UI_ASSETS:
        from swagger_ui_bundle import swagger_ui_path

        folder = swagger_ui_path
    body = (folder / name).read_bytes()
    return Asset(body, _MEDIA_TYPES[Path(name).suffix], hashlib.sha256(body).hexdigest())

"""How Sphinx builds the documentation. Nothing is fetched: the build works offline."""

import re
import tomllib
from pathlib import Path

_root = Path(__file__).parent.parent
_metadata = tomllib.loads((_root / "pyproject.toml").read_text("utf-8"))

project = "Data Resource Generator"
author = "The Data Resource Generator authors"
copyright = author
version = release = _metadata["project"]["version"]

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = True

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"{project} {version}"
html_copy_source = False
html_show_sphinx = False


def _fill_contributing(app, docname, source):
    if docname == "contributing":
        app.env.note_dependency("../CONTRIBUTING.md")
        text = (_root / "CONTRIBUTING.md").read_text("utf-8")
        text = re.sub(r"\]\((?!\w+:|#)", "](../", text)
        source[0] = text.replace("](../docs/", "](")


def setup(app):
    app.connect("source-read", _fill_contributing)

"""How Sphinx builds the documentation. Nothing is fetched: the build works offline."""

import tomllib
from pathlib import Path

_metadata = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text("utf-8"))

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

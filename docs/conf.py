"""Sphinx configuration; ``make docs`` treats warnings as errors."""

from __future__ import annotations

from importlib.metadata import version as _version

project = "flask_sio"
copyright = "flask_sio contributors"
version = release = _version("flask-sio")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "examples"]
html_theme = "furo"
html_title = f"flask_sio {version}"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

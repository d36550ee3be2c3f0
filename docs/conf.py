"""The documentation as a site: Sphinx reads the Markdown that people read in the repository.

``index.md`` is the one list of pages. Its links become the navigation, so that no page needs a
directive of Sphinx, and a page that nobody listed fails the build.
"""

import re
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

_PROJECT_FILE = Path(__file__).resolve().parents[1] / "pyproject.toml"

project = "flyte-host"
release = version = tomllib.loads(_PROJECT_FILE.read_text(encoding="utf-8"))["project"]["version"]

extensions = ["myst_parser"]
myst_heading_anchors = 4
nitpicky = True
suppress_warnings = ["misc.highlighting_failure"]  # some examples show what is wrong

html_theme = "furo"
html_title = f"flyte-host {release}"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False

OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+(?:README|CHANGELOG)\.md\)")
SECTION = re.compile(r"^## (.+)\n((?:(?!^## ).*\n?)*)", re.MULTILINE)
PAGE = re.compile(r"^\* \[[^\]]+\]\(([\w/-]+)\.md\)", re.MULTILINE)


def _prepare(_app: Sphinx, page: str, source: list[str]) -> None:
    """Name files that the site does not have, without a link; give ``index.md`` its navigation."""
    source[0] = OUTSIDE.sub(r"\1", source[0])
    if page != "index":
        return
    for title, text in SECTION.findall(source[0]):
        if pages := "\n".join(PAGE.findall(text)):
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{pages}\n```\n"


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _prepare)

"""``make docs`` builds a site of all pages, and stops at what is wrong with one."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.blocks import ROOT

pytestmark = pytest.mark.xdist_group("site")  # two tests look at one site


class Site(NamedTuple):
    """The folder of what was built, and what Sphinx complains of."""

    folder: Path
    complaints: str


def build(docs: Path, folder: Path) -> Site:
    site = folder / "site"
    options = ["-W", "--keep-going", "-q", "-E", "-b", "html", "-d", str(folder / "trees")]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(docs), str(site)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode != 0) == bool(done.stderr), done.stderr
    return Site(site, done.stderr)


@pytest.fixture(scope="module")
def small_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Made of three pages with the settings of ours: one is not listed, one has dead links."""
    project = tmp_path_factory.mktemp("project")
    docs = project / "docs"
    docs.mkdir()
    shutil.copy(ROOT / "pyproject.toml", project)
    shutil.copy(ROOT / "docs" / "conf.py", docs)
    (docs / "index.md").write_text("# Pages\n\n## Do\n\n* [One](one.md): it is short.\n")
    (docs / "one.md").write_text(
        "# One\n\nSee the [start](../README.md) and [pages](index.md).\n"
        "\nA [dead](missing.md) link.\n\nA [dead](index.md#nowhere) link.\n"
    )
    (docs / "two.md").write_text("# Two\n")
    return build(docs, project)


def test_every_page_is_on_the_site(tmp_path: Path) -> None:
    site, complaints = build(ROOT / "docs", tmp_path)
    assert complaints == ""
    pages = {page.relative_to(ROOT / "docs") for page in (ROOT / "docs").rglob("*.md")}
    assert [page for page in pages if not (site / page.with_suffix(".html")).is_file()] == []
    assert "quarantin" in (site / "searchindex.js").read_text()


def test_all_that_is_wrong_is_named(small_site: Site) -> None:
    assert small_site.complaints.count("WARNING") == 3
    assert "two.md: WARNING: document isn't included in any toctree" in small_site.complaints
    assert "one.md:5: WARNING" in small_site.complaints
    assert "one.md:7: WARNING" in small_site.complaints


def test_the_index_is_the_navigation(small_site: Site) -> None:
    page = (small_site.folder / "one.html").read_text()
    assert '<span class="caption-text">Do</span>' in page
    assert "See the start and <a" in page  # README is not on the site

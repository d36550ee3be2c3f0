"""``make docs`` builds a site of all pages, and stops at what is wrong with one."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.blocks import ROOT

Build = Callable[[Path], str]
"""Builds the site of a folder; returns what Sphinx complains of."""


@pytest.fixture
def build(tmp_path: Path) -> Build:
    def build(docs: Path) -> str:
        site = str(tmp_path / "site")
        options = ["-W", "--keep-going", "-q", "-E", "-b", "html", "-d", str(tmp_path / "trees")]
        done = subprocess.run(
            [sys.executable, "-m", "sphinx", *options, str(docs), site],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        assert (done.returncode != 0) == bool(done.stderr), done.stderr
        return done.stderr

    return build


@pytest.fixture
def small_docs(tmp_path: Path) -> Path:
    """Documentation of one page, with the settings of ours."""
    docs = tmp_path / "project" / "docs"
    docs.mkdir(parents=True)
    shutil.copy(ROOT / "pyproject.toml", docs.parent)
    shutil.copy(ROOT / "docs" / "conf.py", docs)
    (docs / "index.md").write_text("# Pages\n\n## Do\n\n* [One](one.md): it is short.\n")
    (docs / "one.md").write_text("# One\n\nSee the [start](../README.md) and [pages](index.md).\n")
    return docs


def test_every_page_is_on_the_site(build: Build, tmp_path: Path) -> None:
    assert build(ROOT / "docs") == ""
    pages = {page.relative_to(ROOT / "docs") for page in (ROOT / "docs").rglob("*.md")}
    site = tmp_path / "site"
    assert [page for page in pages if not (site / page.with_suffix(".html")).is_file()] == []
    assert "quarantin" in (site / "searchindex.js").read_text()


def test_the_index_is_the_navigation(build: Build, small_docs: Path, tmp_path: Path) -> None:
    assert build(small_docs) == ""
    page = (tmp_path / "site" / "one.html").read_text()
    assert '<span class="caption-text">Do</span>' in page
    assert "See the start and <a" in page  # README is not on the site


def test_all_that_is_wrong_is_named(build: Build, small_docs: Path) -> None:
    (small_docs / "two.md").write_text("# Two\n")
    with (small_docs / "one.md").open("a") as page:
        page.write("\nA [dead](missing.md) link.\n\nA [dead](index.md#nowhere) link.\n")
    complaints = build(small_docs)
    assert "two.md: WARNING: document isn't included in any toctree" in complaints
    assert "one.md:5: WARNING" in complaints
    assert "one.md:7: WARNING" in complaints

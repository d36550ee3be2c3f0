"""The projects that pages show install as written, type-check, and are served."""

from pathlib import Path

import pytest

from tests.conftest import Run
from tests.support.blocks import ROOT, all_blocks, write_files
from tests.support.projects import install_project, run_module

PROJECTS = sorted({each.path for each in all_blocks("toml") if each.title == "pyproject.toml"})


@pytest.mark.parametrize("page", PROJECTS, ids=lambda path: path.stem)
def test_a_project_installs_as_written(page: Path, tmp_path: Path, flyte_host: Run) -> None:
    project, site = tmp_path / "project", tmp_path / "site"
    project.mkdir()
    write_files(page, project)
    install_project(project, site)
    [module] = site.glob("flyte_*.py")
    run_module("mypy", "--strict", "--cache-dir", ROOT / ".mypy_cache", module,
               cwd=ROOT, site=site)  # fmt: skip
    listed = flyte_host("packs").stdout
    [entry] = site.glob("*.dist-info/entry_points.txt")
    name = entry.read_text(encoding="utf-8").splitlines()[1].partition("=")[0].strip()
    [line] = [each for each in listed.splitlines() if each.startswith(f"{name} ")]
    assert "loaded" in line


def test_every_such_page_is_tried() -> None:
    assert {page.name for page in PROJECTS} == {
        "README.md", "extend-a-pack-you-do-not-own.md", "first-pack.md", "port-a-pack-from-go.md"
    }  # fmt: skip

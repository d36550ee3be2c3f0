"""The projects that pages show install as written, type-check, and are served."""

import tomllib
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.support.blocks import ROOT, all_blocks, blocks_of, write_files
from tests.support.projects import install_projects, run_module

pytestmark = pytest.mark.xdist_group("projects")  # installed once for all

PROJECTS = sorted({each.path for each in all_blocks("toml") if each.title == "pyproject.toml"})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip has installed all of them at once; each start of it takes longer than its work."""
    folder = tmp_path_factory.mktemp("projects")
    for page in PROJECTS:
        write_files(page, folder / page.stem)
    install_projects(folder / "site", *(folder / page.stem for page in PROJECTS))
    return folder / "site"


@pytest.mark.parametrize("page", PROJECTS, ids=lambda path: path.stem)
def test_a_project_is_served(page: Path, site: Path, flyte_host: Run) -> None:
    [text] = [each.text for each in blocks_of(page) if each.title == "pyproject.toml"]
    [name] = tomllib.loads(text)["project"]["entry-points"]["flyte_host.packs"]
    listed = flyte_host("packs", environ={"PYTHONPATH": str(site)}).stdout
    [line] = [each for each in listed.splitlines() if each.startswith(f"{name} ")]
    assert "loaded" in line


def test_the_projects_type_check(site: Path) -> None:
    modules = sorted(site.glob("flyte_*.py"))
    assert len(modules) == len(PROJECTS)
    run_module("mypy", "--strict", "--cache-dir", ROOT / ".mypy_cache", *modules,
               cwd=ROOT, site=site)  # fmt: skip


def test_every_such_page_is_tried() -> None:
    assert {page.name for page in PROJECTS} == {
        "README.md", "extend-a-pack-you-do-not-own.md", "first-pack.md", "port-a-pack-from-go.md"
    }  # fmt: skip

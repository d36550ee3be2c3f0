"""The projects that pages show install as written, type-check, and are served."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.blocks import ROOT, all_blocks, write_files

PROJECTS = sorted({each.path for each in all_blocks("toml") if each.title == "pyproject.toml"})


def run(*command: str | Path, cwd: Path, site: Path) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLYTE_")}
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        cwd=cwd, env=kept | {"PYTHONPATH": str(site)}, capture_output=True, text=True, check=False,
        timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("page", PROJECTS, ids=lambda path: path.stem)
def test_a_project_installs_as_written(page: Path, tmp_path: Path) -> None:
    project, site = tmp_path / "project", tmp_path / "site"
    project.mkdir()
    write_files(page, project)
    run("pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", site, ".",
        cwd=project, site=site)  # fmt: skip
    [module] = site.glob("flyte_*.py")
    run("mypy", "--strict", "--cache-dir", ROOT / ".mypy_cache", module, cwd=ROOT, site=site)
    listed = run("flyte_host", "packs", cwd=tmp_path, site=site)
    [entry] = site.glob("*.dist-info/entry_points.txt")
    name = entry.read_text(encoding="utf-8").splitlines()[1].partition("=")[0].strip()
    [line] = [each for each in listed.splitlines() if each.startswith(f"{name} ")]
    assert "loaded" in line


def test_every_such_page_is_tried() -> None:
    assert {page.name for page in PROJECTS} == {
        "README.md", "extend-a-pack-you-do-not-own.md", "first-pack.md", "port-a-pack-from-go.md"
    }  # fmt: skip

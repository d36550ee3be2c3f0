"""Builds wheels and sdists as for a release, and makes environments with nothing else.

Owns how they are built and installed without a package index.
"""

import subprocess
import sys
import tarfile
import tomllib
import venv
from collections.abc import Iterator, Sequence
from contextlib import chdir
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

from hatchling.build import build_sdist, build_wheel
from packaging.requirements import Requirement

from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.blocks import ROOT

PROJECTS = [ROOT, *sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))]


@dataclass(frozen=True)
class Release:
    """What one project publishes; the wheel is built from the sdist, as others would."""

    project: Path
    sdist: Path
    wheel: Path

    @property
    def document(self) -> dict[str, Any]:
        """The table ``[project]``."""
        text = (self.project / "pyproject.toml").read_text(encoding="utf-8")
        document: dict[str, Any] = tomllib.loads(text)["project"]
        return document

    @property
    def package(self) -> Path:
        """The folder of its code."""
        return self.project / str(self.document["name"]).replace("-", "_")


def run(*command: str | Path, cwd: Path) -> str:
    """The stdout of a program; fails if its exit code is not 0."""
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(project: Path, folder: Path) -> Release:
    """Build the sdist, and the wheel from it, into ``folder``, by the hooks that pip calls."""
    with chdir(project):
        build_sdist(str(folder))
    [sdist] = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    [unpacked] = (folder / "unpacked").iterdir()
    with chdir(unpacked):
        build_wheel(str(folder))
    [wheel] = folder.glob("*.whl")
    return Release(project, sdist, wheel)


def make_environment(folder: Path, releases: Sequence[Release], extras: Sequence[str]) -> Path:
    """A virtual environment with the wheels, and what they require, linked from where it is here.

    What they do not declare is not there. Returns its Python.
    """
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    wheels = [str(release.wheel) for release in releases]
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps",
        "--no-index", *wheels, cwd=folder)  # fmt: skip
    [site] = folder.glob("lib/python*/site-packages")
    ours = {path.name.partition("-")[0] for path in site.glob("flyte_*.dist-info")}
    wanted = [
        Requirement(text)
        for release in releases
        for text in [
            *release.document["dependencies"],
            *(
                each
                for extra in extras
                for each in release.document.get("optional-dependencies", {}).get(extra, ())
            ),
        ]
    ]
    for found in _closure([each for each in wanted if each.name.replace("-", "_") not in ours]):
        _link(found, site)
    return python


def _closure(wanted: list[Requirement]) -> Iterator[Distribution]:
    """The distributions of the requirements, and of what they require."""
    seen: set[tuple[str, frozenset[str]]] = set()
    while wanted:
        each = wanted.pop()
        key = each.name.lower(), frozenset(each.extras)
        if key in seen:
            continue
        seen.add(key)
        found = distribution(each.name)
        yield found
        for text in found.requires or ():
            needed = Requirement(text)
            extras = each.extras or {""}
            if needed.marker is None or any(
                needed.marker.evaluate({"extra": extra}) for extra in extras
            ):
                wanted.append(needed)


def _link(found: Distribution, site: Path) -> None:
    tops = {file.parts[0] for file in found.files or () if file.parts[0] != ".."}
    for top in tops - {"__pycache__"}:
        if not (site / top).exists():
            (site / top).symlink_to(Path(str(found.locate_file(top))))

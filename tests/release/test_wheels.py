"""What would be published: built, inspected, installed where nothing else is, and served."""

import os
import sys
import zipfile
from collections.abc import Callable
from email.parser import Parser
from pathlib import Path

import pytest
from check_wheel_contents.__main__ import (  # type: ignore[import-untyped]
    main as check_wheel_contents,
)
from click.testing import CliRunner

from tests.support.serving import Serving
from tests.support.wheels import PROJECTS, Release, build, make_environment, run

pytestmark = pytest.mark.xdist_group("wheels")  # each project is built once

EXTRAS = ["curl", "dev", "embedded", "metrics"]
CONFIG = """
[flyte.embedded]
listen = "127.0.0.1:0"
flows = ["flows/*.yaml"]
[health]
listen = "127.0.0.1:0"
[packs.ticker.settings]
interval_seconds = 0.2
[packs.email]
enabled = false
[packs.jira]
enabled = false
"""
FLOW = """
name: tell-the-time
steps:
  - id: tell
    event: {packName: Ticker, name: Tick}
    command: {packName: Shell, name: Shell, input: "echo {{ Event.Payload.time }}"}
"""

Releases = Callable[[Path], Release]


@pytest.fixture(scope="module")
def release_of(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    """The release of a project, built once."""
    built: dict[Path, Release] = {}

    def release_of(project: Path) -> Release:
        if project not in built:
            built[project] = build(project, tmp_path_factory.mktemp(project.name))
        return built[project]

    return release_of


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_a_wheel_has_the_code_and_nothing_else(project: Path, release_of: Releases) -> None:
    release = release_of(project)
    package = release.package
    with zipfile.ZipFile(release.wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        [metadata] = [name for name in archive.namelist() if name.endswith("/METADATA")]
        told = Parser().parsestr(archive.read(metadata).decode())
    code = {
        path.relative_to(project).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == code
    assert f"{package.name}/py.typed" in names
    assert (told["Name"], told["Version"]) == (
        release.document["name"],
        release.document["version"],
    )
    assert told["License-Expression"] == "Apache-2.0"
    words = ["--no-config", "--package", str(package), str(release.wheel)]
    checked = CliRunner().invoke(check_wheel_contents, words)
    assert checked.exit_code == 0, checked.output


def test_an_index_takes_what_is_built(release_of: Releases, tmp_path: Path) -> None:
    releases = [release_of(project) for project in PROJECTS]
    built = [file for each in releases for file in (each.wheel, each.sdist)]
    run(sys.executable, "-m", "twine", "check", "--strict", *built, cwd=tmp_path)


def test_a_clean_environment_serves_the_wheels(release_of: Releases, tmp_path: Path) -> None:
    releases = [release_of(project) for project in PROJECTS]
    python = make_environment(tmp_path / "venv", releases, EXTRAS)
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "time.yaml").write_text(FLOW, encoding="utf-8")
    (tmp_path / "flyte-host.toml").write_text(CONFIG, encoding="utf-8")
    environ = {"PATH": os.environ["PATH"]}
    version = run(python.with_name("flyte-host"), "--version", cwd=tmp_path)
    assert version == f"flyte-host {releases[0].document['version']}\n"
    with Serving(tmp_path, environ, python=python) as serving:
        serving.wait_ready()
        serving.wait_for("Shell → Output")
    run(python, "-c", "import prometheus_client, pycurl, watchfiles", cwd=tmp_path)


def test_a_host_without_extras_starts(release_of: Releases, tmp_path: Path) -> None:
    releases = [release_of(project) for project in PROJECTS]
    python = make_environment(tmp_path / "venv", releases[:1], [])
    (tmp_path / "flyte-host.toml").write_text('[health]\nlisten = "127.0.0.1:0"\n')
    environ = {"PATH": os.environ["PATH"], "FLYTE_API": "http://127.0.0.1:9"}
    with Serving(tmp_path, environ, python=python) as serving:
        serving.wait_for("no pack is served")
        assert serving.page("/live")[0] == 200
    run(python.with_name("flyte-host"), "new", "pager", cwd=tmp_path)
    assert (tmp_path / "flyte-pack-pager" / "flyte_pack_pager" / "pack.py").exists()

"""``flyte-host new`` as its users run it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Run


def test_a_project_is_written(flyte_host: Run, tmp_path: Path) -> None:
    done = flyte_host("new", "Pager Duty")
    assert (done.returncode, done.stderr) == (0, "")
    project = tmp_path / "flyte-pack-pager-duty"
    lines = done.stdout.splitlines()
    assert lines[0] == "wrote flyte-pack-pager-duty/pyproject.toml"
    assert lines[-1] == (
        "the pack PagerDuty is in flyte-pack-pager-duty; its README.md says what to do next"
    )
    written = {path for path in project.rglob("*") if path.is_file()}
    assert {tmp_path / line.removeprefix("wrote ") for line in lines[:-1]} == written


def test_a_folder_can_be_named(flyte_host: Run, tmp_path: Path) -> None:
    done = flyte_host("new", "pager", "--folder", "some/where else", "--add-on", "Shell")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "some/where else/flyte_pack_pager/add_on.py").exists()
    assert "is in 'some/where else'" in done.stdout


def test_a_second_time_overwrites_nothing(flyte_host: Run, tmp_path: Path) -> None:
    assert flyte_host("new", "pager").returncode == 0
    file = tmp_path / "flyte-pack-pager" / "README.md"
    file.write_text("mine", encoding="utf-8")
    done = flyte_host("new", "pager", "--observer")
    assert (done.returncode, done.stdout) == (1, "")
    assert "expected a new or empty folder: nothing is overwritten" in done.stderr
    assert file.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["7zip"], 'found "7zip", expected letters a to z and digits'),
        (["../pager"], 'found "../pager", expected letters a to z and digits'),
        (["pager", "--add-on", "My Pack"], "expected the name of a pack in flyte, such as Shell"),
        (["x1", "--add-on", "X1"], "found X1, the pack of this project itself: expected somebody"),
        (["pager", "--add-on", "P" * 41], "expected the name of a pack in flyte, such as Shell"),
        ([], "Missing argument 'NAME'"),
    ],
    ids=["a digit", "a path", "a space", "itself", "long", "nothing"],
)
def test_what_cannot_be_says_what_can(
    flyte_host: Run, tmp_path: Path, arguments: list[str], says: str
) -> None:
    done = flyte_host("new", *arguments)
    assert done.returncode == 2
    assert says in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken(
    flyte_host: Run, installed: Callable[..., Path], tmp_path: Path
) -> None:
    installed("pager", "plugin = None", distribution="oncall")
    installed("beeper", "plugin = None", distribution="flyte-pack-beeper")
    done = flyte_host("new", "pager")
    assert done.returncode == 1
    assert "oncall, which is installed here, has a plugin 'pager' already: " in done.stderr
    done = flyte_host("new", "beeper")
    assert done.returncode == 1
    assert "flyte-pack-beeper is installed here already: choose another name" in done.stderr
    done = flyte_host("new", "kit")  # a library, without a plugin
    assert done.returncode == 1
    assert "flyte-pack-kit is installed here already: choose another name" in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["site"]

"""The types of the public names: what a type checker accepts of a pack, and what it refuses."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from flyte_host.testing.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parents[1]
PACK = ROOT / "tests" / "support" / "typed_pack.py"


def checked_by(*command: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=cwd, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout


def refused_by_mypy(folder: Path) -> set[int]:
    """By the options of ``make lint``, whose cache serves here too."""
    config = folder / "pyproject.toml"
    config.write_text((ROOT / "pyproject.toml").read_text().replace("ignore_errors = true", ""))
    output = checked_by("mypy", f"--config-file={config}", "--output=json", str(PACK), cwd=ROOT)
    problems = map(json.loads, output.splitlines())
    return {each["line"] for each in problems if each["severity"] == "error"}


def refused_by_pyright(folder: Path) -> set[int]:
    project = {"typeCheckingMode": "standard", "include": [str(PACK)], "extraPaths": [str(ROOT)]}
    (folder / "pyrightconfig.json").write_text(json.dumps(project))
    output = checked_by("basedpyright", "--outputjson", "--pythonpath", sys.executable, cwd=folder)
    problems = json.loads(output)["generalDiagnostics"]
    return {1 + each["range"]["start"]["line"] for each in problems if each["severity"] == "error"}


def wanted() -> set[int]:
    lines = PACK.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# refused")}


def test_mypy_refuses_what_a_host_would_refuse_and_nothing_else(tmp_path: Path) -> None:
    assert refused_by_mypy(tmp_path) == wanted()


@pytest.mark.skipif(find_spec("basedpyright") is None, reason="basedpyright is not installed")
def test_pyright_refuses_what_a_host_would_refuse_and_nothing_else(tmp_path: Path) -> None:
    assert refused_by_pyright(tmp_path) == wanted()


@pytest.mark.parametrize("package", ["flyte_host", *sorted(ROOT.glob("plugins/*/flyte_pack_*"))])
def test_a_package_says_that_it_is_typed(package: str | Path) -> None:
    assert (ROOT / package / "py.typed").is_file()

"""The distribution brings every pack, and its README says so."""

import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]
PROJECTS = {
    path.parent.name: tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    for path in sorted(HERE.parent.glob("*/pyproject.toml"))
}
PACKS = {name for name, project in PROJECTS.items() if "entry-points" in project}


def dependencies(name: str) -> set[str]:
    return set(PROJECTS[name]["dependencies"])


def test_every_pack_is_a_dependency() -> None:
    assert dependencies("flyte-host-packs") == PACKS | {"flyte-host"}


def test_every_pack_is_in_the_table() -> None:
    lines = (HERE / "README.md").read_text(encoding="utf-8").splitlines()
    assert [line.split("`")[1] for line in lines if line.startswith("| `")] == sorted(PACKS)


def test_what_else_is_here_is_a_library_that_packs_use() -> None:
    others: Any = PROJECTS.keys() - PACKS - {"flyte-host-packs"}
    used = set().union(*(dependencies(name) for name in PACKS))
    assert others <= used

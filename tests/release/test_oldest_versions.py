"""What ``make nox SESSION=oldest`` installs."""

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement

from tests.noxfile import PROJECTS, dependencies, normal, oldest_versions

WITHOUT_A_BOUND = {"pytest"}
"""Our fixtures are for suites of those that have it."""


def test_every_dependency_has_a_lower_bound_that_is_tried() -> None:
    pins = dict(pin.split("==") for pin in oldest_versions())
    own = {tomllib.loads(path.read_text(encoding="utf-8"))["project"]["name"] for path in PROJECTS}
    for path in PROJECTS:
        for requirement in map(Requirement, dependencies(path)):
            if requirement.name not in own:
                assert str(requirement.specifier) == f">={pins[requirement.name]}", path


def test_whatever_is_imported_is_a_dependency() -> None:
    """What only others bring has no lower bound, and goes when they do."""
    given_by = packages_distributions()
    for path in PROJECTS:
        declared = {normal(Requirement(each).name) for each in dependencies(path)} | WITHOUT_A_BOUND
        [package] = path.parent.glob("flyte_*")
        for module in imported_modules(package):
            distributions = {normal(each) for each in given_by.get(module, [])}
            if not module.startswith("flyte_") and distributions:
                assert distributions & declared, (path, module)


def imported_modules(package: Path) -> set[str]:
    found = set()
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {each.name.partition(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or "").partition(".")[0])
    return found - sys.stdlib_module_names


def test_packs_and_host_want_the_same_versions() -> None:
    bounds: dict[str, set[str]] = {}
    for path in PROJECTS:
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        for requirement in map(Requirement, project["dependencies"]):
            bounds.setdefault(requirement.name, set()).add(str(requirement.specifier))
    assert {name: found for name, found in bounds.items() if len(found) > 1} == {}

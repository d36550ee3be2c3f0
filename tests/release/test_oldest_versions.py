"""What ``make nox SESSION=oldest`` installs."""

import tomllib

from packaging.requirements import Requirement

from tests.noxfile import PROJECTS, oldest_versions


def test_every_dependency_has_a_lower_bound_that_is_tried() -> None:
    pins = dict(pin.split("==") for pin in oldest_versions())
    own = {tomllib.loads(path.read_text(encoding="utf-8"))["project"]["name"] for path in PROJECTS}
    for path in PROJECTS:
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        extras = project.get("optional-dependencies", {}).values()
        wanted = [*project["dependencies"], *(each for extra in extras for each in extra)]
        for requirement in map(Requirement, wanted):
            if requirement.name not in own:
                assert str(requirement.specifier) == f">={pins[requirement.name]}", path


def test_packs_and_host_want_the_same_versions() -> None:
    bounds: dict[str, set[str]] = {}
    for path in PROJECTS:
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        for requirement in map(Requirement, project["dependencies"]):
            bounds.setdefault(requirement.name, set()).add(str(requirement.specifier))
    assert {name: found for name, found in bounds.items() if len(found) > 1} == {}

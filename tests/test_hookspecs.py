"""Every hook has its own test, and the specifications say what the contract says."""

import inspect
import re
from pathlib import Path

import pluggy
import pytest

from flyte_host import hookspecs
from flyte_host.hookspecs import PROJECT_NAME, hookimpl

ARGUMENTS = {
    "flyte_pack": [],
    "flyte_commands": ["pack"],
    "flyte_event_defs": ["pack"],
    "flyte_health_checks": ["pack"],
    "flyte_observe": ["pack", "emit", "stopping"],
}


def hooks() -> set[str]:
    manager = pluggy.PluginManager(PROJECT_NAME)
    manager.add_hookspecs(hookspecs)
    return {name for name in vars(manager.hook) if not name.startswith("_")}


def test_the_hooks_are_those_of_the_contract() -> None:
    assert hooks() == set(ARGUMENTS)
    assert PROJECT_NAME == "flyte_host"


@pytest.mark.parametrize(("hook", "arguments"), ARGUMENTS.items(), ids=list(ARGUMENTS))
def test_arguments_types_and_documentation(hook: str, arguments: list[str]) -> None:
    specification = getattr(hookspecs, hook)
    signature = inspect.signature(specification)
    assert list(signature.parameters) == arguments
    assert all(
        each.annotation is not inspect.Parameter.empty for each in signature.parameters.values()
    )
    assert signature.return_annotation is not inspect.Signature.empty
    assert specification.__doc__


def test_the_marker_marks_for_this_project() -> None:
    def flyte_pack() -> None: ...

    assert hasattr(hookimpl(flyte_pack), f"{PROJECT_NAME}_impl")


def test_every_hook_has_a_test() -> None:
    tests = Path(__file__).parent.rglob("test_*.py")
    named = re.compile(r"^def test_hook_(\w+)\(", re.MULTILINE)
    tested = {name for file in tests for name in named.findall(file.read_text(encoding="utf-8"))}
    assert tested == hooks()

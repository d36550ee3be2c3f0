"""The README of each pack: its table has every setting, and its examples are flows."""

import dataclasses
import importlib
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from flyte_host.testing import FlyteServer
from tests.support.blocks import ROOT, blocks_of, read


def entry_points(project: Path) -> dict[str, str]:
    document = tomllib.loads(read(project / "pyproject.toml"))
    points: dict[str, str] = document["project"].get("entry-points", {}).get("flyte_host.packs", {})
    return points


PACKS = [
    pytest.param(project, target, id=name)
    for project in sorted((ROOT / "plugins").iterdir())
    for name, target in entry_points(project).items()
]


def settings_of(target: str) -> Any:
    """The class of a pack's settings, or of their entries if one table of these is all."""
    module, _, name = target.partition(":")
    factory = getattr(importlib.import_module(module), name)
    settings = typing.get_type_hints(factory.__init__)["settings"]
    kinds = list(typing.get_type_hints(settings).values())
    if len(kinds) == 1 and typing.get_origin(kinds[0]) is Mapping:
        return typing.get_args(kinds[0])[1]
    return settings


@pytest.mark.parametrize(("project", "target"), PACKS)
def test_every_setting_is_in_the_table(project: Path, target: str) -> None:
    lines = read(project / "README.md").splitlines()
    rows = [line.split("`")[1] for line in lines if line.startswith("| `")]
    settings = [field.name for field in dataclasses.fields(settings_of(target))]
    assert rows[: len(settings)] == settings


@pytest.mark.parametrize(("project", "target"), PACKS)
def test_the_examples_are_flows(project: Path, target: str, flyte_server: FlyteServer) -> None:
    flows = [each.text for each in blocks_of(project / "README.md") if each.language == "yaml"]
    assert flows, target
    for flow in flows:
        assert flyte_server.put_flow(flow) == flow.split()[1]

"""The README of each pack: its table has every setting, and its examples are flows."""

import dataclasses
import importlib
import typing
from collections.abc import Mapping
from typing import Any

import pytest

from flyte_host.testing import FlyteServer
from tests.support.blocks import blocks_of, read
from tests.support.own_packs import OWN_PACKS, OwnPack

every_pack = pytest.mark.parametrize("pack", OWN_PACKS, ids=lambda pack: pack.name)


def settings_of(target: str) -> Any:
    """The class of a pack's settings, or of their entries if one table of these is all."""
    module, _, name = target.partition(":")
    factory = getattr(importlib.import_module(module), name)
    settings = typing.get_type_hints(factory.__init__)["settings"]
    kinds = list(typing.get_type_hints(settings).values())
    if len(kinds) == 1 and typing.get_origin(kinds[0]) is Mapping:
        return typing.get_args(kinds[0])[1]
    return settings


@every_pack
def test_every_setting_is_in_the_table(pack: OwnPack) -> None:
    lines = read(pack.project / "README.md").splitlines()
    rows = [line.split("`")[1] for line in lines if line.startswith("| `")]
    settings = [field.name for field in dataclasses.fields(settings_of(pack.target))]
    assert rows[: len(settings)] == settings


@every_pack
def test_the_examples_are_flows(pack: OwnPack, flyte_server: FlyteServer) -> None:
    blocks = blocks_of(pack.project / "README.md")
    flows = [each.text for each in blocks if each.language == "yaml"]
    assert flows
    for flow in flows:
        assert flyte_server.put_flow(flow) == flow.split()[1]

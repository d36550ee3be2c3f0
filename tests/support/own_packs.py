"""The packs of this checkout, which are installed beside whatever a test installs."""

import tomllib
from pathlib import Path
from typing import NamedTuple

from tests.support.blocks import ROOT

GROUP = "flyte_host.packs"


class OwnPack(NamedTuple):
    """A plugin's entry point, and the folder of its project."""

    name: str
    target: str
    project: Path


def _own_packs() -> list[OwnPack]:
    """Not every distribution there has an entry point."""
    files = (ROOT / "plugins").glob("*/pyproject.toml")
    tables = {each.parent: tomllib.loads(each.read_text(encoding="utf-8")) for each in files}
    return sorted(
        OwnPack(name, target, project)
        for project, table in tables.items()
        for name, target in table["project"].get("entry-points", {}).get(GROUP, {}).items()
    )


OWN_PACKS = _own_packs()


def disabled_packs(*served: str) -> str:
    """Tables of a configuration that disable all of them except ``served``."""
    names = [each.name for each in OWN_PACKS if each.name not in served]
    return "".join(f"[packs.{name}]\nenabled = false\n" for name in names)

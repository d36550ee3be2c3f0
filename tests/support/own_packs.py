"""The packs of this checkout, which are installed beside whatever a test installs."""

import tomllib
from pathlib import Path

GROUP = "flyte_host.packs"


def _names() -> list[str]:
    """The entry points of the plugins; not every distribution there has one."""
    projects = (Path(__file__).parents[2] / "plugins").glob("*/pyproject.toml")
    tables = [tomllib.loads(each.read_text(encoding="utf-8"))["project"] for each in projects]
    return sorted(name for each in tables for name in each.get("entry-points", {}).get(GROUP, {}))


OWN_PACKS = _names()


def disabled_packs(*served: str) -> str:
    """Tables of a configuration that disable all of them except ``served``."""
    names = [name for name in OWN_PACKS if name not in served]
    return "".join(f"[packs.{name}]\nenabled = false\n" for name in names)

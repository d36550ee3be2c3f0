"""The packs of this checkout, which are installed beside whatever a test installs."""

from pathlib import Path

PREFIX = "flyte-pack-"
OWN_PACKS = sorted(
    each.name.removeprefix(PREFIX)
    for each in (Path(__file__).parents[2] / "plugins").iterdir()
    if each.name.startswith(PREFIX)
)


def disabled_packs(*served: str) -> str:
    """Tables of a configuration that disable them, all but those ``served``."""
    names = [name for name in OWN_PACKS if name not in served]
    return "".join(f"[packs.{name}]\nenabled = false\n" for name in names)

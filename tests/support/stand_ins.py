"""The stand-ins for services from the tests of packs, for tests of several packs."""

import importlib.util
import sys
from types import ModuleType

from tests.support.blocks import ROOT


def load_stand_in(pack: str, module: str) -> ModuleType:
    """A module beside the tests of a pack; the folder's name is not valid for a package."""
    name = f"{pack}_{module}"
    if name not in sys.modules:
        path = ROOT / "plugins" / f"flyte-pack-{pack}" / "tests" / f"{module}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[name] = loaded
        spec.loader.exec_module(loaded)
    return sys.modules[name]

"""The Bamboo pack of flyte as a plugin of flyte-host."""

from flyte_pack_bamboo.pack import BambooPack
from flyte_pack_bamboo.settings import BambooSettings

__all__ = ["BambooPack", "BambooSettings"]

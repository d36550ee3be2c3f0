"""The Graphite pack of flyte as a plugin of flyte-host."""

from flyte_pack_graphite.pack import GraphitePack
from flyte_pack_graphite.settings import GraphiteSettings

__all__ = ["GraphitePack", "GraphiteSettings"]

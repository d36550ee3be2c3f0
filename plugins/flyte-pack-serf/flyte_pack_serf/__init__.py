"""The Serf pack of flyte as a plugin of flyte-host."""

from flyte_pack_serf.pack import SerfPack
from flyte_pack_serf.settings import SerfSettings

__all__ = ["SerfPack", "SerfSettings"]

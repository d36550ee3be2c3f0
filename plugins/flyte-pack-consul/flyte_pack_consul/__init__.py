"""The Consul pack of flyte as a plugin of flyte-host."""

from flyte_pack_consul.pack import ConsulPack
from flyte_pack_consul.settings import ConsulSettings

__all__ = ["ConsulPack", "ConsulSettings"]

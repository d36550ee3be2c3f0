"""The Email pack of flyte as a plugin of flyte-host."""

from flyte_pack_email.pack import EmailPack
from flyte_pack_email.settings import EmailSettings

__all__ = ["EmailPack", "EmailSettings"]

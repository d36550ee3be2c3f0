"""The Shell pack of flyte as a plugin of flyte-host."""

from flyte_pack_shell.pack import ShellPack
from flyte_pack_shell.settings import ShellSettings

__all__ = ["ShellPack", "ShellSettings"]

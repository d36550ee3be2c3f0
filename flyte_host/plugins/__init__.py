"""Installed code → plugin objects and what they contribute, each isolated from the others.

``discovery`` finds plugins, ``loader`` imports them, ``settings`` makes them with their settings,
``hooks`` calls the hooks that one implements, ``contribution`` checks what they return,
``bound_command`` makes handlers ready to be called. ``packs`` merges them. A plugin in a process of
its own is represented by ``isolation``.
"""

from flyte_host.plugins.discovery import GROUP, InstalledPlugin, discover, plugin_named
from flyte_host.plugins.loader import LOAD_SECONDS, Loader
from flyte_host.plugins.plugin import Plugin, Status

__all__ = [
    "GROUP",
    "LOAD_SECONDS",
    "InstalledPlugin",
    "Loader",
    "Plugin",
    "Status",
    "discover",
    "plugin_named",
]

"""Installed code → plugin objects and what they contribute, each isolated from the others.

``discovery`` finds plugins, ``loading`` imports them, ``settings`` makes them with their settings,
``contributions`` checks what their hooks answer, ``binding`` makes handlers ready to be called.
Merging them into packs is ``registry``'s. For a plugin in a process of its own stands one of
``isolation``, whose process ``supervision`` starts again within a ``budget``; ``process`` runs one,
``messages`` travel.
"""

from flyte_host.plugins.discovery import GROUP, InstalledPlugin, discover, source_named
from flyte_host.plugins.loader import (
    LOAD_SECONDS,
    Loader,
    Plugin,
    Status,
)

__all__ = [
    "GROUP",
    "LOAD_SECONDS",
    "InstalledPlugin",
    "Loader",
    "Plugin",
    "Status",
    "discover",
    "source_named",
]

"""Installed code → plugin objects and what they contribute, each isolated from the others.

``loading`` finds plugins, ``settings`` makes them with their settings, ``contributions`` checks
what their hooks answer, ``binding`` makes handlers ready to be called. Merging them into packs is
``registry``'s. A plugin in a process of its own has an ``isolation`` that stands for it, whose
process ``supervision`` keeps up within a ``budget``; ``process`` runs it, ``messages`` travel.
"""

from flyte_host.plugins.loading import (
    GROUP,
    LOAD_SECONDS,
    Loader,
    Plugin,
    Source,
    Status,
    discover,
    source_named,
)

__all__ = [
    "GROUP",
    "LOAD_SECONDS",
    "Loader",
    "Plugin",
    "Source",
    "Status",
    "discover",
    "source_named",
]

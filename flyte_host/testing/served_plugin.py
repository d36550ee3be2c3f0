"""One plugin with its pack: its own, or the one that an add-on adds to."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flyte_host.errors import PluginError
from flyte_host.hookspecs import hookimpl
from flyte_host.model import PackDef
from flyte_host.packs import ServedPack, ServedPacks
from flyte_host.plugins import Plugin
from flyte_host.secrets import Scrubber
from flyte_host.testing.serving import PLUGIN, serving

BESIDE = "bare"


@dataclass(frozen=True, slots=True)
class ServedPlugin:
    """One plugin, and the pack that it owns or adds to."""

    plugin: Plugin
    pack: ServedPack


class _BarePack:
    """An owner with nothing in its pack, for an add-on to add to."""

    def __init__(self, pack: PackDef) -> None:
        self._pack = pack

    @hookimpl
    def flyte_pack(self) -> PackDef:
        return self._pack


@contextmanager
def serving_one(
    plugin: object,
    table: Mapping[str, Any],
    scrubber: Scrubber,
    pack: str | PackDef | None = None,
) -> Iterator[ServedPlugin]:
    """A plugin with its own pack, or with the one that an add-on adds to; raises PluginError.

    ``pack`` is the name of the plugin's own pack; for an add-on, the pack or its name.
    """
    if plugin is None:
        raise PluginError(
            "the plugin is None, expected a class, a factory, a module, an object, or a text such "
            'as "my_pack:MyPack"'
        )
    with serving({PLUGIN: plugin}, {PLUGIN: table}, scrubber) as served:
        _check_whole(served)
        owns = PLUGIN in served.packs
        if owns and pack is None:
            yield ServedPlugin(served.plugins[0], served.packs[PLUGIN])
            return
    if owns and isinstance(pack, PackDef):
        raise PluginError("the plugin owns a pack: give its name as pack, or none")
    beside = pack if isinstance(pack, PackDef) else PackDef(pack or "Bare")
    plugins = {PLUGIN: plugin} if owns else {PLUGIN: plugin, BESIDE: _BarePack(beside)}
    own = {**table, "name": pack} if owns else table
    with serving(plugins, {PLUGIN: own}, scrubber) as served:
        _check_whole(served)
        yield ServedPlugin(served.plugins[0], served.packs[PLUGIN if owns else BESIDE])


def _check_whole(served: ServedPacks) -> None:
    if served.broken:
        raise PluginError(f"the plugin is broken: {served.broken[0].problem}")

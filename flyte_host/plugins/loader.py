"""Installed plugins → plugin objects, each isolated from the others.

Owns the import, the constructor and the state of a plugin that fails in them. Must not know
what plugins contribute.
"""

import dataclasses
import inspect
import logging
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeGuard, TypeVar

from flyte_host.clock import Clock
from flyte_host.config import PackConfig, resolve_settings
from flyte_host.errors import ConfigError
from flyte_host.foreign_code import Misbehaved, Starter, call_within, headline, start_thread
from flyte_host.log_output import LogOutput, enabled_loggers
from flyte_host.plugins.discovery import InstalledPlugin
from flyte_host.plugins.hooks import Hooks, hooks_of, marked_hooks
from flyte_host.plugins.plugin import Plugin, Status
from flyte_host.plugins.plugin_processes import PluginProcesses
from flyte_host.plugins.schemas import Schema, settings_schema
from flyte_host.plugins.settings import SettingsMissing, make, without_settings
from flyte_host.secrets import Scrubber
from flyte_host.text import nearest

T = TypeVar("T")

LOAD_SECONDS = 20.0
"""How long an import, a constructor or a hook may take before its plugin counts as broken."""

MAIN_THREAD_ONLY = re.compile(r"only works in main thread|no current event loop in thread")
ISOLATION_HELPS = (
    'set isolation = "process" in its table: in its own process a plugin is imported in the '
    "main thread"
)

MOST_CAUSES = 20

log = logging.getLogger(__name__)


class Loader:
    """Makes the plugins of one host from what is installed and its configuration.

    ``secret_variables`` of the environment are not passed on to processes of plugins. ``problem``
    names the plugin that is taking long to load, and where it is; else it is empty.
    ``start`` is where imports and constructors run.
    """

    def __init__(
        self,
        installed: Iterable[InstalledPlugin],
        environ: Mapping[str, str],
        scrubber: Scrubber,
        *,
        secret_variables: Collection[str] = (),
        limit_seconds: float = LOAD_SECONDS,
        clock: Clock | None = None,
        start: Starter = start_thread,
    ) -> None:
        self._installed = {each.name: each for each in installed}
        self._clock = clock or Clock()
        self._start = start
        self._environ = environ
        self._scrubber = scrubber
        self._limit_seconds = limit_seconds
        self._imported: dict[str, object | Misbehaved] = {}
        self._processes = PluginProcesses(secret_variables, limit_seconds, self._clock)
        self.problem = ""

    def close(self) -> None:
        """End the processes of isolated plugins, also while they are being loaded."""
        self._processes.close()

    def load(self, packs: Mapping[str, PackConfig]) -> list[Plugin]:
        """One for every configured pack, and for every installed plugin that no table names."""
        named = {pack.plugin for pack in packs.values()}
        rest = [name for name in self._installed if name not in named]
        free = [PackConfig(name, name) for name in rest if name not in packs]
        loaded = [self._load_timed(pack, Status.BROKEN) for pack in packs.values()]
        loaded += [self._load_timed(pack, Status.NOT_SET_UP) for pack in free]
        return [*loaded, *(self._displaced(packs[name]) for name in rest if name in packs)]

    def _displaced(self, by: PackConfig) -> Plugin:
        """The plugin whose name is that of a table for another plugin."""
        pack = PackConfig(f"{by.pack_key} (plugin)", by.pack_key)
        return Plugin(
            pack,
            self._installed[by.pack_key],
            Status.BROKEN,
            f"is not served: the table [packs.{by.pack_key}] uses plugin {by.plugin!r}; rename "
            f"that table, or add one with plugin = {by.pack_key!r}",
        )

    def _load_timed(self, pack: PackConfig, without: Status) -> Plugin:
        began = self._clock.monotonic()
        enabled, depth = enabled_loggers(), sys.getrecursionlimit()
        plugin = self._load_one(pack, without)
        if sys.getrecursionlimit() < depth:  # everybody else needs it too
            sys.setrecursionlimit(depth)
        if LogOutput.current is not None and LogOutput.current.restore(enabled):
            log.warning(
                "%s disabled loggers of other plugins: enabled them again",
                pack.pack_key,
                extra={"pack": pack.pack_key},
            )
        self.problem = ""
        return dataclasses.replace(plugin, load_seconds=self._clock.monotonic() - began)

    def _load_one(self, pack: PackConfig, without: Status) -> Plugin:
        """The plugin of a pack; its status is ``without`` if it needs settings and has none."""
        installed = self._installed.get(pack.plugin) or self._not_installed(pack.plugin)
        if not pack.enabled:
            return Plugin(pack, installed, Status.DISABLED, "enabled = false")
        if installed.problem:
            return Plugin(pack, installed, Status.BROKEN, installed.problem)
        schema = None
        try:
            settings = resolve_settings(pack.settings, self._environ, self._scrubber)
            if pack.isolation is not None:
                return self._load_isolated(installed, pack, settings)
            target = self._import(installed, pack)
            schema = self._schema(target, pack)
            made = self._call(pack, "its constructor", lambda: _make(target, settings))
            hooks = self._hooks(made, pack)
        except (Misbehaved, ConfigError) as error:
            status = without if isinstance(error, SettingsMissing) else Status.BROKEN
            problem = self._scrubber.scrub(str(error))
            return Plugin(pack, installed, status, problem, settings_schema=schema)
        return Plugin(pack, installed, Status.LOADED, hooks=hooks, settings_schema=schema)

    def _load_isolated(
        self, installed: InstalledPlugin, pack: PackConfig, settings: dict[str, Any]
    ) -> Plugin:
        isolated = self._processes.add(installed, pack, settings)
        made = isolated.start()
        try:
            hooks = self._hooks(made, pack)
        except BaseException:
            isolated.process.close()
            raise
        return Plugin(
            pack, installed, Status.LOADED, hooks=hooks, process=isolated.process,
            settings_schema=isolated.settings_schema,
        )  # fmt: skip

    def _not_installed(self, name: str) -> InstalledPlugin:
        installed = ", ".join(self._installed) or "none"
        meant = nearest(name, self._installed)
        problem = f"no plugin {name!r} is installed{meant}; installed: {installed}"
        return InstalledPlugin(name, dict, problem=problem)

    def _hooks(self, made: object, pack: PackConfig) -> Hooks:
        return call_within(self._limit_seconds, lambda: hooks_of(made, pack.pack_key))

    def _schema(self, target: object, pack: PackConfig) -> Schema | None:
        if not _is_factory(target):
            return None
        return self._call(pack, "the type of its settings", lambda: settings_schema(target))

    def _call(self, pack: PackConfig, what: str, call: Callable[[], T]) -> T:
        def report_slow(place: str) -> None:
            self.problem = f"{pack.pack_key}: {what} is taking long{place}"
            log_slow(pack.pack_key, what, place)

        try:
            return call_within(self._limit_seconds, call, report_slow, self._start)
        except Misbehaved as error:
            if not _wants_main_thread(error):
                raise
            raise Misbehaved(f"{error}; {ISOLATION_HELPS}") from error

    def _import(self, installed: InstalledPlugin, pack: PackConfig) -> object:
        if installed.name not in self._imported:
            try:
                found = self._call(pack, "its import", installed.load)
            except Misbehaved as error:
                self._imported[installed.name] = Misbehaved(f"import: {error}")
            else:
                self._imported[installed.name] = found
        imported = self._imported[installed.name]
        if isinstance(imported, Misbehaved):
            raise imported
        return imported


def _wants_main_thread(error: BaseException) -> bool:
    """Whether it says so, or what it came from: a plugin may raise an error of its own instead."""
    each: BaseException | None = error
    for _ in range(MOST_CAUSES):  # they may go round in a circle
        if each is None or MAIN_THREAD_ONLY.search(headline(each)):
            return each is not None
        each = each.__context__ if each.__cause__ is None else each.__cause__
    return False


def log_slow(pack_key: str, what: str, place: str) -> None:
    """Name the plugin and the place while a slow call may still end in time."""
    log.warning("%s: %s is taking long%s", pack_key, what, place, extra={"pack": pack_key})


def _make(target: object, settings: dict[str, Any]) -> object:
    """The plugin object: a class or factory is called with its settings, else used as it is."""
    if _is_factory(target):
        return make(target, settings)
    return without_settings(lambda: target, settings)


def _is_factory(target: Any) -> TypeGuard[Callable[..., object]]:
    return inspect.isclass(target) or (callable(target) and not marked_hooks(target))

"""Contributions → merged packs with an owner for every command.

Owns merging and clashes: what each plugin adds to which pack, and which plugins contradict each
other. Must not know how plugins were found or how packs are served.
"""

import dataclasses
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flyte_host.config import Config
from flyte_host.foreign_code import Misbehaved
from flyte_host.hookspecs import Emit
from flyte_host.isolation.supervised_process import SupervisedProcess
from flyte_host.model import EventDef, HealthCheck, PackDef, pack_id
from flyte_host.plugins import LOAD_SECONDS, Plugin, Status
from flyte_host.plugins.bound_command import BoundCommand
from flyte_host.plugins.contribution import Contribution, ask_contribution, ask_pack, bind_observer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Observer:
    """One plugin's ``flyte_observe`` for one pack."""

    plugin: str
    observe: Callable[[Emit, Any], None]


@dataclass(frozen=True, slots=True)
class ServedPack:
    """A pack as it is registered and served; ``pack_key`` is its name in the configuration.

    ``process`` is where its owner runs, if that is not the host's own. ``contributions`` are what
    it was merged from, the owner's first.
    """

    pack_key: str
    definition: PackDef
    commands: Mapping[str, BoundCommand]
    health_checks: tuple[HealthCheck, ...]
    observers: tuple[Observer, ...]
    max_concurrent: int
    process: SupervisedProcess | None = None
    contributions: tuple[Contribution, ...] = ()

    @property
    def id(self) -> str:
        """The pack's id in flyte."""
        return pack_id(self.definition.name, self.definition.labels)

    @property
    def event_names(self) -> frozenset[str]:
        """Every event that the pack declares, its own and those of its commands."""
        outputs = (each.command.output_events for each in self.commands.values())
        of_commands = {event_def.name for events in outputs for event_def in events}
        return frozenset(of_commands | {each.name for each in self.definition.event_defs})


@dataclass(frozen=True, slots=True)
class ServedPacks:
    """What the host serves, by pack key, and the state of every plugin."""

    packs: Mapping[str, ServedPack]
    plugins: tuple[Plugin, ...]

    @property
    def processes(self) -> Mapping[str, SupervisedProcess]:
        """The plugins' own processes, those of add-ons among them, by pack key."""
        own = {each.config.pack_key: each.process for each in self.plugins}
        return {pack_key: process for pack_key, process in own.items() if process is not None}

    def key_of(self, name: str) -> str | None:
        """``name`` if it is a pack key, else the key of the only pack with that name in flyte."""
        if name in self.packs:
            return name
        named = [key for key, pack in self.packs.items() if name in {pack.definition.name, pack.id}]
        return named[0] if len(named) == 1 else None

    @property
    def broken(self) -> tuple[Plugin, ...]:
        """The plugins that are not served as configured."""
        return tuple(each for each in self.plugins if each.status is Status.BROKEN)

    @property
    def not_set_up(self) -> tuple[Plugin, ...]:
        """The plugins that need settings and have none."""
        return tuple(each for each in self.plugins if each.status is Status.NOT_SET_UP)


def log_problems(served: ServedPacks) -> None:
    """A line for each plugin that is not served; for hosts, since commands print what they need."""
    for plugin in (*served.broken, *served.not_set_up):
        key, about = plugin.config.pack_key, {"pack": plugin.config.pack_key}
        if plugin.status is Status.BROKEN:
            log.error("plugin %s is broken: %s", key, plugin.problem, extra=about)
        else:
            log.info("plugin %s is not set up: %s", key, plugin.problem, extra=about)


def merge_packs(
    plugins: Iterable[Plugin], config: Config, *, limit_seconds: float = LOAD_SECONDS
) -> ServedPacks:
    """Ask every plugin, merge, refuse clashes; never raises for what a plugin does."""
    return _Merge(plugins, config, limit_seconds).run()


class _Merge:
    def __init__(self, plugins: Iterable[Plugin], config: Config, limit_seconds: float) -> None:
        self._plugins = {each.config.pack_key: each for each in plugins}
        self._config = config
        self._limit_seconds = limit_seconds
        self._owned: dict[str, PackDef] = {}

    def run(self) -> ServedPacks:
        self._find_owners()
        self._refuse_same_ids()
        contributions = self._contributions()
        packs = {}
        for pack_key in list(self._owned):
            given = contributions[pack_key]
            if self._refuse_same_commands(pack_key, given):
                packs[pack_key] = self._merged(pack_key, given)
        return ServedPacks(packs, tuple(self._plugins.values()))

    def _refuse(self, pack_key: str, problem: str) -> None:
        self._plugins[pack_key] = self._plugins[pack_key].as_broken(problem)
        self._owned.pop(pack_key, None)

    def _loaded(self) -> list[Plugin]:
        return [each for each in self._plugins.values() if each.status is Status.LOADED]

    def _find_owners(self) -> None:
        for plugin in self._loaded():
            try:
                pack = ask_pack(plugin, self._limit_seconds)
            except Misbehaved as error:
                self._refuse(plugin.config.pack_key, str(error))
                continue
            if pack is not None:
                self._owned[plugin.config.pack_key] = self._configured(plugin, pack)
            elif plugin.config.name or plugin.config.labels or plugin.config.max_concurrent:
                self._refuse(
                    plugin.config.pack_key,
                    "is an add-on: it does not own a pack that name, labels or max_concurrent "
                    "could apply to; remove them from its table",
                )

    def _configured(self, plugin: Plugin, pack: PackDef) -> PackDef:
        labels = {**pack.labels, **plugin.config.labels, **self._config.labels}
        return dataclasses.replace(pack, name=plugin.config.name or pack.name, labels=labels)

    def _refuse_same_ids(self) -> None:
        by_id: dict[str, list[str]] = {}
        for pack_key, pack in self._owned.items():
            by_id.setdefault(pack_id(pack.name, pack.labels), []).append(pack_key)
        for same_id, pack_keys in by_id.items():
            if len(pack_keys) > 1:
                names = _quoted(pack_keys)
                for pack_key in pack_keys:
                    self._refuse(
                        pack_key,
                        f"{names} are the same pack {same_id!r} to flyte: give them different "
                        "names or labels",
                    )

    def _contributions(self) -> dict[str, list[Contribution]]:
        """Per pack, the owner's first; a plugin that misbehaves for one pack adds to none."""
        given: dict[str, list[Contribution]] = {}
        for plugin in sorted(self._loaded(), key=self._owners_first):
            pack_key = plugin.config.pack_key
            packs = [pack_key] if pack_key in self._owned else list(self._owned)
            try:
                ours = {each: self._ask(plugin, each) for each in packs}
            except Misbehaved as error:
                self._refuse(pack_key, str(error))
                continue
            for pack, contribution in ours.items():
                given.setdefault(pack, []).append(contribution)
        return given

    def _owners_first(self, plugin: Plugin) -> tuple[bool, str]:
        return plugin.config.pack_key not in self._owned, plugin.config.pack_key

    def _ask(self, plugin: Plugin, pack_key: str) -> Contribution:
        owns = plugin.config.pack_key == pack_key
        pack = self._owned[pack_key]
        return ask_contribution(plugin, pack, owns=owns, limit_seconds=self._limit_seconds)

    def _refuse_same_commands(self, pack_key: str, given: list[Contribution]) -> bool:
        owners: dict[str, list[str]] = {}
        for bound in (each for contribution in given for each in contribution.commands):
            owners.setdefault(bound.command.name, []).append(bound.owner)
        clashes = [
            f"command {name!r} comes from {_quoted(who)}"
            for name, who in owners.items()
            if len(who) > 1
        ]
        if clashes:
            pack = self._owned[pack_key].name
            self._refuse(pack_key, f"pack {pack!r} is refused: {'; '.join(clashes)}")
        return not clashes

    def _merged(self, pack_key: str, given: list[Contribution]) -> ServedPack:
        bound = [each for contribution in given for each in contribution.commands]
        event_defs: dict[str, EventDef] = {}
        for each in (one for contribution in given for one in contribution.event_defs):
            event_defs.setdefault(each.name, each)
        definition = dataclasses.replace(
            self._owned[pack_key],
            commands=tuple(each.command for each in bound),
            event_defs=tuple(event_defs.values()),
        )
        return ServedPack(
            pack_key,
            definition,
            {each.command.name: each for each in bound},
            tuple(check for contribution in given for check in contribution.health_checks),
            tuple(
                Observer(each.plugin.config.pack_key, bind_observer(each.plugin, definition))
                for each in given
                if each.observes
            ),
            self._plugins[pack_key].config.max_concurrent or self._config.host.max_concurrent,
            self._plugins[pack_key].process,
            tuple(given),
        )


def _quoted(names: list[str]) -> str:
    return " and ".join(repr(name) for name in dict.fromkeys(names))

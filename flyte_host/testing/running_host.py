"""Hosts and handlers for tests, made from plugin objects instead of installed entry points.

Owns how a test's plugins and settings become a configuration.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import requests

from flyte_host.config import Config, FlyteConfig, HealthConfig, HostConfig, PackConfig
from flyte_host.errors import PluginError
from flyte_host.hookspecs import hookimpl
from flyte_host.host.host import Host
from flyte_host.model import PackDef
from flyte_host.packs import ServedPack, ServedPacks, merge_packs
from flyte_host.pipeline.runner import run_once
from flyte_host.plugins import InstalledPlugin, Loader, plugin_named
from flyte_host.secrets import Scrubber
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until

Plugins = Mapping[str, object]
Tables = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Called:
    """A handler's event as a flow sees it: ``payload`` has been through JSON."""

    name: str
    payload: Any


class RunningHost:
    """A host against a test's flyte, health pages on a free port."""

    def __init__(self, host: Host) -> None:
        self.host = host

    @property
    def health_url(self) -> str:
        """Where the health pages are."""
        return self.host.health_url

    def page(self, path: str) -> tuple[int, Any]:
        """A health page: its status and document."""
        answer = requests.get(self.health_url + path, timeout=PATIENCE_SECONDS)
        return answer.status_code, answer.json()

    def wait_ready(self, timeout_seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until every pack is registered and polled."""
        seen: list[Any] = []

        def ready() -> bool:
            status, document = self.page("/ready")
            seen[:] = [document]
            return status == 200

        try:
            wait_until(ready, "the host is ready", timeout_seconds=timeout_seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; /ready says {seen}") from None

    def stop(self, drain_seconds: float = 10) -> int:
        """Drain and stop; returns how much the journal keeps."""
        return self.host.stop(drain_seconds)


def host_config(url: str, state: Path, packs: Tables, host: Mapping[str, Any]) -> Config:
    """A configuration as a TOML file would give it; ``host`` are keys of ``[host]``."""
    return Config(
        flyte=FlyteConfig(url=url),
        embedded=None,
        host=HostConfig(**{"state": state, **host}),
        health=HealthConfig(listen="127.0.0.1:0"),
        packs=pack_configs(packs),
        labels={},
    )


def pack_configs(packs: Tables) -> dict[str, PackConfig]:
    """The ``[packs]`` tables as the configuration has them."""
    return {name: PackConfig(name, **{"plugin": name, **table}) for name, table in packs.items()}


def install(plugins: Plugins) -> list[InstalledPlugin]:
    """Plugins as if they were installed: objects, or texts as in entry points, ``module:name``."""
    return [
        plugin_named(name, made)
        if isinstance(made, str)
        else InstalledPlugin(name, lambda made=made: made)  # type: ignore[misc]
        for name, made in plugins.items()
    ]


def call(plugin: object, command: str, input: Any, settings: Mapping[str, Any] | None) -> Called:
    """One call of a command's handler, with the host's decoding, timeout and encoding."""
    scrubber = Scrubber()
    pack = _served(plugin, settings or {}, scrubber)
    if command not in pack.commands:
        raise LookupError(f"no command {command!r}; the pack has {list(pack.commands)}")
    document = msgspec.json.encode(input)
    outcome = run_once(pack.definition.name, pack.commands[command], document, scrubber)
    event = msgspec.json.decode(outcome.body)
    return Called(event["event"], event["payload"])


def _served(plugin: object, settings: Mapping[str, Any], scrubber: Scrubber) -> ServedPack:
    served = served_packs({"plugin": plugin}, {"plugin": {"settings": settings}}, scrubber)
    if not served.packs and not served.broken:
        served = served_packs(
            {"plugin": plugin, "bare": _BarePack()}, {"plugin": {"settings": settings}}, scrubber
        )
    if served.broken:
        raise PluginError(f"the plugin is broken: {served.broken[0].problem}")
    return next(iter(served.packs.values()))


def served_packs(plugins: Plugins, packs: Tables, scrubber: Scrubber) -> ServedPacks:
    """What a host would serve."""
    config = host_config("http://127.0.0.1:1", Path("unused.db"), packs, {})
    loader = Loader(install(plugins), {}, scrubber)
    return merge_packs(loader.load(config.packs), config)


class _BarePack:
    """An owner with nothing in its pack, for an add-on to add to."""

    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef("Bare")

"""Hosts at a test's flyte.

Owns how a test starts one, and stops all of them at its end.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flyte_host.errors import ConfigError, PluginError
from flyte_host.host.host import Host
from flyte_host.secrets import Scrubber
from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.host_log import HostLog
from flyte_host.testing.no_host_frames import NoHostFrames
from flyte_host.testing.running_host import RunningHost
from flyte_host.testing.serving import host_config, install


class FlyteRunHost:
    """The fixture ``flyte_run_host``; the journals of its hosts are in ``folder``."""

    def __init__(self, flyte: FlyteServer, folder: Path) -> None:
        self._flyte = flyte
        self._folder = folder
        self._log = HostLog().open()
        self._running: list[RunningHost] = []
        flyte.witnesses.append(self._log)

    def __call__(
        self,
        plugins: Mapping[str, object],
        packs: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        wait_ready: bool = True,
        **host: Any,
    ) -> RunningHost:
        """Run a host: ``flyte_run_host({"jira": JiraPack}, packs={…})``.

        ``plugins`` are those that are installed, by the name of their entry point: objects, or
        texts like ``"my_pack:MyPack"``, which a pack with ``isolation = "process"`` needs;
        ``packs`` has the ``[packs.…]`` tables; further keywords are keys of ``[host]``. The host is
        ready when the call returns, and is stopped after the test. A plugin that is broken or
        missing raises a PluginError at once; with ``wait_ready=False`` the rest is served.
        """
        __tracebackhide__ = True
        state = self._folder / f"flyte-host-{len(self._running)}.db"
        _check_named(plugins)
        with NoHostFrames(ConfigError):
            config = host_config(self._flyte.url, state, packs or {}, host)
        made = Host(config, install(plugins), os.environ, Scrubber())
        self._flyte.on_action.append(made.schedule.wake)
        made.start()
        running = RunningHost(made, self._log)
        self._running.append(running)
        if wait_ready:
            _check_plugins(running)
            running.wait_ready()
        return running

    def stop_all(self) -> None:
        """Stop all of them."""
        for each in self._running:
            each.stop()
        self._flyte.witnesses.remove(self._log)
        self._log.close()


def _check_named(plugins: object) -> None:
    """A host knows plugins by names, which a class or an object alone does not have."""
    __tracebackhide__ = True
    if not isinstance(plugins, Mapping):
        name = getattr(plugins, "__name__", type(plugins).__name__)
        raise TypeError(
            f"plugins: found {name}, expected plugins by the names of their entry points, such as "
            f'flyte_run_host({{"jira": {name}}})'
        )


def _check_plugins(running: RunningHost) -> None:
    """A test must not wait for a plugin that is not served."""
    __tracebackhide__ = True
    served = running.host.parts.served
    broken = [*served.broken, *served.not_set_up]
    if broken:
        words = "; ".join(f"{each.config.pack_key}: {each.problem}" for each in broken)
        raise PluginError(f"plugins are not served: {words}")

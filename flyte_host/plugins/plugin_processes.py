"""The processes of one host's isolated plugins.

Owns what such a process is given of this one: its settings, and no secret of another plugin. Must
not know what the plugin contributes.
"""

import logging
import os
import pickle
import sys
from collections.abc import Collection
from typing import Any

from flyte_host.clock import Clock
from flyte_host.config import PackConfig
from flyte_host.foreign_code import Misbehaved
from flyte_host.isolation.isolated_plugin import IsolatedPlugin
from flyte_host.isolation.messages import LoadPlugin
from flyte_host.isolation.supervised_process import SupervisedProcess
from flyte_host.plugins.discovery import InstalledPlugin


class PluginProcesses:
    """``secret_variables`` of the environment are not passed on."""

    def __init__(
        self, secret_variables: Collection[str], limit_seconds: float, clock: Clock
    ) -> None:
        self._secret_variables = secret_variables
        self._limit_seconds = limit_seconds
        self._clock = clock
        self._processes: list[SupervisedProcess] = []
        self._closed = False

    def add(
        self, installed: InstalledPlugin, pack: PackConfig, settings: dict[str, Any]
    ) -> IsolatedPlugin:
        """One more, not started yet; raises Misbehaved."""
        if not installed.target:
            raise Misbehaved(
                "cannot run in its own process: it is an object in this process, not "
                "something that is installed"
            )
        load = LoadPlugin(
            pack.pack_key, installed.name, installed.target, pickle.dumps(settings), sys.path,
            logging.getLogger().level, self._limit_seconds, self._limit_seconds,
            pack.memory_limit_mb,
        )  # fmt: skip
        isolated = IsolatedPlugin(load, self._environ(), self._clock)
        self._processes.append(isolated.process)
        if self._closed:
            isolated.process.close()
        return isolated

    def close(self) -> None:
        """End them all, also while plugins are being loaded in them."""
        self._closed = True
        for child in [child for each in self._processes for child in each.stop()]:
            child.close()

    def _environ(self) -> dict[str, str]:
        """This process's environment without the secrets: each plugin gets its own as settings."""
        names = os.environ.keys() - set(self._secret_variables)
        return {name: os.environ[name] for name in names}

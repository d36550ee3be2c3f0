"""One configured use of an installed plugin, and its state."""

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from flyte_host.config import PackConfig
from flyte_host.isolation.supervised_process import SupervisedProcess
from flyte_host.plugins.discovery import InstalledPlugin
from flyte_host.plugins.hooks import Hooks
from flyte_host.plugins.schemas import Schema


class Status(StrEnum):
    """The state of a plugin.

    One that needs settings and has none is not set up if no table names it, as most packs of a
    whole collection are; with a table it is broken.
    """

    LOADED = "loaded"
    DISABLED = "disabled"
    NOT_SET_UP = "not set up"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Plugin:
    """One configured use of an installed plugin; only a loaded one has hooks.

    ``problem`` is why it is not loaded. ``process`` is where it runs, if that is not the host's
    own. ``load_seconds`` is what its import and its constructor took. ``settings_schema`` is the
    JSON Schema of its settings: None if it takes none, or could not be imported.
    """

    config: PackConfig
    installed: InstalledPlugin
    status: Status
    problem: str = ""
    hooks: Hooks | None = None
    process: SupervisedProcess | None = None
    load_seconds: float = 0.0
    settings_schema: Schema | None = None

    @property
    def implemented(self) -> list[str]:
        """The names of the hooks that the plugin implements."""
        return [] if self.hooks is None else self.hooks.implemented

    def has(self, hook: str) -> bool:
        """Whether the plugin implements the hook."""
        return self.hooks is not None and self.hooks.has(hook)

    def call(self, hook: str, **arguments: Any) -> Any:
        """The plugin's own answer, None if it has none; raises what the plugin raises."""
        return None if self.hooks is None else self.hooks.call(hook, **arguments)

    def as_broken(self, problem: str) -> "Plugin":
        """The same plugin, found broken; ends its own process if it has one."""
        if self.process is not None:
            self.process.close()
        return dataclasses.replace(
            self, status=Status.BROKEN, problem=problem, hooks=None, process=None
        )

"""Observers run alone, for tests of what they emit.

Owns how a test starts one, and stops all of them at its end.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from flyte_host.errors import FlyteHostError
from flyte_host.model import PackDef
from flyte_host.secrets import Scrubber
from flyte_host.testing.no_host_frames import NoHostFrames
from flyte_host.testing.running_observer import RunningObserver
from flyte_host.testing.served_plugin import serving_one
from flyte_host.testing.serving import PLUGIN


class FlyteRunObserver:
    """The fixture ``flyte_run_observer``."""

    def __init__(self) -> None:
        self._running = ExitStack()

    def __call__(
        self,
        plugin: object,
        settings: Mapping[str, Any] | None = None,
        *,
        pack: str | PackDef | None = None,
    ) -> RunningObserver:
        """Run the ``flyte_observe`` of a plugin, with an ``emit`` that keeps what it gets.

        ``pack`` is the name to give the plugin's pack; for an add-on, the pack that it observes,
        or its name. The observer is stopped after the test, which fails if it
        raised, emitted an event that is not declared, or does not return.
        """
        __tracebackhide__ = True
        serving = serving_one(plugin, {"settings": settings or {}}, Scrubber(), pack)
        with NoHostFrames(FlyteHostError):
            served = self._running.enter_context(serving).pack
        observers = [each for each in served.observers if each.plugin == PLUGIN]
        if not observers:
            raise LookupError("the plugin has no flyte_observe")
        running = RunningObserver(served, observers[0])
        self._running.callback(running.stop)
        return running

    def stop_all(self) -> None:
        """Stop all of them; raises the errors that they have not reported yet."""
        self._running.close()

"""The pipeline behind the tools, from its start to its end.

Commands run as under ``serve``: from the journal, with their slots and timeouts. Must not
know the protocol.
"""

import dataclasses
import secrets
from collections.abc import Mapping, Sequence

from flyte_host.clock import Clock
from flyte_host.config import Config, FlyteConfig
from flyte_host.mcp.command_tool import CommandTool
from flyte_host.mcp.tool_desk import URL, ToolDesk
from flyte_host.packs import ServedPacks
from flyte_host.pipeline.parts import make_parts
from flyte_host.pipeline.pipeline import Pipeline
from flyte_host.pipeline.schedule.schedule import Schedule
from flyte_host.secrets import Scrubber, Secrets
from flyte_host.thread_watch import ThreadWatch
from flyte_host.traces import make_tracer


class ToolHost:
    """Runs the commands of ``tools``: :meth:`start`, then :meth:`stop`."""

    def __init__(
        self,
        config: Config,
        served: ServedPacks,
        tools: Sequence[CommandTool],
        environ: Mapping[str, str],
        scrubber: Scrubber,
    ) -> None:
        self._clock = Clock()
        self._drain_seconds = config.host.drain_seconds
        self.watch = ThreadWatch()
        schedule = Schedule(config.host.poll_interval_seconds, self._clock, is_told=True)
        self.desk = ToolDesk(schedule.wake, secrets.token_hex(4))
        parts = make_parts(
            _without_flyte(config), URL, _without_observers(served, tools), schedule, scrubber,
            environ, clock=self._clock, watch=self.watch, application=self.desk.answer,
            tracer=make_tracer(config.traces, Secrets(environ, scrubber), scrubber),
        )  # fmt: skip
        self._pipeline = Pipeline(parts)

    @property
    def drain_seconds(self) -> float:
        """How long a stop may take."""
        return self._drain_seconds

    def start(self) -> None:
        """Run the commands that are called; raises FlyteHostError."""
        self._pipeline.start()

    def stop(self) -> int:
        """Let running actions end; returns how much the journal keeps for the next run."""
        left = self._pipeline.stop(self._clock.monotonic() + self._drain_seconds)
        self.desk.close()
        return left


def _without_flyte(config: Config) -> Config:
    """No request leaves, so no token is needed; the journal is the tools' own."""
    host = dataclasses.replace(config.host, state=config.mcp.state)
    return dataclasses.replace(config, flyte=FlyteConfig(), embedded=None, host=host)


def _without_observers(served: ServedPacks, tools: Sequence[CommandTool]) -> ServedPacks:
    """The packs of the tools; a host that serves them raises their events."""
    packs = {each.pack.pack_key: dataclasses.replace(each.pack, observers=()) for each in tools}
    return dataclasses.replace(served, packs=packs)

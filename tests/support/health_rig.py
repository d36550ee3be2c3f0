"""Health pages that watch real parts; only those that a test starts run."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Self

from flyte_host.clock import Clock
from flyte_host.health.pages import HealthApp
from flyte_host.pipeline.schedule.schedule import Schedule
from flyte_host.pipeline.schedule.turn import Turn
from flyte_host.plugins import Loader
from flyte_host.secrets import Scrubber
from flyte_host.testing.waiting import wait_until
from flyte_host.thread_watch import ThreadWatch
from tests.support.hand_clock import HandClock
from tests.support.host_parts import Middle
from tests.support.pipeline_rig import PipelineRig
from tests.support.scripted_server import ScriptedServer


class FlyteOfSize:
    """An embedded flyte that serves all actions, with a store of that size."""

    def __init__(self, store_bytes: Callable[[], int]) -> None:
        self.store_bytes = store_bytes

    def unserved(self) -> list[str]:
        return []


def health_app(
    scrubber: Scrubber | None = None,
    clock: Clock | None = None,
    threads: ThreadWatch | None = None,
) -> HealthApp:
    """Pages without a host."""
    scrubber = scrubber or Scrubber()
    return HealthApp(scrubber, Loader([], {}, scrubber), clock or Clock(), threads or ThreadWatch())


class HealthRig:
    """The test moves ``hand``, the monotonic clock, and ``now``, the time of day."""

    def __init__(
        self,
        server: ScriptedServer,
        state: Path,
        plugins: Mapping[str, object],
        packs: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.hand = HandClock()
        self.now = datetime(2030, 1, 1, tzinfo=UTC)
        self.scrubber = Scrubber()
        self.state = state
        clock = Clock(lambda: self.now, self.hand.clock.monotonic, Middle())
        tables = packs or {each: {} for each in plugins}
        self.rig = PipelineRig(
            server, state, plugins, packs=tables, clock=clock, scrubber=self.scrubber,
            interval_seconds=1,
        )  # fmt: skip
        self.parts = self.rig.parts
        self.journal = self.parts.journal
        self.app = health_app(self.scrubber, clock, self.parts.watch)

    @property
    def schedule(self) -> Schedule:
        return self.parts.schedule

    def watch(self) -> Self:
        self.app.watch(self.parts)
        return self

    def poll_once(self) -> None:
        """Register and poll each pack; then nothing is due until the test moves the clock."""
        self.rig.start()
        for pack_key in self.parts.served.packs:
            wait_until(partial(self._polled_at, pack_key), f"{pack_key} is polled")
            self.rig.wait_idle(pack_key)

    def _polled_at(self, pack_key: str) -> float | None:
        return self.rig.view(pack_key).polled_at

    def poll_by_hand(self) -> None:
        """As if a worker had polled each pack and found nothing."""
        while (turn := self.schedule.turns.next(waits=False)) is not None:
            assert isinstance(turn, Turn)
            assert turn.may_begin()
            turn.empty()

    def tick(self) -> bool:
        """Let some time pass; True, so that a condition can begin with it."""
        self.hand.seconds += 0.1
        return True

    def turn(self) -> Turn:
        """The turn that is due, in the hands of the test."""
        turn = self.schedule.turns.next(waits=False)
        assert isinstance(turn, Turn)
        return turn

    def close(self) -> None:
        self.rig.pipeline.stop(self.hand.seconds)  # it never comes to a later one

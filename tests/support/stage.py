"""A schedule without workers: the test carries its turns, and moves its clock."""

import random
from typing import Any

from flyte_host import Command
from flyte_host.clock import Clock
from flyte_host.pipeline.schedule.busy_workers import BACK_SECONDS
from flyte_host.pipeline.schedule.jobs import Job
from flyte_host.pipeline.schedule.schedule import Schedule
from flyte_host.pipeline.schedule.turn import Turn
from tests.support.hand_clock import HandClock
from tests.support.host_parts import ECHO, Middle, PackPlugin, served, utc_now

INTERVAL = 5.0
IDLE = INTERVAL * 0.95
"""The pause of an idle pack when the middle of every range is drawn."""
SLOW = 2 * BACK_SECONDS


class Stage:
    """A schedule in the hands of the test: it is its only worker, and moves its clock."""

    def __init__(
        self,
        *pack_keys: str,
        slots: int = 8,
        commands: tuple[Command, ...] = (ECHO,),
        rng: random.Random | None = None,
        interval_seconds: float = INTERVAL,
        is_told: bool = False,
    ) -> None:
        self.hand = HandClock()
        clock = Clock(utc_now, self.hand.clock.monotonic, rng or Middle())
        self.schedule = Schedule(interval_seconds, clock, is_told=is_told)
        plugins = {key: PackPlugin(*commands, name=key) for key in pack_keys or ("p",)}
        for pack in served(plugins, {key: {"max_concurrent": slots} for key in plugins}).values():
            self.schedule.add(pack)

    def look(self) -> Turn | None:
        """The turn that is due now, if there is one."""
        work = self.look_for_anything()
        assert work is None or isinstance(work, Turn)
        return work

    def look_for_anything(self) -> Turn | Job | None:
        return self.schedule.turns.next(waits=False)

    def turn(self) -> Turn:
        turn = self.look()
        assert turn is not None
        return turn

    def take(self) -> Turn:
        """The turn that is due, its take under way."""
        turn = self.turn()
        assert turn.may_begin()
        return turn

    def slowly(self) -> Turn:
        """The same, and some time passes until flyte answers."""
        turn = self.take()
        self.hand.seconds += SLOW
        return turn

    def due_in(self, pack_key: str = "p") -> float:
        """Seconds until a pack has its next turn; infinity for never."""
        return round(self.schedule.view(pack_key).due_at - self.hand.seconds, 6)


def idle(*pack_keys: str, **more: Any) -> Stage:
    """Packs that have been polled, and found nothing."""
    stage = Stage(*pack_keys, **more)
    for _ in pack_keys or ("p",):
        stage.take().empty()
    return stage


def under_way(stage: Stage) -> list[Turn]:
    """As many takes as may go out now."""
    takes = []
    while (turn := stage.look()) is not None:
        assert turn.may_begin()
        takes.append(turn)
    return takes

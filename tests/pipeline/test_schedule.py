"""What is worked on next, and when, by a clock that the test moves."""

from flyte_host import Command
from flyte_host.clock import Clock
from flyte_host.pipeline.pack_plan import BESIDE_SECONDS, LADDER_SECONDS
from flyte_host.pipeline.schedule import Schedule
from flyte_host.pipeline.turn import Turn
from tests.support.host_parts import ECHO, Middle, PackPlugin, served
from tests.support.host_parts import ManualClock as Hand

INTERVAL = 5.0
START = 1000.0
IDLE = INTERVAL * 0.9
"""The pause of an idle pack when the middle of every range is drawn."""


class Stage:
    """A schedule in the hands of the test: it is its only worker, and moves its clock."""

    def __init__(
        self, *pack_keys: str, slots: int = 8, commands: list[Command] | None = None
    ) -> None:
        self.hand = Hand()
        self.schedule = Schedule(INTERVAL, Clock(monotonic=self.hand, rng=Middle()))
        given = [ECHO] if commands is None else commands
        plugins = {key: PackPlugin(*given, name=key) for key in pack_keys or ("p",)}
        settings = {key: {"max_concurrent": slots} for key in plugins} if given else {}
        for pack in served(plugins, settings).values():
            self.schedule.add(pack)

    def turn(self) -> Turn | None:
        """The turn that is due now, if there is one."""
        work = self.schedule.next(waits=False)
        assert work is None or isinstance(work, Turn)
        return work

    def due_in(self, pack_key: str = "p") -> float:
        """Seconds until a pack has its next turn."""
        return round(self.schedule.view(pack_key).due_at - self.hand.now, 6)


def begun(stage: Stage) -> Turn:
    """The turn that is due, its take under way."""
    turn = stage.turn()
    assert turn is not None
    assert turn.may_begin()
    return turn


def test_an_idle_pack_is_due_after_the_interval() -> None:
    stage = Stage()
    begun(stage).empty()
    assert stage.turn() is None
    assert stage.due_in() == IDLE


def test_a_woken_pack_is_due_at_once() -> None:
    stage = Stage()
    begun(stage).empty()
    stage.schedule.wake("p", {})
    assert stage.due_in() == 0


def test_a_hint_polls_soon() -> None:
    stage = Stage()
    begun(stage).empty()
    stage.schedule.hint()
    assert stage.due_in() == LADDER_SECONDS[0]


def test_a_take_that_found_work_is_followed_at_once() -> None:
    stage = Stage()
    begun(stage).found()
    begun(stage)
    assert stage.due_in() == BESIDE_SECONDS

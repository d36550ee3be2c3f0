"""How a pack is at one moment, for those who look: health pages, metrics and ``ctl``."""

from dataclasses import dataclass
from datetime import datetime

from flyte_host.pipeline.schedule.pack_plan import PackPlan


@dataclass(frozen=True, slots=True)
class PackView:
    """``running`` counts takes under way too, ``taking`` only these.

    ``cut_off`` actions wait to run again after a restart. ``polled_at`` is the time of the last
    good poll, ``due_at`` that of the next turn (infinity: not before something happens), both of
    the monotonic clock.
    """

    slots: int
    running: int
    taking: int
    stuck: int
    cut_off: int
    paused_since: datetime | None
    problem: str
    polled_at: float | None
    due_at: float

    @property
    def quarantined(self) -> bool:
        """Whether so many handlers are stuck that the pack gets no more actions."""
        return self.stuck >= self.slots

    @property
    def full(self) -> bool:
        """Whether no slot is free for another action."""
        return self.running >= self.slots or self.quarantined


def view_of(plan: PackPlan) -> PackView:
    """The lock of the schedule is held."""
    return PackView(
        plan.slots.limit,
        plan.slots.running,
        plan.slots.taking,
        len(plan.slots.stuck),
        len(plan.cut_off),
        plan.paused_since,
        plan.polls.problem,
        plan.polls.polled_at,
        plan.due().at,
    )

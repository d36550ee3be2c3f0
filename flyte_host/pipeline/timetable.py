"""The plans of all packs by the time they are due, under the one lock of the schedule.

``schedule``, ``turns`` and each turn work on it; nobody else does.
"""

import heapq
import itertools
import math
import threading
from collections.abc import Callable
from enum import Enum
from typing import TypeVar

from flyte_host.clock import Clock
from flyte_host.pipeline.busy_workers import BusyWorkers
from flyte_host.pipeline.followers import Followers
from flyte_host.pipeline.idle_workers import IdleWorkers
from flyte_host.pipeline.jobs import Jobs
from flyte_host.pipeline.pack_plan import NEVER, Due, PackPlan

T = TypeVar("T")
ASKING = 16
"""How many turns may talk to flyte at once, or have an action that is not on disk: a start with
1,000 packs needs no 1,000 threads, and a kill loses no more actions."""


class Phase(Enum):
    """How far a turn has come.

    ``slot``: it holds a slot. ``asking``: it counts against :data:`ASKING`, and ``under_way``
    against the width of its pack. ``begun``: a stop waits for it, since it may get an action or has
    one.
    """

    def __init__(self, slot: int, asking: int, under_way: int, begun: int) -> None:
        self.slot = slot
        self.asking = asking
        self.under_way = under_way
        self.begun = begun

    ENDED = (0, 0, 0, 0)
    KEEPING = (0, 1, 1, 0)
    """It takes nothing: the pack has no commands, or is paused."""
    CUT_OFF = (1, 0, 0, 0)
    """It is to run what a restart found."""
    ASKING = (1, 1, 1, 0)
    """It is to take, and has not begun to."""
    TAKING = (1, 1, 1, 1)
    WRITING = (1, 1, 0, 1)
    """There is an action, and the disk does not have it yet."""
    RUNNING = (1, 0, 0, 1)
    """The disk has the action."""


class Timetable:
    """Methods need :attr:`lock`, unless they say that they take it."""

    def __init__(self, clock: Clock, *, linger_seconds: float) -> None:
        self._clock = clock
        self.lock = threading.Lock()
        self.drained = threading.Condition(self.lock)
        self.idle = IdleWorkers(self.lock, linger_seconds=linger_seconds)
        self.plans: dict[str, PackPlan] = {}
        self.followers = Followers()
        self.jobs = Jobs()
        self.busy_workers = BusyWorkers()
        self.stopping = False
        self.takes_under_way = 0
        self._asking = 0
        self._begun = 0
        self._heap: list[tuple[float, int, str]] = []
        self._entries: dict[str, tuple[float, int]] = {}
        self._dues: dict[str, Due] = {}
        self._order = itertools.count(1)

    def now(self) -> float:
        """The clock's time; needs no lock."""
        return self._clock.monotonic()

    def apply(self, pack_key: str, rule: Callable[[PackPlan], T]) -> T:
        """Change a plan by a rule."""
        plan = self.plans[pack_key]
        result = rule(plan)
        self._place(pack_key, plan)
        return result

    def next_due(self) -> tuple[Due, str]:
        """The pack that is due first, and when."""
        if self.stopping or self.is_full:
            return NEVER, ""
        while self._heap and self._entries.get(self._heap[0][2]) != self._heap[0][:2]:
            heapq.heappop(self._heap)  # the pack was placed elsewhere since
        if not self._heap:
            return NEVER, ""
        pack_key = self._heap[0][2]
        return self._dues[pack_key], pack_key

    def move(self, plan: PackPlan, before: Phase, after: Phase) -> None:
        """Count a turn of the pack that has come further."""
        under_way, begun = after.under_way - before.under_way, after.begun - before.begun
        taking = (after is Phase.TAKING) - (before is Phase.TAKING)
        slots = plan.slots
        slots.taken += after.slot - before.slot
        slots.running += begun
        slots.taking += taking
        plan.under_way += under_way
        self._asking += after.asking - before.asking
        self._begun += begun
        self.takes_under_way += taking
        if self.stopping and not self.busy():
            self.drained.notify_all()

    @property
    def is_full(self) -> bool:
        """Whether no more turns may talk to flyte now."""
        return self._asking >= ASKING

    def busy(self) -> int:
        """How many turns a stop waits for."""
        return self._begun

    def wake_at(self, now: float) -> float:
        """When an idle worker is to come, if none that works is back before."""
        patience = self.busy_workers.patience_seconds(now)
        due = self.next_due()[0]
        return min(due.wake_at if patience else due.at, self.jobs.since() + patience)

    def call(self, now: float) -> None:
        """Have an idle worker come for what is due, or look at the clock sooner."""
        wake_at = self.wake_at(now)
        if wake_at <= now:
            self.idle.call()
        else:
            self.idle.call_leader(wake_at)

    def _place(self, pack_key: str, plan: PackPlan) -> None:
        """Put a plan where its due time belongs."""
        due = self._dues[pack_key] = plan.due()
        at = due.at
        entry = self._entries.get(pack_key)
        if entry is not None and entry[0] == at:
            return
        if at == math.inf:
            self._entries.pop(pack_key, None)
            return
        entry = self._entries[pack_key] = (at, next(self._order))
        heapq.heappush(self._heap, (*entry, pack_key))
        if len(self._heap) > 64 + 4 * len(self.plans):
            self._heap = [(*entry, key) for key, entry in self._entries.items()]
            heapq.heapify(self._heap)

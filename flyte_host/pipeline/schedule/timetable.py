"""The plans of all packs by the time they are due, under the one lock of the schedule.

``schedule``, ``turns`` and each turn work on it; nobody else does.
"""

import heapq
import itertools
import math
import threading
from collections.abc import Callable, Iterable
from enum import Enum

from flyte_host.clock import Clock
from flyte_host.pipeline.schedule.busy_workers import BusyWorkers
from flyte_host.pipeline.schedule.followers import Followers
from flyte_host.pipeline.schedule.idle_workers import IdleWorkers
from flyte_host.pipeline.schedule.jobs import Jobs
from flyte_host.pipeline.schedule.lookout import Lookout
from flyte_host.pipeline.schedule.pack_plan import NEVER, Due, PackPlan

_Place = tuple[float, int, str, Due]
"""A pack's place in the order; the number decides between those due at the same time."""
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
    """It will run what a restart found."""
    ASKING = (1, 1, 1, 0)
    """It will take, and has not begun to."""
    TAKING = (1, 1, 1, 1)
    WRITING = (1, 1, 0, 1)
    """There is an action, and the disk does not have it yet."""
    RUNNING = (1, 0, 0, 1)
    """The disk has the action."""


class Timetable:
    """Methods need :attr:`lock`, unless they say that they take it."""

    def __init__(self, clock: Clock, *, linger_seconds: float) -> None:
        self.now = clock.monotonic
        """The clock's time; needs no lock."""
        self.lock = threading.Lock()
        self.drained = threading.Condition(self.lock)
        self.lookout = Lookout(self.lock)
        self.idle_workers = IdleWorkers(self.lock, self.lookout, linger_seconds=linger_seconds)
        self.plans: dict[str, PackPlan] = {}
        self.followers = Followers()
        self.jobs = Jobs()
        self.busy_workers = BusyWorkers()
        self.stopping = False
        self.takes_under_way = 0
        self.begun = 0
        """How many turns a stop waits for."""
        self._asking = 0
        self._heap: list[_Place] = []
        self._places: dict[str, _Place] = {}
        self._order = itertools.count(1)

    def next_due(self) -> tuple[Due, str]:
        """The pack that is due first, and when."""
        if self.stopping or self.is_full:
            return NEVER, ""
        heap = self._heap
        while heap and self._places.get(heap[0][2]) is not heap[0]:
            heapq.heappop(heap)  # the pack was placed elsewhere since
        return (heap[0][3], heap[0][2]) if heap else (NEVER, "")

    def move(self, plan: PackPlan, before: Phase, after: Phase) -> None:
        """Count a turn of the pack that goes from one phase to another."""
        under_way, begun = after.under_way - before.under_way, after.begun - before.begun
        taking = (after is Phase.TAKING) - (before is Phase.TAKING)
        slots = plan.slots
        slots.taken += after.slot - before.slot
        slots.running += begun
        slots.taking += taking
        plan.under_way += under_way
        self._asking += after.asking - before.asking
        self.begun += begun
        self.takes_under_way += taking
        if self.stopping and not self.begun:
            self.drained.notify_all()

    @property
    def is_full(self) -> bool:
        """Whether no more turns may talk to flyte now."""
        return self._asking >= ASKING

    def wake_at(self, now: float) -> float:
        """When an idle worker has to wake up, unless a busy one is back by then.

        While workers come and go quickly, even what has waited long goes to one that is back soon:
        another worker would only compete for the interpreter.
        """
        patience = self.busy_workers.patience_seconds(now)
        due = self.next_due()[0]
        since = min(self.jobs.since(), self.lookout.since())
        if not patience:
            return min(due.at, since)
        at = min(due.wake_at, since + patience)
        return max(at, self.busy_workers.last_gone_at + patience)

    def wait(self, now: float) -> bool:
        """Wait for something to do, or for the time to do it. False: this worker may end."""
        due = self.wake_at(now)
        if due <= now and self.lookout.since() <= now:  # there is nothing to do but to look
            self.lookout.man(now)
            due = self.wake_at(now)
            self.idle_workers.look(due, due - now)
            return True
        if self.lookout.is_manned:
            due = self.lookout.relief_at(now)
        return self.idle_workers.wait(due, due - now)

    def call(self, now: float) -> None:
        """Wake an idle worker for what is due, or have it look at the clock sooner."""
        wake_at = self.wake_at(now)
        if wake_at <= now:
            self.idle_workers.call()
        else:
            self.idle_workers.call_leader(wake_at)

    def change(self, pack_keys: Iterable[str], rule: Callable[[PackPlan, float], object]) -> None:
        """Apply a rule to some plans, and call somebody for what is due by it."""
        now = self.now()
        for pack_key in pack_keys:
            plan = self.plans[pack_key]
            rule(plan, now)
            self.place(pack_key, plan)
        self.call(now)

    def place(self, pack_key: str, plan: PackPlan) -> None:
        """Put a plan that has changed where its due time belongs."""
        due = plan.due()
        before = self._places.get(pack_key)
        if before is not None and before[3] == due:
            return
        if due.at == math.inf:
            self._places.pop(pack_key, None)
            return
        place = self._places[pack_key] = due.at, next(self._order), pack_key, due
        heapq.heappush(self._heap, place)
        if len(self._heap) > 64 + 4 * len(self.plans):
            self._heap = list(self._places.values())
            heapq.heapify(self._heap)

"""The plans of all packs by the time they are due, under the one lock of the schedule.

``schedule`` and its turns work on it; nobody else does.
"""

import heapq
import itertools
import math
import threading
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import TypeVar

from flyte_host.clock import Clock
from flyte_host.pipeline.followers import Followers
from flyte_host.pipeline.idle_workers import IdleWorkers
from flyte_host.pipeline.pack_plan import NEVER, Due, PackPlan

T = TypeVar("T")
Job = Callable[[], None]
"""What a worker has to do besides turns; it does not raise."""
ASKING = 16
"""How many turns may talk to flyte at once: a start with 1,000 packs needs no 1,000 threads."""


class Phase(Enum):
    """How far a turn has come."""

    ENDED = auto()
    KEEPING = auto()
    """It takes nothing: the pack has no commands, or is paused."""
    CUT_OFF = auto()
    """It is to run what a restart found."""
    ASKING = auto()
    """It is to take, and has not begun to."""
    TAKING = auto()
    RUNNING = auto()
    """There is an action."""


HOLD_A_SLOT = frozenset({Phase.CUT_OFF, Phase.ASKING, Phase.TAKING, Phase.RUNNING})
UNDER_WAY = frozenset({Phase.KEEPING, Phase.ASKING, Phase.TAKING})
"""Phases in which a turn counts against the width of its pack."""
BEGUN = frozenset({Phase.TAKING, Phase.RUNNING})
"""Phases that a stop waits for: a take that flyte may answer with an action, and a handler."""


class Timetable:
    """Methods need :attr:`lock`, unless they say that they take it."""

    def __init__(self, clock: Clock, *, linger_seconds: float) -> None:
        self._clock = clock
        self.lock = threading.Lock()
        self.drained = threading.Condition(self.lock)
        self.idle = IdleWorkers(self.lock, linger_seconds=linger_seconds)
        self.plans: dict[str, PackPlan] = {}
        self.followers = Followers()
        self.ended: deque[Job] = deque()
        self.stopping = False
        self.phases = dict.fromkeys(Phase, 0)
        self._heap: list[tuple[float, int, str]] = []
        self._entries: dict[str, tuple[float, int]] = {}
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
        asking = sum(self.phases[each] for each in UNDER_WAY)
        if self.stopping or asking >= ASKING:
            return NEVER, ""
        while self._heap and self._entries.get(self._heap[0][2]) != self._heap[0][:2]:
            heapq.heappop(self._heap)  # the pack was placed elsewhere since
        if not self._heap:
            return NEVER, ""
        pack_key = self._heap[0][2]
        return self.plans[pack_key].due(), pack_key

    def move(self, plan: PackPlan, before: Phase, after: Phase) -> None:
        """Count a turn of the pack that has come further."""
        plan.under_way += (after in UNDER_WAY) - (before in UNDER_WAY)
        plan.slots.taken += (after in HOLD_A_SLOT) - (before in HOLD_A_SLOT)
        plan.slots.running += (after in BEGUN) - (before in BEGUN)
        plan.slots.taking += (after is Phase.TAKING) - (before is Phase.TAKING)
        self.phases[before] -= 1
        self.phases[after] += 1
        if self.stopping and not self.busy():
            self.drained.notify_all()

    def busy(self) -> int:
        """How many turns a stop waits for."""
        return sum(self.phases[each] for each in BEGUN)

    def call(self, now: float) -> None:
        """Have an idle worker come for what is due, or look at the clock sooner."""
        wake_at = self.next_due()[0].wake_at
        if self.ended or wake_at <= now:
            self.idle.call()
        else:
            self.idle.call_leader(wake_at)

    def _place(self, pack_key: str, plan: PackPlan) -> None:
        """Put a plan where its due time belongs."""
        at = plan.due().at
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

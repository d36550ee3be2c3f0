"""Flows that walk over some packs of a host, simulated: how soon the next pack finds its action.

flyte needs a moment to queue the action of the next step after it has accepted a result. The first
action of a flow is found by an ordinary poll; what counts is the time from then until the last
result is accepted.
"""

import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from flyte_host.clock import Clock
from flyte_host.pipeline.schedule.poll_rules import EXTRA_POLLS_PER_SECOND
from flyte_host.pipeline.schedule.schedule import Schedule
from flyte_host.pipeline.schedule.turn import Turn
from tests.support.host_parts import ECHO, PackPlugin, served, utc_now
from tests.support.simulated_time import SimulatedTime

ANSWER_SECONDS = 0.002
QUEUED_SECONDS = (0.001, 0.005)
"""From an accepted result until flyte has the next action."""
POLL_SECONDS = 5.0


@dataclass
class WalkingFlow:
    """``steps`` are pack keys."""

    steps: Sequence[str]
    done: int = 0
    picked_up_at: float = 0.0


@dataclass
class FlowWalk:
    """A host with that many packs, and the outcome of the flows."""

    packs: int
    rng: random.Random
    extra_polls_per_second: float = EXTRA_POLLS_PER_SECOND
    time: SimulatedTime = field(default_factory=SimulatedTime)
    seconds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.schedule = Schedule(
            POLL_SECONDS,
            Clock(utc_now, self.time.hand.clock.monotonic, self.rng),
            extra_polls_per_second=self.extra_polls_per_second,
        )
        self.names = [f"p{number:04}" for number in range(self.packs)]
        for pack in served({each: PackPlugin(ECHO, name=each) for each in self.names}).values():
            self.schedule.add(pack)
        self._queues: dict[str, deque[WalkingFlow]] = {each: deque() for each in self.names}
        self._looks_at = math.inf
        self._look()

    @property
    def p50(self) -> float:
        return sorted(self.seconds)[len(self.seconds) // 2]

    @property
    def p99(self) -> float:
        return sorted(self.seconds)[math.ceil(len(self.seconds) * 0.99) - 1]

    def run(self, flows: Sequence[Sequence[str]], every_seconds: float) -> None:
        """Begin one of the flows every now and then, and wait until all have ended."""
        for number, steps in enumerate(flows):
            walking = WalkingFlow(steps)
            at = self.time.hand.seconds + every_seconds * (number + self.rng.uniform(0, 1))
            self.time.at(at, lambda each=walking: self._queue(each))  # type: ignore[misc]
        self.seconds = []
        while len(self.seconds) < len(flows):
            self.time.pass_time(POLL_SECONDS)

    def _queue(self, flow: WalkingFlow) -> None:
        self._queues[flow.steps[flow.done]].append(flow)

    def _look(self) -> None:
        now = self.time.hand.seconds
        if self._looks_at <= now:
            self._looks_at = math.inf
        while isinstance(turn := self.schedule.turns.next(waits=False), Turn):
            if turn.may_begin():
                self._take(turn)
        due_at = self.schedule.next_due_at()
        if now < due_at < self._looks_at:
            self._looks_at = due_at
            self.time.at(due_at, self._look)

    def _take(self, turn: Turn) -> None:
        queue = self._queues[turn.pack_key]

        def answer() -> None:
            if flow is None:
                turn.empty()
            else:
                turn.found()
                flow.picked_up_at = flow.picked_up_at or self.time.hand.seconds
                self.time.after(ANSWER_SECONDS, partial(self._accept, turn, flow))
            self._look()

        flow = queue.popleft() if queue else None
        self.time.after(ANSWER_SECONDS, answer)

    def _accept(self, turn: Turn, flow: WalkingFlow) -> None:
        flow.done += 1
        if flow.done < len(flow.steps):
            self.time.after(self.rng.uniform(*QUEUED_SECONDS), lambda: self._queue(flow))
        else:
            self.seconds.append(self.time.hand.seconds - flow.picked_up_at)
        turn.ended()
        self.schedule.hints.give(turn.pack_key)
        self._look()

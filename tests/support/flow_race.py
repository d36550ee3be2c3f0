"""Packs of one host, a flyte in which takes of one pack collide, and flows from pack to pack.

A real schedule decides when takes begin. No thread, no socket and no real time: the same seed gives
the same race.
"""

import math
import random
from collections import Counter
from collections.abc import Callable

from flyte_host.client.network import Network
from flyte_host.clock import Clock
from flyte_host.pipeline.schedule.schedule import Schedule
from flyte_host.pipeline.schedule.turn import Turn
from tests.support.host_parts import ECHO, PackPlugin, served, utc_now
from tests.support.simulated_time import SimulatedTime

WINDOW_SECONDS = 0.008
"""While flyte works on a take, another one that would find the same action gets a 500."""
LATENCY_SECONDS = 0.0005
WORK_SECONDS = 0.003
WAKE_SECONDS = 0.0005


class FlowRace(SimulatedTime):
    """Each flow has one action for each pack, the next when flyte has the result of the last.

    A flyte that ``tells`` wakes the host when it has queued an action. With a ``network`` a second
    take needs no second worker, so it may follow at once.
    ``done`` counts actions, ``collided`` answers of 500, ``asked`` takes.
    """

    def __init__(
        self, packs: int, seed: int = 1, *, tells: bool = False, network: Network | None = None
    ) -> None:
        super().__init__()
        self._tells = tells
        self.keys = [f"p{number}" for number in range(packs)]
        self.done = self.collided = self.asked = 0
        self._rng = random.Random(seed)
        self._waiting: Counter[str] = Counter()
        self._busy_until = dict.fromkeys(self.keys, -math.inf)
        self._schedule = Schedule(5.0, Clock(utc_now, self.hand.clock.monotonic, self._rng))
        plugins = {key: PackPlugin(ECHO, name=key) for key in self.keys}
        for pack in served(plugins, {key: {"max_concurrent": 16} for key in plugins}).values():
            self._schedule.add(pack)
        if network is not None:
            self._schedule.open(network)
        self._looks_at = math.inf

    def run_flows(self, number: int, every_seconds: float) -> "FlowRace":
        """Begin that many, in turn, and wait until all are done."""
        self._look()
        for each in range(number):
            self.after(each * every_seconds, lambda: self._queue(self.keys[0]))
        self.pass_time(number * every_seconds + 60)
        return self

    def _queue(self, pack_key: str) -> None:
        self._waiting[pack_key] += 1
        if self._tells:
            self._schedule.wake(pack_key, {})
            self._soon(self.hand.seconds)

    def _look(self) -> None:
        if self._looks_at <= self.hand.seconds:
            self._looks_at = math.inf
        while isinstance(turn := self._schedule.turns.next(waits=False), Turn):
            if turn.may_begin():
                self._take(turn)
        due = min(self._schedule.view(key).due_at for key in self.keys)
        if due < math.inf:
            self._soon(due)

    def _soon(self, due: float) -> None:
        """A worker is awake a moment after it was to wake."""
        if max(due, self.hand.seconds) < self._looks_at:
            wake = self._rng.uniform(0, WAKE_SECONDS)
            self._looks_at = max(due, self.hand.seconds) + wake
            self.at(self._looks_at, self._look)

    def _take(self, turn: Turn) -> None:
        key = turn.pack_key
        self.asked += 1

        def arrive() -> None:
            now = self.hand.seconds
            if not self._waiting[key]:
                self.after(LATENCY_SECONDS, turn_ends(turn.empty))
            elif now < self._busy_until[key]:
                self.collided += 1
                self.after(LATENCY_SECONDS, turn_ends(lambda: turn.contended("500")))
            else:
                self._busy_until[key] = now + WINDOW_SECONDS
                self.after(WINDOW_SECONDS, give_out)

        def give_out() -> None:
            self._waiting[key] -= 1
            self.after(LATENCY_SECONDS, found)

        def found() -> None:
            turn.found()
            turn.written()
            self.after(WORK_SECONDS + 2 * LATENCY_SECONDS, turn_ends(accepted))
            self._look()

        def accepted() -> None:
            self.done += 1
            self._schedule.hints.give(key)
            if key != self.keys[-1]:
                self._queue(self.keys[self.keys.index(key) + 1])
            turn.ended()

        def turn_ends(end: Callable[[], None]) -> Callable[[], None]:
            def act() -> None:
                end()
                self._look()

            return act

        self.after(LATENCY_SECONDS, arrive)

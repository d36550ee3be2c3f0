"""Simulates takes of one pack at a flyte in which they collide.

Either real schedules decide when takes begin, or a fixed number of takers runs in a loop. There is
no thread, socket or real time: the same seed gives the same race.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from flyte_host.clock import Clock
from flyte_host.pipeline.schedule.schedule import Schedule
from flyte_host.pipeline.schedule.turn import Turn
from tests.support.host_parts import ECHO, PackPlugin, served, utc_now
from tests.support.simulated_time import SimulatedTime

WAKE_SECONDS = 0.0005
"""The most by which a worker wakes late."""


@dataclass(frozen=True)
class FlyteTraits:
    """``window_seconds``: while flyte works on a take, another one gets a 500.

    ``service_seconds``: flyte needs this for each take, one at a time. ``jitter_seconds`` is added
    to each way. ``work_seconds`` is what the host needs for an action besides waiting.
    """

    latency_seconds: float = 0.0
    window_seconds: float = 0.0
    service_seconds: float = 0.0
    jitter_seconds: float = 0.001
    work_seconds: float = 0.001


class TakeRace(SimulatedTime):
    """``found`` and ``collided`` count answers, ``most_under_way`` takes that waited at once."""

    def __init__(self, traits: FlyteTraits, seed: int = 1) -> None:
        super().__init__()
        self.traits = traits
        self.rng = random.Random(seed)
        self.found = self.collided = self.most_under_way = 0
        self._under_way = 0
        self._busy_until = self._served_until = -math.inf

    def run(self, seconds: float) -> "TakeRace":
        """Continue, with new counts."""
        self.found = self.collided = self.most_under_way = 0
        self.pass_time(seconds)
        return self

    def send(self, act: Callable[[], None]) -> None:
        """Act when a message has arrived."""
        self.after(self.traits.latency_seconds + self._jitter(), act)

    def take(self, answer: Callable[[bool], None]) -> None:
        """Send a take; the answer says whether it found an action or lost a race."""
        self._under_way += 1
        self.most_under_way = max(self.most_under_way, self._under_way)

        def arrive() -> None:
            now = self.hand.seconds
            finds = now >= self._busy_until
            if finds:
                self._busy_until = now + self.traits.window_seconds
            self._served_until = max(now, self._served_until) + self.traits.service_seconds
            answered_at = max(now + self.traits.window_seconds, self._served_until)
            self.at(answered_at + self._jitter(), lambda: end(finds))

        def end(finds: bool) -> None:
            self._under_way -= 1
            self.found += finds
            self.collided += not finds
            answer(finds)

        self.send(arrive)

    def _jitter(self) -> float:
        return self.rng.uniform(0, self.traits.jitter_seconds)


def add_fixed_takers(race: TakeRace, number: int) -> TakeRace:
    """Each takes, works, posts the result and takes again."""

    def take() -> None:
        race.take(lambda finds: post() if finds else take())

    def post() -> None:
        race.after(race.traits.work_seconds, lambda: race.send(take))

    for _ in range(number):
        take()
    return race


def add_schedule(race: TakeRace, slots: int) -> TakeRace:
    """A host with one pack, whose workers are awake a moment after they are due."""
    _Host(race, slots).look()
    return race


class _Host:
    def __init__(self, race: TakeRace, slots: int) -> None:
        self._race = race
        self._schedule = Schedule(5.0, Clock(utc_now, race.hand.clock.monotonic, race.rng))
        plugin = {"p": PackPlugin(ECHO, name="p")}
        self._schedule.add(served(plugin, {"p": {"max_concurrent": slots}})["p"])
        self._looks_at = math.inf

    def look(self) -> None:
        race = self._race
        if self._looks_at <= race.hand.seconds:
            self._looks_at = math.inf
        while isinstance(turn := self._schedule.turns.next(waits=False), Turn):
            if turn.may_begin():
                self._carry(turn)
        due_at = self._schedule.view("p").due_at
        if race.hand.seconds < due_at < self._looks_at:
            self._looks_at = due_at + race.rng.uniform(0, WAKE_SECONDS)
            race.at(self._looks_at, self.look)

    def _carry(self, turn: Turn) -> None:
        race = self._race

        def answer(finds: bool) -> None:
            if finds:
                turn.found()
                turn.written()
                race.after(race.traits.work_seconds, lambda: race.send(end))
            else:
                turn.contended("500")
            self.look()

        def end() -> None:
            turn.ended()
            self.look()

        race.take(answer)

"""Runs events in the order of their time, without waiting."""

import heapq
import itertools
from collections.abc import Callable

from tests.support.hand_clock import HandClock


class SimulatedTime:
    """``hand`` goes into the parts; the same events give the same run."""

    def __init__(self) -> None:
        self.hand = HandClock()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def pass_time(self, seconds: float) -> None:
        """Run everything that is due within this time."""
        end = self.hand.seconds + seconds
        while self._events and self._events[0][0] <= end:
            self.hand.seconds, _, act = heapq.heappop(self._events)
            act()
        self.hand.seconds = end

    def at(self, when: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (max(when, self.hand.seconds), next(self._order), act))

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        self.at(self.hand.seconds + seconds, act)

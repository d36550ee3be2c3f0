"""How closely the takes of one pack follow each other.

Plain data with two limits that adapt. The *width*, how many takes are under way at most, grows with
each find unless takes wait in flyte, and shrinks with each that finds nothing. The
*spacing* is the time between the starts of two takes. flyte answers 500 to a take that arrives
while it works on another one of the pack. So the time between two arrivals counts, not how many
takes wait for an answer: a distant flyte gets many, and none collides. Each collision widens the
spacing, each find narrows it by a tenth of that, so about one find in ten costs a collision.
"""

import math

from flyte_host.pipeline.schedule.busy_workers import BACK_SECONDS, QUICK_SECONDS

WIDER = 1.06
NARROWER = 0.994
"""A collision and a find multiply the spacing by these."""
HASTE_FINDS = 16
"""Narrow twice as fast after this many finds without a collision, then three times, and so on."""
SOON_FINDS = 3
"""A collision with fewer finds than this since the last one widens more than that one did."""
LEAST_SPACING_SECONDS = 0.001
"""A smaller spacing counts as none."""
FIRST_SPACING = 1 / 3
"""The first spacing, as a share of a lost take's time: flyte's work plus the round trip."""
LONGEST_SPACING = 1.5
"""The longest spacing, in times of a lost take: flyte had finished the other one by its end."""
QUEUED = 2.0
"""Takes that need this many times the shortest time are queued in flyte: more would be, too."""
FORGET = 1.001
"""The shortest time grows by this factor with each answer: flyte may be farther away now."""


class Pace:
    """The pace of one pack; times are in seconds."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self.width = 1
        self.spacing_seconds = 0.0
        self.beside_at = math.inf
        """When a take may go out beside one that is under way."""
        self.is_slow = False
        """Whether flyte takes so long that another worker can be awake before it answers."""
        self._earliest = -math.inf
        self._shortest_seconds = math.inf
        self._collided_at = -math.inf
        self._finds = 0
        self._collisions = 0

    def not_before(self, at: float) -> float:
        """The earliest start of a take that is wanted at that time."""
        return max(at, self._earliest)

    def begin(self, now: float, beside_seconds: float = BACK_SECONDS) -> None:
        """A take goes out; while the pack is wide, more may follow.

        ``beside_seconds``: later, if another worker has to be woken for the next one.
        """
        self._earliest = now + self.spacing_seconds
        self.beside_at = now if self.is_slow else now + beside_seconds

    def find(self, took_seconds: float) -> None:
        """A take got an action."""
        self._measure(took_seconds)
        if took_seconds <= QUEUED * self._shortest_seconds:
            self.width = min(self.width + 1, self._slots)
        if self.spacing_seconds:
            self._narrow()

    def miss(self, took_seconds: float) -> None:
        """A take found nothing."""
        self._measure(took_seconds)
        self.width = max(1, self.width - 1)
        self.beside_at = math.inf

    def collide(self, now: float, took_seconds: float) -> bool:
        """A take got a 500. False: it started before the spacing was widened for another one."""
        self.beside_at = math.inf
        started_at = now - took_seconds
        if started_at < self._collided_at:
            return False
        self._collided_at = now
        self._widen(took_seconds)
        self._earliest = max(self._earliest, started_at + self.spacing_seconds)
        return True

    def restart(self) -> None:
        """flyte has a problem: one take at a time, until one finds something."""
        self.width = 1
        self.beside_at = math.inf

    def _narrow(self) -> None:
        self._finds += 1
        self.spacing_seconds *= NARROWER ** (1 + self._finds // HASTE_FINDS)
        if self.spacing_seconds < LEAST_SPACING_SECONDS:
            self.spacing_seconds = 0.0

    def _widen(self, took_seconds: float) -> None:
        self._collisions = self._collisions + 1 if self._finds < SOON_FINDS else 1
        self._finds = 0
        wider = self.spacing_seconds * WIDER**self._collisions or took_seconds * FIRST_SPACING
        longest = LONGEST_SPACING * took_seconds
        self.spacing_seconds = max(LEAST_SPACING_SECONDS, min(wider, longest))

    def _measure(self, took_seconds: float) -> None:
        self._shortest_seconds = min(took_seconds, self._shortest_seconds * FORGET)
        self.is_slow = took_seconds >= QUICK_SECONDS

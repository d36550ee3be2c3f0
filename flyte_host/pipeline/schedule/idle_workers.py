"""Workers that wait for something to do: one of them, the leader, watches the clock.

The leader/followers pattern of POSA 2. A wake-up is for one worker, the one that became idle last,
so that the same few workers do what there is and the others can end. While one looks at the network
(``lookout``), it watches the clock, and is called first. ``timetable`` guards it with its lock.
"""

import math
import threading

from flyte_host.pipeline.schedule.lookout import Lookout

KEPT = 2
"""How many idle workers stay: one that leads, and one to take over."""
LINGER_SECONDS = 1.0
"""How long any other idle worker waits before it ends."""


class IdleWorkers:
    """Every method is called with the lock held."""

    def __init__(
        self, lock: threading.Lock, lookout: Lookout, *, linger_seconds: float = LINGER_SECONDS
    ) -> None:
        self._lock = lock
        self._lookout = lookout
        self._linger_seconds = linger_seconds
        self._leader: threading.Condition | None = None
        self._leads_until = math.inf
        self._followers: list[threading.Condition] = []
        self._coming = 0

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._followers) + (self._leader is not None) + self._lookout.is_manned

    def expect(self) -> None:
        """A new worker was started, and will arrive."""
        self._coming += 1

    def arrive(self) -> None:
        """A worker that was called, or is new, looks for work."""
        self._coming -= 1

    def wait(self, due: float, seconds: float) -> bool:
        """Wait until called; the leader at most for ``seconds``, until something is ``due``.

        False: this worker may end.
        """
        place = threading.Condition(self._lock)
        if self._coming or (self._leader is not None and due >= self._leads_until):
            self._followers.append(place)
            return self._follow(place)
        if self._leader is not None:  # it would wake too late, so it follows this one
            self._followers.append(self._leader)
        self._leader, self._leads_until = place, due
        place.wait(min(seconds, self._linger_seconds))
        if self._leader is place:
            self._leader = None
            return True
        return self._follow(place)

    def look(self, due: float, seconds: float) -> None:
        """Look at the network until called, at most for ``seconds``, until something is ``due``."""
        if self._lookout.wait(due, min(seconds, self._linger_seconds)):
            self.arrive()

    def _follow(self, place: threading.Condition) -> bool:
        while place in self._followers:
            called = place.wait(self._linger_seconds)
            # It may have been called just when it had waited long enough.
            if not called and place in self._followers and self.waiting > KEPT:
                self._followers.remove(place)
                return False
        self.arrive()
        return True

    def call(self) -> None:
        """Wake a worker for work that is due now, unless one is already coming."""
        if self._coming:
            return
        if self._lookout.is_manned:
            self._summon(self._lookout)
        elif self._followers:
            self._summon(self._followers.pop())
        elif self._leader is not None:
            self._summon_leader()

    def call_leader(self, at: float) -> None:
        """Have the leader look at the clock again if it would wake only after ``at``."""
        if self._lookout.is_manned:
            if at < self._lookout.until:
                self._summon(self._lookout)
        elif self._leader is not None and at < self._leads_until:
            self._summon_leader()

    def promote(self) -> bool:
        """Make sure that a worker leads. True: none can, a new one is needed."""
        if self._leader is not None or self._coming or self._lookout.is_manned:
            return False
        self.call()
        return not self._coming

    def call_all(self) -> None:
        """Have everybody look: it is the end."""
        while self._followers:
            self._summon(self._followers.pop())
        if self._leader is not None:
            self._summon_leader()
        if self._lookout.is_manned:
            self._summon(self._lookout)

    def _summon_leader(self) -> None:
        leader, self._leader = self._leader, None
        if leader is not None:
            self._summon(leader)

    def _summon(self, place: threading.Condition | Lookout) -> None:
        self._coming += 1
        place.notify()

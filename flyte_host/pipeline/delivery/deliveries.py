"""What flyte is owed, from the moment the journal has it until flyte does.

Owns which entry is under way, waits, or is gone, under one lock. Must not know threads, or what an
answer of flyte means; that is ``refusals``.
"""

import logging
import math
import threading
from collections.abc import Iterable

from flyte_host.client.outage import Outage
from flyte_host.clock import Clock
from flyte_host.pipeline.delivery.arrears import Arrears
from flyte_host.pipeline.delivery.attempts import Attempts
from flyte_host.pipeline.delivery.event_rooms import MOST_EVENTS, EventRooms
from flyte_host.pipeline.delivery.lanes import Lanes
from flyte_host.pipeline.delivery.verdict import Verdict
from flyte_host.pipeline.journal import Delivery, Journal, Owed
from flyte_host.wait import Steps

log = logging.getLogger(__name__)


class Deliveries:
    """Safe to use from any thread; what needs :attr:`lock` says so.

    Every entry is in the journal until flyte has it.
    """

    def __init__(
        self,
        journal: Journal,
        attempts: Attempts,
        outage: Outage,
        clock: Clock,
        *,
        most_events: int = MOST_EVENTS,
    ) -> None:
        self._journal = journal
        self._attempts = attempts
        self._outage = outage
        self._clock = clock
        self.lock = threading.Lock()
        self.work = threading.Condition(self.lock)
        """Something may be due sooner than it was; or it is the end."""
        self.progress = threading.Condition(self.lock)
        """An attempt has ended."""
        self._lanes = Lanes()
        self._arrears = Arrears(self._lanes)
        self.rooms = EventRooms(self._lanes, self.lock, most_events=most_events)
        self.refused_since = math.inf
        """Since when flyte has accepted nothing that it was given."""
        self.is_closed = False

    def deliver(self, result: Delivery) -> Steps[None]:
        """Try once, here and now; what flyte does not accept at once is brought later.

        While flyte is away this does not try.
        """
        with self.lock:
            is_away = self._outage.since is not None
            if is_away:
                self._arrears.begin()
            if is_away or self.is_closed:
                self._add(result.owed)
                return
            if not self._lanes.add_under_way(result.owed):
                return  # found in the journal meanwhile: the courier's threads have it
        self._settle(result.owed, (yield from self._attempts.attempt(result)))

    def add(self, entry: Delivery | Owed) -> None:
        """Bring what the journal has accepted."""
        with self.lock:
            self._add(entry if isinstance(entry, Owed) else entry.owed)

    def waiting(self, pack_key: str) -> int:
        """How many results and events of the pack flyte does not have yet."""
        unwritten = self._journal.unwritten_of(pack_key)
        with self.lock:
            return self._lanes.waiting(pack_key) + unwritten

    def stop(self) -> None:
        """Lift the limit on events: no observer may wait for room when the host stops."""
        with self.lock:
            self.rooms.lift()

    def close(self) -> None:
        """Begin no further delivery.

        One under way is ended by its request's timeout, and its entry stays in the journal.
        """
        with self.lock:
            self.is_closed = True
            self.work.notify_all()

    # For the courier.

    def bring(self, owed: Owed) -> Steps[None]:
        """Try what :meth:`begin` gave."""
        self._settle(owed, (yield from self._attempts.attempt(owed)))

    def begin(self) -> Owed:
        """What is due, under way from now on; the lock is held."""
        return self._lanes.begin()

    def next_due(self, now: float) -> float | None:
        """When the next entry is due and flyte may be tried; the lock is held.

        While flyte is away, only the outage says when, and lets one call through at a time.
        Otherwise thousands of entries would keep asking it without success.
        """
        due = self._lanes.next_due(now)
        if due is None:
            return None
        try_at = self._outage.next_try_at()
        if try_at > 0:
            self._arrears.begin()
        return max(due, try_at)

    def take_up(self, found: Iterable[Owed]) -> None:
        """Bring those that are not known yet; the lock is held."""
        self._lanes.take_up(found)
        self.work.notify_all()

    def left(self) -> int:
        """How many flyte does not have yet; the lock is held."""
        return len(self._lanes)

    def _add(self, owed: Owed) -> None:
        self._lanes.add(owed)
        self.work.notify()

    def _settle(self, owed: Owed, verdict: Verdict) -> None:
        """Act on the outcome of an attempt."""
        arrived = ""
        with self.lock:
            if verdict.away:
                self._arrears.begin()
            elif verdict.arrived and self._arrears.end():
                self.work.notify_all()
            if verdict.pause_seconds is None:
                self.refused_since = math.inf
                arrived = self._arrears.remove(owed, arrived=verdict.arrived)
                self._lanes.done(owed)
                self.rooms.left(owed.pack_key)
            else:
                self.refused_since = min(self.refused_since, self._clock.monotonic())
                self._lanes.again(owed, self._clock.monotonic() + verdict.pause_seconds)
                self.work.notify()
            self.progress.notify()
        if arrived:
            log.info("delivered what had waited for flyte: %s", arrived)

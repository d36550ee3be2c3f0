"""Brings to flyte what could not be delivered at once, events, and what a restart found.

Owns the threads and when each lane has its turn. Must not know what an answer of flyte means; that
is ``attempts``.
"""

import logging
import math
import threading
from collections.abc import Callable
from functools import partial

from flyte_host.client.outage import Outage
from flyte_host.clock import Clock
from flyte_host.pipeline.delivery.arrears import Arrears
from flyte_host.pipeline.delivery.attempts import Attempts, Verdict
from flyte_host.pipeline.delivery.event_rooms import MOST_EVENTS, EventRooms
from flyte_host.pipeline.delivery.lanes import Lanes
from flyte_host.pipeline.journal import Delivery, Journal, JournalError, Owed
from flyte_host.thread_watch import ThreadWatch
from flyte_host.wait import Steps, stand_still

log = logging.getLogger(__name__)

THREADS = 4
LOOK_SECONDS = 1.0
"""How often the journal is asked whether people retried entries."""
HOPELESS_FAILURES = 2
"""flyte did not answer, nor the probe after that: a drain need not wait for it."""
VAIN_SECONDS = 2.0
"""How long a drain waits for a flyte that is silent, or accepts nothing: a probe may take all of
its timeout, and a refusal may repeat forever."""


class Courier:
    """Delivers from its own threads; every entry is in the journal until flyte has it."""

    def __init__(
        self,
        journal: Journal,
        attempts: Attempts,
        outage: Outage,
        clock: Clock,
        watch: ThreadWatch,
        *,
        look_seconds: float = LOOK_SECONDS,
        most_events: int = MOST_EVENTS,
    ) -> None:
        self._journal = journal
        self._attempts = attempts
        self._outage = outage
        self._clock = clock
        self._look_seconds = look_seconds
        self._look_at = clock.monotonic() + look_seconds
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._progress = threading.Condition(self._lock)
        self._lanes = Lanes()
        self._arrears = Arrears(self._lanes)
        self.rooms = EventRooms(self._lanes, self._lock, most_events=most_events)
        self._watched_until = math.inf
        self._refused_since = math.inf
        self._is_closed = False
        self.threads = [
            watch.make_thread(self._run, f"courier-{number}") for number in range(THREADS)
        ]

    def start(self) -> None:
        """Take up what the last run left undelivered, then deliver."""
        for owed in self._journal.undelivered():
            self.add(owed)
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """Lift the limit on events: no observer may wait for room when the host stops."""
        with self._lock:
            self.rooms.lift()

    def drain(self, deadline: float) -> int:
        """Deliver until all is delivered or the clock's ``deadline``; returns what is left.

        It ends early if everything is in the journal and flyte is away or accepts nothing: waiting
        would not help.
        """
        begun = self._clock.monotonic()
        with self._lock:
            while self._can_progress():
                wait_seconds = self._worth_until(begun, deadline) - self._clock.monotonic()
                if wait_seconds <= 0:
                    break
                self._progress.wait(min(wait_seconds, self._look_seconds))
            return len(self._lanes) + self._journal.unwritten

    def close(self) -> None:
        """Start no further delivery.

        One under way is ended by its request's timeout, and its entry stays in the journal.
        """
        with self._lock:
            self._is_closed = True
            self._work.notify_all()

    def deliver(self, result: Delivery) -> Steps[None]:
        """Try once, here and now; what flyte does not accept at once is brought later.

        While flyte is away this does not try.
        """
        with self._lock:
            is_away = self._outage.since is not None
            if is_away:
                self._arrears.begin()
            if is_away or self._is_closed:
                self._add(result.owed)
                return
            if not self._lanes.add_under_way(result.owed):
                return  # found in the journal meanwhile: the courier's threads have it
        self._settle(result.owed, (yield from self._attempts.attempt(result)))

    def add(self, entry: Delivery | Owed) -> None:
        """Bring what the journal has accepted."""
        with self._lock:
            self._add(entry if isinstance(entry, Owed) else entry.owed)

    def waiting(self, pack_key: str) -> int:
        """How many results and events of the pack flyte does not have yet."""
        unwritten = self._journal.unwritten_of(pack_key)
        with self._lock:
            return self._lanes.waiting(pack_key) + unwritten

    def _can_progress(self) -> bool:
        is_looking = self._look_at == math.inf  # what it wrote down may be in no lane yet
        if is_looking or self._journal.unwritten:
            return True
        return bool(self._lanes) and self._outage.failures < HOPELESS_FAILURES

    def _worth_until(self, begun: float, deadline: float) -> float:
        """When a drain gives up: before the deadline if all is written and flyte takes nothing."""
        if self._journal.unwritten:
            return deadline
        away_since = self._outage.since
        since = self._refused_since if away_since is None else away_since
        return min(deadline, max(begun, since) + VAIN_SECONDS)

    def _add(self, owed: Owed) -> None:
        self._lanes.add(owed)
        self._work.notify()

    def _run(self) -> None:
        while (task := self._next_task()) is not None:
            task()

    def _next_task(self) -> Callable[[], None] | None:
        """What to do now; None at the end."""
        with self._lock:
            while not self._is_closed:
                now = self._clock.monotonic()
                task = self._due_task(now)
                if task is not None:
                    if self._watched_until == math.inf:
                        self._work.notify()
                    return task
                self._wait(now)
        return None

    def _due_task(self, now: float) -> Callable[[], None] | None:
        if now >= self._look_at:
            self._look_at = math.inf
            return self._look
        due = self._next_due(now)
        if due is None or due > now:
            return None
        owed = self._lanes.begin()
        return partial(self._bring, owed)

    def _wait(self, now: float) -> None:
        """One idle thread watches the clock; the others wait until there is something to do.

        When the one that watches finds something, it wakes another, which watches in its place.
        """
        due = self._next_due(now)
        until = self._look_at if due is None else min(due, self._look_at)
        if until >= self._watched_until or until == math.inf:
            self._work.wait()
            return
        self._watched_until = until
        self._work.wait(until - now)
        self._watched_until = math.inf

    def _next_due(self, now: float) -> float | None:
        """When the next entry is due and flyte may be tried.

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

    def _look(self) -> None:
        """Take up what had to wait in memory, and what people retried."""
        try:
            found = [each.owed for each in self._journal.catch_up()]
            if self._journal.changed_by_others():
                found += self._journal.undelivered()
        except JournalError as error:  # told by the journal's writes
            log.debug("cannot look for retried entries: %s", error)
            found = []
        with self._lock:
            self._look_at = self._clock.monotonic() + self._look_seconds
            if found:
                self._lanes.take_up(found)
                self._work.notify_all()
            self._progress.notify()

    def _bring(self, owed: Owed) -> None:
        self._settle(owed, stand_still(self._attempts.attempt(owed)))

    def _settle(self, owed: Owed, verdict: Verdict) -> None:
        """Act on the outcome of an attempt."""
        arrived = ""
        with self._lock:
            if verdict.away:
                self._arrears.begin()
            elif verdict.arrived and self._arrears.end():
                self._work.notify_all()
            if verdict.pause_seconds is None:
                self._refused_since = math.inf
                arrived = self._arrears.remove(owed, arrived=verdict.arrived)
                self._attempts.forget(owed)
                self._lanes.done(owed)
                self.rooms.left(owed.pack_key)
            else:
                self._refused_since = min(self._refused_since, self._clock.monotonic())
                self._lanes.again(owed, self._clock.monotonic() + verdict.pause_seconds)
                self._work.notify()
            self._progress.notify()
        if arrived:
            log.info("delivered what had waited for flyte: %s", arrived)

"""Brings to flyte what could not be delivered at once, events, and what a restart found.

Owns the threads, when they look into the journal, and how long a stop waits for them. Must not know
what happens to an entry; that is ``deliveries``.
"""

import logging
import math
from collections.abc import Callable
from functools import partial

from flyte_host.client.outage import Outage
from flyte_host.clock import Clock
from flyte_host.pipeline.delivery.deliveries import Deliveries
from flyte_host.pipeline.journal import Journal, JournalError, Owed
from flyte_host.thread_watch import ThreadWatch
from flyte_host.wait import stand_still

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
    """Its threads share the lock of the deliveries."""

    def __init__(
        self,
        deliveries: Deliveries,
        journal: Journal,
        outage: Outage,
        clock: Clock,
        watch: ThreadWatch,
        *,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._deliveries = deliveries
        self._journal = journal
        self._outage = outage
        self._clock = clock
        self._look_seconds = look_seconds
        self._look_at = clock.monotonic() + look_seconds
        self._watched_until = math.inf
        self.threads = [
            watch.make_thread(self._run, f"courier-{number}") for number in range(THREADS)
        ]

    def start(self) -> None:
        """Take up what the last run left undelivered, then deliver."""
        for owed in self._journal.undelivered():
            self._deliveries.add(owed)
        for thread in self.threads:
            thread.start()

    def drain(self, deadline: float) -> int:
        """Deliver until all is delivered or the clock's ``deadline``; returns what is left.

        It ends early if everything is in the journal and flyte is away or accepts nothing: waiting
        would not help.
        """
        begun = self._clock.monotonic()
        with self._deliveries.lock:
            while self._can_progress():
                wait_seconds = self._worth_until(begun, deadline) - self._clock.monotonic()
                if wait_seconds <= 0:
                    break
                self._deliveries.progress.wait(min(wait_seconds, self._look_seconds))
            return self._deliveries.left() + self._journal.unwritten

    def _can_progress(self) -> bool:
        is_looking = self._look_at == math.inf  # what it wrote down may be in no lane yet
        if is_looking or self._journal.unwritten:
            return True
        return self._deliveries.left() > 0 and self._outage.failures < HOPELESS_FAILURES

    def _worth_until(self, begun: float, deadline: float) -> float:
        """When a drain gives up: before the deadline if all is written and flyte takes nothing."""
        if self._journal.unwritten:
            return deadline
        away_since = self._outage.since
        since = self._deliveries.refused_since if away_since is None else away_since
        return min(deadline, max(begun, since) + VAIN_SECONDS)

    def _run(self) -> None:
        while (task := self._next_task()) is not None:
            task()

    def _next_task(self) -> Callable[[], None] | None:
        """What to do now; None at the end."""
        deliveries = self._deliveries
        with deliveries.lock:
            while not deliveries.is_closed:
                now = self._clock.monotonic()
                task = self._due_task(now)
                if task is not None:
                    if self._watched_until == math.inf:
                        deliveries.work.notify()
                    return task
                self._wait(now)
        return None

    def _due_task(self, now: float) -> Callable[[], None] | None:
        if now >= self._look_at:
            self._look_at = math.inf
            return self._look
        due = self._deliveries.next_due(now)
        if due is None or due > now:
            return None
        return partial(self._bring, self._deliveries.begin())

    def _wait(self, now: float) -> None:
        """One idle thread watches the clock; the others wait until there is something to do.

        When the one that watches finds something, it wakes another, which watches in its place.
        """
        due = self._deliveries.next_due(now)
        until = self._look_at if due is None else min(due, self._look_at)
        if until >= self._watched_until or until == math.inf:
            self._deliveries.work.wait()
            return
        self._watched_until = until
        self._deliveries.work.wait(until - now)
        self._watched_until = math.inf

    def _look(self) -> None:
        """Take up what had to wait in memory, and what people retried."""
        try:
            found = [each.owed for each in self._journal.catch_up()]
            if self._journal.changed_by_others():
                found += self._journal.undelivered()
        except JournalError as error:  # told by the journal's writes
            log.debug("cannot look for retried entries: %s", error)
            found = []
        with self._deliveries.lock:
            self._look_at = self._clock.monotonic() + self._look_seconds
            if found:
                self._deliveries.take_up(found)
            self._deliveries.progress.notify()

    def _bring(self, owed: Owed) -> None:
        stand_still(self._deliveries.bring(owed))

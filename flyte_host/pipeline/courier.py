"""Brings results and events to flyte until flyte has them or they are parked.

Owns the threads and when each lane has its turn. Must not know what an answer of flyte means; that
is ``posting``.
"""

import logging
import math
import random
import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

from flyte_host.client import FlyteClient
from flyte_host.client.registrations import Registrations
from flyte_host.counters import Counters
from flyte_host.pipeline.attempt import (
    RETRY_BASE_SECONDS,
    RETRY_CAP_SECONDS,
    Posting,
    Verdict,
)
from flyte_host.pipeline.journal import Delivery, EntryGone, Journal, JournalClosed, JournalError
from flyte_host.pipeline.lanes import Lane, Lanes

log = logging.getLogger(__name__)

THREADS = 4
BACKLOG_EVENTS = 100_000
"""So many events of one pack may wait for flyte; who raises more waits till a tenth is gone."""
ALONE_SECONDS = 2.0
"""After this long without an answer to it the lane that tries first is not alone any more."""
LOOK_SECONDS = 1.0
"""How often the journal is asked whether people retried entries."""


class Courier:
    """Delivers from its own threads; every entry lies in the journal until flyte has it."""

    def __init__(
        self,
        journal: Journal,
        client: FlyteClient,
        registrations: Registrations,
        *,
        accepted: Callable[[], None],
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        counts: Counters | None = None,
        retry_base_seconds: float = RETRY_BASE_SECONDS,
        retry_cap_seconds: float = RETRY_CAP_SECONDS,
        look_seconds: float = LOOK_SECONDS,
        backlog_events: int = BACKLOG_EVENTS,
    ) -> None:
        self._counts = counts or Counters()
        self._journal = journal
        self._clock = clock
        self._retry_cap_seconds = retry_cap_seconds
        self._posting = Posting(
            journal, client, registrations, self._counts, accepted=accepted, now=now,
            rng=rng or random.Random(),  # noqa: S311  jitter
            retry_base_seconds=retry_base_seconds, retry_cap_seconds=retry_cap_seconds,
        )  # fmt: skip
        self._look_seconds = look_seconds
        self._look_at = clock() + look_seconds
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._rooms: dict[str, threading.Condition] = {}
        self._lanes = Lanes()
        self._held_until = 0.0
        self._backlog_events = backlog_events
        self._unlimited = False
        self._stopped = False
        self.threads = [
            threading.Thread(target=self._run, name=f"courier-{number}", daemon=True)
            for number in range(THREADS)
        ]

    def start(self) -> None:
        """Take up what the last run left undelivered, then deliver."""
        for delivery in self._journal.undelivered():
            self.add(delivery)
        for thread in self.threads:
            thread.start()

    def add(self, delivery: Delivery) -> None:
        """Deliver what the journal has accepted."""
        with self._changed:
            self._lanes.add(delivery)
            self._changed.notify_all()  # one alone could be the drain, which delivers nothing

    def wait_for_room(self, pack_key: str) -> None:
        """Return when the pack may raise one more event; several at once may pass the limit."""
        with self._lock:
            if not self._is_full(pack_key, self._backlog_events):
                return
            room = self._rooms.setdefault(pack_key, threading.Condition(self._lock))
        # Without the lock, as everywhere: who listens to the log may be a plugin.
        log.warning(
            "%d events wait for flyte: the next ones wait to be raised",
            self._backlog_events,
            extra={"pack": pack_key},
        )
        with room:
            while self._is_full(pack_key, max(1, self._backlog_events * 9 // 10)):
                room.wait()

    def lift_limit(self) -> None:
        """From now on there is room for every event: nobody may wait when the host stops."""
        with self._changed:
            self._unlimited = True
            for room in self._rooms.values():
                room.notify_all()

    def _is_full(self, pack_key: str, events: int) -> bool:
        return not self._unlimited and self._lanes.events(pack_key) >= events

    def waiting(self, pack_key: str) -> int:
        """How many results and events of the pack flyte does not have yet."""
        with self._changed:
            return self._lanes.waiting(pack_key)

    def drain(self, deadline: float) -> int:
        """Deliver until all is delivered or the clock's ``deadline``; returns what is left.

        Then no further delivery starts; one under way is ended by its request's time-out, and its
        entry stays in the journal.
        """
        with self._changed:
            while self._lanes and (wait := deadline - self._clock()) > 0:
                self._changed.wait(wait)
            self._stopped = True
            self._changed.notify_all()
            return len(self._lanes)

    def _run(self) -> None:
        while (task := self._next()) is not None:
            task()

    def _next(self) -> Callable[[], None] | None:
        """What is to be done now; None at the end."""
        with self._changed:
            while not self._stopped:
                now = self._clock()
                if now >= self._look_at:
                    self._look_at = now + self._look_seconds
                    return self._look
                due = self._next_due(now)
                if due is not None and due <= now:
                    return self._begin(now)
                self._changed.wait(min(self._look_at, due or self._look_at) - now)
        return None

    def _next_due(self, now: float) -> float | None:
        due = self._lanes.next_due(now)
        return None if due is None else max(due, self._held_until)

    def _begin(self, now: float) -> Callable[[], None]:
        """While flyte is away one lane alone tries, so that the others keep their turns."""
        alone = self._held_until > 0
        if alone:
            self._held_until = now + ALONE_SECONDS
        return partial(self._work, *self._lanes.begin(), alone=alone)

    def _look(self) -> None:
        """Take up what people retried."""
        try:
            if not self._journal.changed_by_others():
                return
            waiting = list(self._journal.undelivered())
        except JournalError as error:  # told by the journal's writes
            log.debug("cannot look for retried entries: %s", error)
            return
        with self._changed:
            self._lanes.take_up(waiting)
            self._changed.notify_all()

    def _hold(self, seconds: float | None, *, alone: bool) -> None:
        """Start nothing while flyte is away, till the next try: thousands of lanes would spin.

        The first that gets through (None) lets all of them go on at once. The word of who tries
        alone counts; those that were under way when flyte went away may say what is no longer so.
        """
        now = self._clock()
        if seconds is None:
            self._held_until = 0.0
        elif alone:
            self._held_until = now + seconds
        else:
            held = self._held_until if self._held_until > now else math.inf
            self._held_until = min(held, now + min(seconds, ALONE_SECONDS))

    def _work(self, lane: Lane, number: int, *, alone: bool) -> None:
        verdict = self._attempt(lane, number)
        with self._changed:
            self._hold(verdict.away_seconds, alone=alone)
            if verdict.pause_seconds is None:
                self._posting.forget(lane)
                self._lanes.done(lane)
                if room := self._rooms.get(lane.pack_key):
                    room.notify_all()
            else:
                self._counts.delivered(lane.pack_key, lane.kind, "retried")
                self._lanes.again(lane, self._clock() + verdict.pause_seconds)
            self._changed.notify_all()

    def _attempt(self, lane: Lane, number: int) -> Verdict:
        """One attempt, whatever happens to the journal meanwhile."""
        try:
            return self._posting.attempt(lane, number)
        except EntryGone:  # delivered or dropped: it waits no more
            return Verdict(None)
        except JournalClosed:
            log.debug("the host stopped during a delivery; the next start settles it")
        except JournalError as error:
            log.error("a delivery has to be repeated: %s", error)
        except Exception:
            log.exception("a delivery failed in the host itself; it is tried again")
        return Verdict(self._retry_cap_seconds)

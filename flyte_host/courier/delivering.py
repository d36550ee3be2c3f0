"""Brings results and events to flyte until flyte has them or they are parked.

Owns the threads, the retries and what each refusal means. Must not know how results come about.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

from flyte_host.client import FlyteClient
from flyte_host.client.wire import encode_fatal
from flyte_host.courier.lanes import Lane, Lanes
from flyte_host.errors import (
    FlyteAway,
    FlyteBadAnswer,
    FlyteError,
    FlyteFailed,
    FlyteRefused,
    FlyteUnauthorized,
    FlyteUnknown,
)
from flyte_host.journal import Delivery, EntryGone, Journal, JournalClosed, JournalError, Kind
from flyte_host.registrations import Registrations

log = logging.getLogger(__name__)

THREADS = 4
BACKLOG_EVENTS = 100_000
"""So many events of one pack may wait for flyte; who raises more waits, too."""
RETRY_BASE_SECONDS = 0.5
RETRY_CAP_SECONDS = 60.0
ATTEMPTS_BEFORE_FATAL = 8
"""How often flyte may fail with one result, though it is well, before a FATAL takes its place."""
UNCERTAIN_BEFORE_ASKING = 2
"""After so many posts without an answer the audit is asked before the next one."""
LOOK_SECONDS = 1.0
"""How often the journal is asked whether people retried entries."""
FINISHED_STATES = frozenset({"SUCCESS", "FATAL"})


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
        retry_base_seconds: float = RETRY_BASE_SECONDS,
        retry_cap_seconds: float = RETRY_CAP_SECONDS,
        look_seconds: float = LOOK_SECONDS,
        backlog_events: int = BACKLOG_EVENTS,
    ) -> None:
        self._journal = journal
        self._client = client
        self._registrations = registrations
        self._accepted = accepted
        self._now = now
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311  jitter
        self._retry_base_seconds = retry_base_seconds
        self._retry_cap_seconds = retry_cap_seconds
        self._look_seconds = look_seconds
        self._look_at = clock() + look_seconds
        self._changed = threading.Condition()
        self._lanes = Lanes()
        self._attempts: dict[Lane, int] = {}
        self._uncertain: dict[Lane, int] = {}
        self._registered_again: set[Lane] = set()
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
            self._lanes.add(delivery, self._clock())
            self._changed.notify_all()  # one alone could be the drain, which delivers nothing

    def wait_for_room(self, instance: str) -> None:
        """Return when the pack may raise one more event; several at once may pass the limit."""
        with self._changed:
            if not self._is_full(instance):
                return
            log.warning(
                "%d events wait for flyte: the next ones wait to be raised",
                self._backlog_events,
                extra={"pack": instance},
            )
            while self._is_full(instance):
                self._changed.wait()

    def lift_limit(self) -> None:
        """From now on there is room for every event: nobody may wait when the host stops."""
        with self._changed:
            self._unlimited = True
            self._changed.notify_all()

    def _is_full(self, instance: str) -> bool:
        return not self._unlimited and self._lanes.events(instance) >= self._backlog_events

    def waiting(self, instance: str) -> int:
        """How many results and events of the pack flyte does not have yet."""
        with self._changed:
            return self._lanes.waiting(instance)

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
                due = self._next_due()
                if due is not None and due <= now:
                    return partial(self._work, *self._lanes.begin())
                self._changed.wait(min(self._look_at, due or self._look_at) - now)
        return None

    def _next_due(self) -> float | None:
        due = self._lanes.next_due()
        return None if due is None else max(due, self._held_until)

    def _hold(self, seconds: float) -> None:
        """Start nothing while flyte is away, till the next try: thousands of lanes would spin.

        The first that gets through lets all of them go on at once.
        """
        with self._changed:
            if self._held_until <= self._clock():
                self._held_until = self._clock() + seconds

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
            self._lanes.take_up(waiting, self._clock())
            self._changed.notify_all()

    def _work(self, lane: Lane, number: int) -> None:
        pause = self._deliver(lane, number)
        with self._changed:
            if pause is None:
                self._attempts.pop(lane, None)
                self._uncertain.pop(lane, None)
                self._registered_again.discard(lane)
                self._lanes.done(lane, self._clock())
            else:
                self._lanes.again(lane, self._clock() + pause)
            self._changed.notify_all()

    def _deliver(self, lane: Lane, number: int) -> float | None:
        """As :meth:`_try`, whatever happens to the journal meanwhile."""
        try:
            return self._try(lane, number)
        except EntryGone:  # delivered or dropped: it waits no more
            return None
        except JournalClosed:
            log.debug("the host stopped during a delivery; the next start settles it")
        except JournalError as error:
            log.error("a delivery has to be repeated: %s", error)
        except Exception:
            log.exception("a delivery failed in the host itself; it is tried again")
        return self._retry_cap_seconds

    def _try(self, lane: Lane, number: int) -> float | None:
        """Seconds until the next attempt, or None when the entry is delivered or parked."""
        delivery = self._journal.read(lane.kind, number)
        deliver = self._post_result if lane.kind is Kind.RESULT else self._post_event
        try:
            deliver(delivery, lane)
        except FlyteAway as error:
            self._hold(error.retry_in_seconds)
            return self._after_away(error, delivery, lane)
        except FlyteError as error:
            self._held_until = 0.0
            return self._after(error, delivery, lane)
        self._held_until = 0.0
        self._journal.delivered(delivery)
        log.debug("%s accepted by flyte", delivery.kind, extra=_about(delivery))
        self._accepted()
        return None

    def _post_result(self, delivery: Delivery, lane: Lane) -> None:
        if self._uncertain.get(lane, 0) >= UNCERTAIN_BEFORE_ASKING and self._has_arrived(delivery):
            return
        self._client.post_result(delivery.result_href, delivery.body)

    def _has_arrived(self, delivery: Delivery) -> bool:
        """Whether flyte's audit has a result for the action; raises FlyteAway and FlyteFailed."""
        try:
            state = self._client.action_state(delivery.pack, delivery.command, delivery.action_id)
        except FlyteAway as away:  # the question is what did not arrive, not the result
            raise FlyteAway(str(away), away.retry_in_seconds, may_have_arrived=False) from away
        except FlyteFailed:
            raise
        except FlyteError as problem:
            log.debug("cannot ask the audit: %s", problem, extra=_about(delivery))
            return False
        return state in FINISHED_STATES

    def _after_away(self, error: FlyteAway, delivery: Delivery, lane: Lane) -> float | None:
        """No answer: an outage, or a result over which flyte breaks the connection each time.

        The second is told from the first by the audit, which was asked before: it answered.
        """
        if lane.kind is Kind.RESULT and error.may_have_arrived:
            times = self._uncertain[lane] = self._uncertain.get(lane, 0) + 1
            if times >= ATTEMPTS_BEFORE_FATAL:
                self._uncertain[lane] = 0
                return self._replace(error, delivery)
        return error.retry_in_seconds

    def _post_event(self, delivery: Delivery, _lane: Lane) -> None:
        if delivery.instance not in self._registrations:
            raise FlyteRefused(f"no pack {delivery.instance!r} is configured any more")
        try:
            registration = self._registrations.get(delivery.instance)
        except FlyteRefused as error:  # the pack is refused, not the event: that one waits
            raise FlyteFailed(str(error)) from error
        try:
            self._client.post_event(registration, delivery.body)
        except FlyteUnknown:
            self._registrations.forget(delivery.instance, registration)
            raise

    def _after(self, error: FlyteError, delivery: Delivery, lane: Lane) -> float | None:
        attempt = self._attempts[lane] = self._attempts.get(lane, 0) + 1
        pause = self._pause(attempt)
        if attempt == 1:
            log.warning("%s not accepted yet: %s", delivery.kind, error, extra=_about(delivery))
        if isinstance(error, FlyteUnauthorized | FlyteBadAnswer):
            return pause
        if delivery.kind is Kind.EVENT:
            return self._after_event(error, delivery, pause)
        return self._after_result(error, delivery, lane, pause)

    def _after_event(self, error: FlyteError, delivery: Delivery, pause: float) -> float | None:
        if isinstance(error, FlyteRefused):
            self._park(delivery, str(error))
            return None
        return pause

    def _after_result(
        self, error: FlyteError, delivery: Delivery, lane: Lane, pause: float
    ) -> float | None:
        if isinstance(error, FlyteUnknown):
            return self._after_unknown(error, delivery, lane, pause)
        if isinstance(error, FlyteFailed):
            return self._after_failed(error, delivery, lane, pause)
        return self._replace(error, delivery)

    def _after_failed(
        self, error: FlyteFailed, delivery: Delivery, lane: Lane, pause: float
    ) -> float | None:
        """500: flyte has a result already, cannot keep this one, or is ill itself."""
        try:
            arrived = self._has_arrived(delivery)
        except (FlyteAway, FlyteFailed) as ill:
            log.debug("flyte is ill, its audit too: %s", ill, extra=_about(delivery))
            return pause
        if arrived:  # one of ours whose answer was lost
            self._journal.delivered(delivery)
            log.info("result had arrived already", extra=_about(delivery))
            self._accepted()
            return None
        if self._attempts[lane] < ATTEMPTS_BEFORE_FATAL:
            return pause
        return self._replace(error, delivery)

    def _after_unknown(
        self, error: FlyteError, delivery: Delivery, lane: Lane, pause: float
    ) -> float | None:
        """404 is an unknown pack or an unknown action: register anew, then it is the action."""
        if lane in self._registered_again or delivery.instance not in self._registrations:
            self._park(delivery, f"flyte does not know the action: {error}")
            return None
        try:
            self._registrations.get(delivery.instance, not_older_than_seconds=0)
        except FlyteError as problem:
            log.warning("cannot register again: %s", problem, extra=_about(delivery))
            return pause
        self._registered_again.add(lane)
        return self._retry_base_seconds

    def _replace(self, error: FlyteError, delivery: Delivery) -> float | None:
        """A result that flyte will not have still ends its action: as a FATAL that says why."""
        if delivery.replaced:
            self._park(delivery, f"flyte accepts no result for it: {error}")
            return None
        text = f"the result of {delivery.command!r} was not accepted by flyte: {error}"
        self._journal.finish(delivery.number, encode_fatal(text, self._now()), replaced=True)
        log.error("result replaced by FATAL: %s", error, extra=_about(delivery))
        return self._retry_base_seconds

    def _park(self, delivery: Delivery, reason: str) -> None:
        self._journal.park(delivery, reason)
        log.error("%s parked: %s", delivery.kind, reason, extra=_about(delivery))

    def _pause(self, attempt: int) -> float:
        base = self._retry_base_seconds
        ceiling = min(self._retry_cap_seconds, base * 2 ** min(attempt, 16))
        return self._rng.uniform(base / 2, ceiling)


def _about(delivery: Delivery) -> dict[str, str]:
    fields = {"pack": delivery.instance}
    if delivery.kind is Kind.RESULT:
        fields |= {"command": delivery.command, "action": delivery.action_id}
    return fields

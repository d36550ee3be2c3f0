"""Attempts at delivering a result or an event, and what flyte's answer means for the next one.

Owns the meaning of each refusal, and what it has to remember of an entry between attempts. Must not
know threads or when the next attempt is made.
"""

import logging
from dataclasses import dataclass

from flyte_host.client.flyte_client import FlyteClient
from flyte_host.client.registrations import Registrations
from flyte_host.client.wire import FINISHED_STATES, encode_fatal, event_name
from flyte_host.clock import Clock
from flyte_host.counters import Counters
from flyte_host.errors import (
    FlyteAway,
    FlyteBadAnswer,
    FlyteError,
    FlyteFailed,
    FlyteFinished,
    FlyteRefused,
    FlyteUnauthorized,
    FlyteUnknown,
)
from flyte_host.model import Registration
from flyte_host.pipeline.action_fields import about_action
from flyte_host.pipeline.journal import (
    Delivery,
    EntryGone,
    Journal,
    JournalClosed,
    JournalError,
    Kind,
    Owed,
)
from flyte_host.pipeline.schedule.schedule import Schedule
from flyte_host.traceparent import trace_id_of
from flyte_host.wait import Steps, stand_still

log = logging.getLogger(__name__)

RETRY_BASE_SECONDS = 0.5
RETRY_CAP_SECONDS = 60.0
ATTEMPTS_BEFORE_FATAL = 8
"""How often a healthy flyte may fail on a result before a FATAL takes its place."""
UNCERTAIN_BEFORE_ASKING = 2
"""After this many posts without an answer the audit is asked before the next one."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of an attempt.

    ``pause_seconds`` is the time until the next attempt; None: there is none, since the entry is
    delivered or parked. ``away``: flyte gave no answer, so nothing else can be delivered either.
    """

    pause_seconds: float | None
    away: bool = False
    arrived: bool = False


ARRIVED = Verdict(None, arrived=True)
PARKED = Verdict(None)


@dataclass(slots=True)
class _History:
    attempts: int = 0
    failures: int = 0
    uncertain: int = 0
    registered_again: bool = False
    told: bool = False


class Attempts:
    """Safe in any thread, as long as an entry is in one at a time."""

    def __init__(
        self,
        journal: Journal,
        client: FlyteClient,
        registrations: Registrations,
        schedule: Schedule,
        clock: Clock,
        *,
        counters: Counters,
        retry_base_seconds: float = RETRY_BASE_SECONDS,
        retry_cap_seconds: float = RETRY_CAP_SECONDS,
    ) -> None:
        self._journal = journal
        self._client = client
        self._registrations = registrations
        self._clock = clock
        self._counters = counters
        self._schedule = schedule
        self._retry_base_seconds = retry_base_seconds
        self._retry_cap_seconds = retry_cap_seconds
        self._histories: dict[Owed, _History] = {}

    def forget(self, owed: Owed) -> None:
        """Forget the earlier attempts at an entry that no longer waits."""
        self._histories.pop(owed, None)

    def attempt(self, entry: Delivery | Owed) -> Steps[Verdict]:
        """Deliver the entry, or find out what to do about it, whatever happens meanwhile."""
        try:
            delivery = entry if isinstance(entry, Delivery) else self._journal.read(entry)
            verdict = yield from self._deliver(delivery)
        except EntryGone:  # delivered or dropped: it no longer waits
            return PARKED
        except GeneratorExit:  # the host has ended
            raise
        except BaseException as error:  # else its entry would be under way forever
            _tell_failure(error)
            verdict = Verdict(self._retry_cap_seconds)
        if verdict.pause_seconds is not None:
            self._counters.delivered(entry.pack_key, entry.kind, "retried")
        return verdict

    def _deliver(self, delivery: Delivery) -> Steps[Verdict]:
        known = self._registrations.known(delivery.pack_key)
        try:
            if delivery.kind is Kind.RESULT:
                yield from self._post_result(delivery)
            else:
                self._post_event(delivery)
        except FlyteAway as error:
            return self._after_away(error, delivery)
        except FlyteError as error:
            return self._after(error, delivery, known)
        log.debug("%s accepted by flyte", delivery.kind, extra=_about(delivery))
        return (yield from self._delivered(delivery))

    def pause_seconds(self, attempts: int) -> float:
        """How long to wait after this number of failed attempts."""
        base = self._retry_base_seconds
        ceiling = min(self._retry_cap_seconds, base * 2 ** min(attempts, 16))
        return self._clock.rng.uniform(base / 2, ceiling)

    def _history(self, delivery: Delivery) -> _History:
        return self._histories.setdefault(delivery.owed, _History())

    def _post_result(self, delivery: Delivery) -> Steps[None]:
        history = self._histories.get(delivery.owed)
        is_uncertain = history is not None and history.uncertain >= UNCERTAIN_BEFORE_ASKING
        if is_uncertain and self._has_arrived(delivery):
            return
        yield from self._client.posting_result(delivery.result_href, delivery.body, delivery.trace)

    def _has_arrived(self, delivery: Delivery) -> bool:
        """Whether flyte's audit has a result for the action; raises FlyteAway and FlyteFailed."""
        try:
            state = self._client.action_state(delivery.pack, delivery.command, delivery.action_id)
        except FlyteAway as away:  # the question is what did not arrive, not the result
            raise FlyteAway(str(away), away.retry_in_seconds, may_have_arrived=False) from away
        except FlyteFailed:
            raise
        except FlyteError as problem:
            log.debug("cannot read flyte's audit: %s", problem, extra=_about(delivery))
            return False
        return state in FINISHED_STATES

    def _post_event(self, delivery: Delivery) -> None:
        if delivery.pack_key not in self._registrations:
            raise FlyteRefused(f"pack {delivery.pack_key!r} is no longer configured")
        try:
            registration = self._registrations.get(delivery.pack_key)
        except FlyteRefused as error:  # the pack is refused, not the event: that one waits
            raise FlyteFailed(str(error)) from error
        try:
            self._client.post_event(registration, delivery.body, delivery.trace)
        except FlyteUnknown:
            self._registrations.forget(delivery.pack_key, registration)
            raise

    def _after_away(self, error: FlyteAway, delivery: Delivery) -> Verdict:
        """No answer: an outage, or a result over which flyte breaks the connection each time.

        The audit tells the two apart: it was asked before the post, and answered.
        """
        if delivery.kind is Kind.RESULT and error.may_have_arrived:
            history = self._history(delivery)
            history.uncertain += 1
            if history.uncertain >= ATTEMPTS_BEFORE_FATAL:
                history.uncertain = 0
                return self._replace(error, delivery)
        if self._client.outage.since is not None:
            return Verdict(error.retry_in_seconds, away=True)
        # flyte is back already, or the link leads elsewhere: only this entry has to wait.
        return self._retry(error, delivery)

    def _after(self, error: FlyteError, delivery: Delivery, known: Registration | None) -> Verdict:
        if isinstance(error, FlyteUnauthorized | FlyteBadAnswer):
            return self._retry(error, delivery)
        if delivery.kind is Kind.EVENT:
            if isinstance(error, FlyteRefused):
                return self._park(delivery, str(error))
            return self._retry(error, delivery)
        if isinstance(error, FlyteUnknown):
            return self._after_unknown(error, delivery, known)
        if isinstance(error, FlyteFailed):
            return self._after_failed(error, delivery)
        return self._replace(error, delivery)

    def _after_failed(self, error: FlyteFailed, delivery: Delivery) -> Verdict:
        """500: flyte has a result already, cannot keep this one, or has a problem itself."""
        try:
            arrived = isinstance(error, FlyteFinished) or self._has_arrived(delivery)
        except (FlyteAway, FlyteFailed) as problem:
            log.debug(
                "flyte failed, and its audit cannot be read either: %s",
                problem,
                extra=_about(delivery),
            )
            return self._retry(error, delivery)
        if arrived:  # an earlier attempt, whose answer was lost
            log.info("the result had already arrived", extra=_about(delivery))
            return stand_still(self._delivered(delivery))
        history = self._history(delivery)
        history.failures += 1
        if history.failures < ATTEMPTS_BEFORE_FATAL:
            return self._retry(error, delivery)
        return self._replace(error, delivery)

    def _after_unknown(
        self, error: FlyteUnknown, delivery: Delivery, known: Registration | None
    ) -> Verdict:
        """404: flyte does not know the pack or the action. With the pack registered again, 404 is
        about the action.
        """
        history = self._history(delivery)
        if history.registered_again or delivery.pack_key not in self._registrations:
            return self._park(delivery, f"flyte does not know the action: {error}")
        try:
            self._registrations.renew(delivery.pack_key, known)
        except FlyteError as problem:
            log.warning("cannot register again: %s", problem, extra=_about(delivery))
            history.attempts += 1
            return Verdict(self.pause_seconds(history.attempts))
        history.registered_again = True
        return Verdict(self._retry_base_seconds)

    def _retry(self, error: FlyteError, delivery: Delivery) -> Verdict:
        history = self._history(delivery)
        history.attempts += 1
        # The log already says that flyte forgot the pack; its event waits for the registration.
        if not history.told and not (isinstance(error, FlyteUnknown) and history.attempts == 1):
            history.told = True
            log.warning("%s not accepted yet: %s", delivery.kind, error, extra=_about(delivery))
        return Verdict(self.pause_seconds(history.attempts))

    def _replace(self, error: FlyteError, delivery: Delivery) -> Verdict:
        """End the action anyway, with a FATAL that says why flyte refused its result."""
        if delivery.replaced:
            return self._park(delivery, f"flyte accepts no result for it: {error}")
        text = f"the result of {delivery.command!r} was not accepted by flyte: {error}"
        self._journal.replace(delivery, encode_fatal(text, self._clock.now()))
        log.error("result replaced by FATAL: %s", error, extra=_about(delivery))
        return Verdict(self._retry_base_seconds)

    def _delivered(self, delivery: Delivery) -> Steps[Verdict]:
        yield from self._journal.delivering(delivery)
        self._counters.delivered(delivery.pack_key, delivery.kind, "accepted")
        if delivery.owed in self._histories and self._histories[delivery.owed].told:
            log.info("%s accepted after all", delivery.kind, extra=_about(delivery))
        self._schedule.hint(delivery.pack_key)
        return ARRIVED

    def _park(self, delivery: Delivery, reason: str) -> Verdict:
        self._journal.park(delivery, reason)
        self._counters.delivered(delivery.pack_key, delivery.kind, "parked")
        log.error("%s parked: %s", delivery.kind, reason, extra=_about(delivery))
        return PARKED


def _tell_failure(error: BaseException) -> None:
    if isinstance(error, JournalClosed):
        log.debug("the host stopped during a delivery; the next start repeats it")
    elif isinstance(error, JournalError):
        log.error("a delivery will be repeated: %s", error)
    else:
        log.error("internal error in a delivery, which will be repeated", exc_info=error)


def _about(delivery: Delivery) -> dict[str, str]:
    if delivery.kind is Kind.RESULT:
        return about_action(
            delivery.pack_key, delivery.command, delivery.action_id, delivery.step, delivery.trace
        )
    fields = {"pack": delivery.pack_key, "event": event_name(delivery.body)}
    return fields | {"trace": trace_id_of(delivery.trace)} if delivery.trace else fields

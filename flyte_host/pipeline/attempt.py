"""One attempt at delivering a result or an event, and what flyte's answer means for the next.

Owns the meaning of each refusal, and what it has to remember of a lane between attempts. Must not
know threads, nor when the next attempt is made.
"""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flyte_host.client import FlyteClient
from flyte_host.client.registrations import Registrations
from flyte_host.client.wire import encode_fatal
from flyte_host.counters import Counters
from flyte_host.errors import (
    FlyteAway,
    FlyteBadAnswer,
    FlyteError,
    FlyteFailed,
    FlyteRefused,
    FlyteUnauthorized,
    FlyteUnknown,
)
from flyte_host.pipeline.journal import Delivery, Journal, Kind
from flyte_host.pipeline.lanes import Lane

log = logging.getLogger(__name__)

RETRY_BASE_SECONDS = 0.5
RETRY_CAP_SECONDS = 60.0
ATTEMPTS_BEFORE_FATAL = 8
"""How often flyte may fail with one result, though it is well, before a FATAL takes its place."""
UNCERTAIN_BEFORE_ASKING = 2
"""After so many posts without an answer the audit is asked before the next one."""
FINISHED_STATES = frozenset({"SUCCESS", "FATAL"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """``pause_seconds`` until the next attempt, None when the entry is delivered or parked.

    ``away_seconds``: flyte gave no answer, so nothing else can be delivered before then either.
    """

    pause_seconds: float | None
    away_seconds: float | None = None


class Posting:
    """Safe in any thread, as long as a lane is in one at a time."""

    def __init__(
        self,
        journal: Journal,
        client: FlyteClient,
        registrations: Registrations,
        counts: Counters,
        *,
        accepted: Callable[[], None],
        now: Callable[[], datetime],
        rng: random.Random,
        retry_base_seconds: float = RETRY_BASE_SECONDS,
        retry_cap_seconds: float = RETRY_CAP_SECONDS,
    ) -> None:
        self._journal = journal
        self._client = client
        self._registrations = registrations
        self._counts = counts
        self._accepted = accepted
        self._now = now
        self._rng = rng
        self._retry_base_seconds = retry_base_seconds
        self._retry_cap_seconds = retry_cap_seconds
        self._attempts: dict[Lane, int] = {}
        self._uncertain: dict[Lane, int] = {}
        self._registered_again: set[Lane] = set()

    def forget(self, lane: Lane) -> None:
        """The head of the lane waits no more: the next one starts anew."""
        self._attempts.pop(lane, None)
        self._uncertain.pop(lane, None)
        self._registered_again.discard(lane)

    def attempt(self, lane: Lane, number: int) -> Verdict:
        """Deliver the entry, or find out what to do about it; raises what the journal raises."""
        delivery = self._journal.read(lane.kind, number)
        deliver = self._post_result if lane.kind is Kind.RESULT else self._post_event
        try:
            deliver(delivery, lane)
        except FlyteAway as error:
            return Verdict(self._after_away(error, delivery, lane), error.retry_in_seconds)
        except FlyteError as error:
            return Verdict(self._after(error, delivery, lane))
        self._delivered(delivery)
        log.debug("%s accepted by flyte", delivery.kind, extra=_about(delivery))
        return Verdict(None)

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
        if delivery.pack_key not in self._registrations:
            raise FlyteRefused(f"no pack {delivery.pack_key!r} is configured any more")
        try:
            registration = self._registrations.get(delivery.pack_key)
        except FlyteRefused as error:  # the pack is refused, not the event: that one waits
            raise FlyteFailed(str(error)) from error
        try:
            self._client.post_event(registration, delivery.body)
        except FlyteUnknown:
            self._registrations.forget(delivery.pack_key, registration)
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
            self._delivered(delivery)
            log.info("result had arrived already", extra=_about(delivery))
            return None
        if self._attempts[lane] < ATTEMPTS_BEFORE_FATAL:
            return pause
        return self._replace(error, delivery)

    def _after_unknown(
        self, error: FlyteError, delivery: Delivery, lane: Lane, pause: float
    ) -> float | None:
        """404 is an unknown pack or an unknown action: register anew, then it is the action."""
        if lane in self._registered_again or delivery.pack_key not in self._registrations:
            self._park(delivery, f"flyte does not know the action: {error}")
            return None
        try:
            self._registrations.get(delivery.pack_key, not_older_than_seconds=0)
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

    def _delivered(self, delivery: Delivery) -> None:
        self._journal.delivered(delivery)
        self._counts.delivered(delivery.pack_key, delivery.kind, "accepted")
        self._accepted()

    def _park(self, delivery: Delivery, reason: str) -> None:
        self._journal.park(delivery, reason)
        self._counts.delivered(delivery.pack_key, delivery.kind, "parked")
        log.error("%s parked: %s", delivery.kind, reason, extra=_about(delivery))

    def _pause(self, attempt: int) -> float:
        base = self._retry_base_seconds
        ceiling = min(self._retry_cap_seconds, base * 2 ** min(attempt, 16))
        return self._rng.uniform(base / 2, ceiling)


def _about(delivery: Delivery) -> dict[str, str]:
    fields = {"pack": delivery.pack_key}
    if delivery.kind is Kind.RESULT:
        fields |= {"command": delivery.command, "action": delivery.action_id}
    return fields

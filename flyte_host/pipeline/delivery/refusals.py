"""What it means when flyte does not accept a result or an event.

Owns the meaning of each refusal, and what it has to remember of an entry between attempts. Must not
know when the next attempt is made.
"""

import logging
from dataclasses import dataclass

from flyte_host.client.flyte_client import FlyteClient
from flyte_host.client.registrations import Registrations
from flyte_host.client.wire import FINISHED_STATES, encode_fatal
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
from flyte_host.pipeline.delivery.retry_pauses import RetryPauses
from flyte_host.pipeline.delivery.verdict import ARRIVED, PARKED, Verdict
from flyte_host.pipeline.journal import Delivery, Journal, Kind, Owed

log = logging.getLogger(__name__)

ATTEMPTS_BEFORE_FATAL = 8
"""How often a healthy flyte may fail on a result before a FATAL takes its place."""
UNCERTAIN_BEFORE_ASKING = 2
"""After this many posts without an answer the audit is asked before the next one."""


@dataclass(slots=True)
class _History:
    attempts: int = 0
    failures: int = 0
    uncertain: int = 0
    registered_again: bool = False
    told: bool = False


class Refusals:
    """Safe in any thread, as long as an entry is in one at a time."""

    def __init__(
        self,
        journal: Journal,
        client: FlyteClient,
        registrations: Registrations,
        clock: Clock,
        counters: Counters,
        *,
        pauses: RetryPauses | None = None,
    ) -> None:
        self._journal = journal
        self._client = client
        self._registrations = registrations
        self._clock = clock
        self._counters = counters
        self.pauses = pauses or RetryPauses()
        self._histories: dict[Owed, _History] = {}

    def judge(self, error: FlyteError, delivery: Delivery, known: Registration | None) -> Verdict:
        """What to do about the entry; the journal must still note one that has ``arrived`` anyway.

        ``known`` is the registration of its pack as it was before the attempt.
        """
        if isinstance(error, FlyteAway):
            return self._after_away(error, delivery)
        if isinstance(error, FlyteUnauthorized | FlyteBadAnswer):
            return self._retry(error, delivery)
        if delivery.kind is Kind.EVENT:
            is_final = isinstance(error, FlyteRefused)
            return self._park(delivery, str(error)) if is_final else self._retry(error, delivery)
        if isinstance(error, FlyteUnknown):
            return self._after_unknown(error, delivery, known)
        if isinstance(error, FlyteFailed):
            return self._after_failed(error, delivery)
        return self._replace(error, delivery)

    def is_uncertain(self, owed: Owed) -> bool:
        """Whether the entry may have arrived, since posts of it had no answer."""
        history = self._histories.get(owed)
        return history is not None and history.uncertain >= UNCERTAIN_BEFORE_ASKING

    def has_arrived(self, delivery: Delivery) -> bool:
        """Whether flyte's audit has a result for the action; raises FlyteAway and FlyteFailed."""
        try:
            state = self._client.action_state(delivery.pack, delivery.command, delivery.action_id)
        except FlyteAway as away:  # the question is what did not arrive, not the result
            raise FlyteAway(str(away), away.retry_in_seconds, may_have_arrived=False) from away
        except FlyteFailed:
            raise
        except FlyteError as problem:
            log.debug("cannot read flyte's audit: %s", problem, extra=delivery.about)
            return False
        return state in FINISHED_STATES

    def is_told(self, owed: Owed) -> bool:
        """Whether the log says that the entry is not accepted yet."""
        history = self._histories.get(owed)
        return history is not None and history.told

    def forget(self, owed: Owed) -> None:
        """Forget the earlier attempts at an entry that no longer waits."""
        self._histories.pop(owed, None)

    def _history(self, delivery: Delivery) -> _History:
        return self._histories.setdefault(delivery.owed, _History())

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

    def _after_failed(self, error: FlyteFailed, delivery: Delivery) -> Verdict:
        """500: flyte has a result already, cannot keep this one, or has a problem itself."""
        try:
            arrived = isinstance(error, FlyteFinished) or self.has_arrived(delivery)
        except (FlyteAway, FlyteFailed) as problem:
            log.debug(
                "flyte failed, and its audit cannot be read either: %s",
                problem,
                extra=delivery.about,
            )
            return self._retry(error, delivery)
        if arrived:  # an earlier attempt, whose answer was lost
            log.info("the result had already arrived", extra=delivery.about)
            return ARRIVED
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
            log.warning("cannot register again: %s", problem, extra=delivery.about)
            return self._wait(history)
        history.registered_again = True
        return Verdict(self.pauses.first_seconds)

    def _retry(self, error: FlyteError, delivery: Delivery) -> Verdict:
        history = self._history(delivery)
        # The log already says that flyte forgot the pack; its event waits for the registration.
        if not history.told and not (isinstance(error, FlyteUnknown) and not history.attempts):
            history.told = True
            log.warning("%s not accepted yet: %s", delivery.kind, error, extra=delivery.about)
        return self._wait(history)

    def _wait(self, history: _History) -> Verdict:
        history.attempts += 1
        return Verdict(self.pauses.after(history.attempts, self._clock.rng))

    def _replace(self, error: FlyteError, delivery: Delivery) -> Verdict:
        """End the action anyway, with a FATAL that says why flyte refused its result."""
        if delivery.replaced:
            return self._park(delivery, f"flyte accepts no result for it: {error}")
        text = f"the result of {delivery.command!r} was not accepted by flyte: {error}"
        self._journal.replace(delivery, encode_fatal(text, self._clock.now()))
        log.error("result replaced by FATAL: %s", error, extra=delivery.about)
        return Verdict(self.pauses.first_seconds)

    def _park(self, delivery: Delivery, reason: str) -> Verdict:
        self._journal.park(delivery, reason)
        self._counters.delivered(delivery.pack_key, delivery.kind, "parked")
        log.error("%s parked: %s", delivery.kind, reason, extra=delivery.about)
        return PARKED

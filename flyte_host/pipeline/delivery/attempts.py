"""Attempts at delivering a result or an event.

Owns the way of an entry to flyte, and what happens once it has arrived. What it means when flyte
does not accept it is in ``refusals``. Must not know threads or when the next attempt is made.
"""

import logging

from flyte_host.client.flyte_client import FlyteClient
from flyte_host.client.registrations import Registrations
from flyte_host.counters import Counters
from flyte_host.errors import FlyteError, FlyteFailed, FlyteRefused, FlyteUnknown
from flyte_host.pipeline.delivery.refusals import Refusals
from flyte_host.pipeline.delivery.verdict import ARRIVED, PARKED, Verdict
from flyte_host.pipeline.journal import (
    Delivery,
    EntryGone,
    Journal,
    JournalClosed,
    JournalError,
    Kind,
    Owed,
)
from flyte_host.pipeline.schedule.hints import Hints
from flyte_host.wait import Steps

log = logging.getLogger(__name__)


class Attempts:
    """Safe in any thread, as long as an entry is in one at a time."""

    def __init__(
        self,
        journal: Journal,
        client: FlyteClient,
        registrations: Registrations,
        hints: Hints,
        counters: Counters,
        *,
        refusals: Refusals,
    ) -> None:
        self._journal = journal
        self._client = client
        self._registrations = registrations
        self._hints = hints
        self._counters = counters
        self._refusals = refusals

    def attempt(self, entry: Delivery | Owed) -> Steps[Verdict]:
        """Deliver the entry, or find out what to do about it, whatever happens meanwhile."""
        try:
            delivery = entry if isinstance(entry, Delivery) else self._journal.read(entry)
            verdict = yield from self._deliver(delivery)
        except EntryGone:  # delivered or dropped: it no longer waits
            verdict = PARKED
        except GeneratorExit:  # the host has ended
            raise
        except BaseException as error:  # else its entry would be under way forever
            _tell_failure(error)
            verdict = Verdict(self._refusals.pauses.longest_seconds)
        if verdict.pause_seconds is None:
            self._refusals.forget(entry if isinstance(entry, Owed) else entry.owed)
        else:
            self._counters.delivered(entry.pack_key, entry.kind, "retried")
        return verdict

    def _deliver(self, delivery: Delivery) -> Steps[Verdict]:
        known = self._registrations.known(delivery.pack_key)
        try:
            if delivery.kind is Kind.RESULT:
                yield from self._post_result(delivery)
            else:
                self._post_event(delivery)
        except FlyteError as error:
            verdict = self._refusals.judge(error, delivery, known)
            if not verdict.arrived:
                return verdict
        else:
            log.debug("%s accepted by flyte", delivery.kind, extra=delivery.about)
        return (yield from self._delivered(delivery))

    def _post_result(self, delivery: Delivery) -> Steps[None]:
        refusals = self._refusals
        if refusals.is_uncertain(delivery.owed) and refusals.has_arrived(delivery):
            return
        yield from self._client.posting_result(delivery.result_href, delivery.body, delivery.trace)

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

    def _delivered(self, delivery: Delivery) -> Steps[Verdict]:
        yield from self._journal.delivering(delivery)
        self._counters.delivered(delivery.pack_key, delivery.kind, "accepted")
        if self._refusals.is_told(delivery.owed):
            log.info("%s accepted after all", delivery.kind, extra=delivery.about)
        self._hints.give(delivery.pack_key)
        return ARRIVED


def _tell_failure(error: BaseException) -> None:
    if isinstance(error, JournalClosed):
        log.debug("the host stopped during a delivery; the next start repeats it")
    elif isinstance(error, JournalError):
        log.error("a delivery will be repeated: %s", error)
    else:
        log.error("internal error in a delivery, which will be repeated", exc_info=error)

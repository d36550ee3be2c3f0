"""Tells hosts, other flytes and the log what an event led to, once that is committed.

Owns the log lines about it, and who hears what: hosts for which an action waits, other flytes on
the store, the log of decisions. Must not know why a step runs.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from flyte_host.embedded.announcements import (
    ActionWaits,
    Announcement,
    EventUnheard,
    PackDeleted,
    PacksChanged,
    StepsDeclined,
)
from flyte_host.embedded.decision_log import DecisionLog
from flyte_host.embedded.executions import Executions
from flyte_host.embedded.model import Decision, NewAction, PackEvent, PackIdentity, SkippedStep
from flyte_host.embedded.store import Store
from flyte_host.text import counted
from flyte_host.traceparent import trace_id_of

log = logging.getLogger("flyte_host.embedded")


class Waker(Protocol):
    """Wants to know at once that an action waits for a pack, or that flyte deleted the pack."""

    def wake(self, pack_name: str, labels: Mapping[str, str]) -> None: ...


class Herald:
    """Safe from any thread.

    ``on_event`` gets the pack id, the name and the payload of each event and result.
    """

    def __init__(
        self,
        store: Store,
        executions: Executions,
        kept: DecisionLog,
        *,
        wakers: Sequence[Waker] = (),
        on_event: Callable[[str, str, Any], None] | None = None,
    ) -> None:
        self._store = store
        self._executions = executions
        self._kept = kept
        self._wakers = wakers
        self._on_event = on_event

    def tell(self, event: PackEvent, decisions: Sequence[Decision]) -> None:
        """Tell everybody what the flows decided on an event or a result."""
        number = sum(each.makes_something for each in decisions)
        acting = counted(number, "flow acts", "flows act")
        log.debug(
            "event %s of pack %s: %s",
            event.name,
            event.pack.id,
            acting,
            extra={"event": event.name},
        )
        if self._on_event is not None:
            _call_listener(self._on_event, event.pack.id, event.name, event.payload)
        declined: list[StepsDeclined] = []
        for decision in decisions:
            if kept := self._kept.keep(decision):
                declined.append(StepsDeclined(kept))
            for step in decision.skipped:
                _log_skipped(decision, step)
            for action in decision.actions:
                self._tell_queued(decision, action)
                self._wake(action.pack_name, action.pack_labels)
        self._store.announce(declined)

    def tell_unheard(self, event: PackEvent) -> None:
        """No flow waits for the event."""
        self._store.announce([EventUnheard(self._kept.keep_unheard(event))])

    def tell_deleted(self, pack: PackIdentity) -> None:
        """Wake the host that serves a pack which was deleted, so that it registers it again."""
        log.info("deleted pack %s", pack.id)
        self._wake(pack.name, pack.labels)

    def tell_of_waiting(self) -> None:
        """Tell the wakers of all waiting actions, whichever flyte made them."""
        for pack_name, labels in self._executions.waiting():
            self._wake(pack_name, labels)

    def hear(self, announcement: Announcement | None) -> None:
        """Take in what another flyte on the store announces; None: anything may have happened."""
        match announcement:
            case ActionWaits(pack_name, labels):
                self._wake(pack_name, labels)
            case StepsDeclined(declined):
                self._kept.add(declined)
            case EventUnheard(unheard):
                self._kept.add_unheard(unheard)
            case PacksChanged():
                self._store.packs.forget_commands()
            case PackDeleted(pack_name, labels):
                self._store.packs.forget_commands()
                self._wake(pack_name, labels)
            case None:
                self._store.packs.forget_commands()
                self.tell_of_waiting()

    def _tell_queued(self, decision: Decision, action: NewAction) -> None:
        fields = _about(decision, action.step_id) | {"command": action.name, "action": action.id}
        log.info(
            "flow %s, step %r: queued %s for pack %s",
            decision.flow_name,
            action.step_id,
            action.name,
            action.pack_name,
            extra=fields,
        )
        if problem := self._why_unserved(action):
            log.warning(
                "flow %s, step %r: the action waits: %s",
                decision.flow_name,
                action.step_id,
                problem,
                extra=fields,
            )

    def _why_unserved(self, action: NewAction) -> str:
        return self._store.packs.why_nobody_serves(
            action.pack_name, action.pack_labels, action.name
        )

    def _wake(self, pack_name: str, labels: Mapping[str, str]) -> None:
        for waker in self._wakers:
            _call_listener(waker.wake, pack_name, labels)


def _call_listener(listener: Callable[..., None], *values: Any) -> None:
    # By now everything is committed: a listener that fails cannot undo it.
    try:
        listener(*values)
    except Exception:
        log.exception("a listener failed on %r", values[:2])


def _log_skipped(decision: Decision, step: SkippedStep) -> None:
    log.warning(
        "flow %s, step %r skipped on event %s of pack %s: %s",
        decision.flow_name,
        step.step_id,
        decision.trigger.name,
        decision.trigger.pack.id,
        step.reason,
        extra=_about(decision, step.step_id),
    )


def _about(decision: Decision, step_id: str) -> dict[str, str]:
    """The fields of a log line about a step."""
    fields = {
        "flow": decision.flow_name,
        "step": step_id,
        "execution": decision.correlation_id,
        "event": decision.trigger.name,
    }
    if trace := decision.trigger.trace:
        fields["trace"] = trace_id_of(trace)
    return fields

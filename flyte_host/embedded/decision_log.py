"""Steps that an event did not start, and events that no flow waits for.

Keeps the latest in memory: people look for what happened a moment ago. Must not know why a step
does not run.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from threading import Lock
from typing import NamedTuple

import msgspec

from flyte_host.embedded.model import Decision, PackEvent

KEPT_OF_FLOW = 50
KEPT_FLOWS = 1_000
KEPT_UNHEARD = 200
LARGEST_PAYLOAD_BYTES = 4_096
PAYLOAD_LEFT_OUT = "(left out: {} bytes)"


class KeptDecision(NamedTuple):
    """A step that ``event`` did not start; ``correlation_id`` is empty if no execution began."""

    flow_name: str
    correlation_id: str
    step_id: str
    event: PackEvent
    reason: str
    time: datetime


class UnheardEvent(NamedTuple):
    """An event that no flow waits for."""

    event: PackEvent
    time: datetime


class DecisionLog:
    """Safe from any thread. A restart forgets everything, including what other flytes announced."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._decisions: OrderedDict[str, deque[KeptDecision]] = OrderedDict()
        self._unheard: deque[UnheardEvent] = deque(maxlen=KEPT_UNHEARD)

    def keep(self, decision: Decision) -> Sequence[KeptDecision]:
        """Keep the steps that were declined, if there are any; returns what is kept."""
        if not decision.declined:
            return ()
        event, time = _shortened(decision.trigger), decision.trigger.received_at
        has_execution = bool(decision.actions or decision.skipped or not decision.is_new)
        correlation_id = decision.correlation_id if has_execution else ""
        kept = [
            KeptDecision(decision.flow_name, correlation_id, it.step_id, event, it.reason, time)
            for it in decision.declined
        ]
        self.add(kept)
        return kept

    def add(self, kept: Sequence[KeptDecision]) -> None:
        """Keep decisions on steps of one flow."""
        flow_name = kept[0].flow_name
        with self._lock:
            self._decisions.setdefault(flow_name, deque(maxlen=KEPT_OF_FLOW)).extend(kept)
            self._decisions.move_to_end(flow_name)
            if len(self._decisions) > KEPT_FLOWS:
                self._decisions.popitem(last=False)

    def keep_unheard(self, event: PackEvent) -> UnheardEvent:
        unheard = UnheardEvent(_shortened(event), event.received_at)
        self.add_unheard(unheard)
        return unheard

    def add_unheard(self, unheard: UnheardEvent) -> None:
        with self._lock:
            self._unheard.append(unheard)

    def decisions(self, flow_name: str = "") -> Sequence[KeptDecision]:
        """Those of a flow, or all, newest first."""
        with self._lock:
            flows = [flow_name] if flow_name else list(self._decisions)
            found = [each for flow in flows for each in self._decisions.get(flow, ())]
        return sorted(found, key=lambda kept: kept.time, reverse=True)

    def of_execution(self, flow_name: str, correlation_id: str) -> Sequence[KeptDecision]:
        """Those of an execution, oldest first."""
        with self._lock:
            kept = list(self._decisions.get(flow_name, ()))
        return [each for each in kept if each.correlation_id == correlation_id]

    def unheard(self) -> Sequence[UnheardEvent]:
        """Newest first."""
        with self._lock:
            return list(reversed(self._unheard))


def _shortened(event: PackEvent) -> PackEvent:
    """The event, without its payload if that is large."""
    size = len(msgspec.json.encode(event.payload))
    if size <= LARGEST_PAYLOAD_BYTES:
        return event
    return replace(event, payload=PAYLOAD_LEFT_OUT.format(size))

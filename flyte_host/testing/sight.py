"""What a test can see of flyte and its hosts, in words, for a wait that gives up.

Owns the words. Pure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from flyte_host.clock import utc_now
from flyte_host.records.execution_record import ExecutionRecord
from flyte_host.records.explanation import explain_steps
from flyte_host.records.missed_record import MissedRecord
from flyte_host.records.pack_record import PackRecord
from flyte_host.testing.heard_event import show

MOST_EVENTS = 20


@dataclass(frozen=True, slots=True)
class Sight:
    """Everything at one moment; ``events`` are (pack id, event, payload)."""

    packs: Sequence[PackRecord]
    executions: Sequence[ExecutionRecord]
    events: Sequence[tuple[str, str, Any]]
    missed: MissedRecord
    log: Sequence[str]

    def describe(self) -> str:
        """A line for each thing seen, to go below the sentence about what was not."""
        return "".join(f"\n  {line}" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"packs: {', '.join(pack.id for pack in self.packs) or 'none is registered'}"
        yield from self._events()
        yield from self._actions()
        yield from self._unheard()
        for line in self.log:
            yield f"host's log: {line}"

    def _events(self) -> Iterator[str]:
        if not self.events:
            yield "events: none"
        for pack, event, payload in self.events[-MOST_EVENTS:]:
            yield f"event: {pack} {event} {show(payload)}"

    def _actions(self) -> Iterator[str]:
        now = utc_now()
        for execution in self.executions:
            for step in explain_steps(execution, self.packs, now):
                yield f"{execution.name}, step {step.step}: {step.did}: {step.why}"

    def _unheard(self) -> Iterator[str]:
        for each in self.missed.decisions or ():
            if not each.correlation_id:
                yield f"{each.flow}, step {each.step_id}: on {each.event.title}: {each.reason}"
        for heard in self.missed.unheard or ():
            yield f"no flow waits for {heard.event.title}{heard.nearest}"

"""The outcome of one event: the executions that it started, and the steps that it did not.

Owns which event is the last of its name, and the lines about it. Must not know options.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from flyte_host.client.operator_client import OperatorClient
from flyte_host.records.execution_record import EventRecord, ExecutionRecord
from flyte_host.records.explanation import Explanation, explain_silence, explain_steps
from flyte_host.records.missed_record import DecisionRecord, MissedRecord

RECENT = 1_000
"""How many executions are searched for an event."""


@dataclass(frozen=True, slots=True)
class EventOutcome:
    """``executions`` with the outcome of their steps; ``silence`` if the event had no effect."""

    event: EventRecord | None
    executions: Sequence[tuple[ExecutionRecord, Sequence[Explanation]]]
    declined: Sequence[DecisionRecord]
    silence: str

    def lines(self) -> Iterator[str]:
        for execution, steps in self.executions:
            yield from explained_lines(execution, steps)
        for each in self.declined:
            yield declined_line(each)
        if self.silence:
            yield self.silence


def explained_lines(execution: ExecutionRecord, steps: Sequence[Explanation]) -> Iterator[str]:
    trigger = execution.trigger()
    where = f"flow {execution.name}, on {trigger.title} of {trigger.pack.id}"
    yield f"{where}: {execution.state} (execution {execution.correlation_id})"
    yield from map(step_line, steps)


def step_line(step: Explanation) -> str:
    return f"  {step.step}: {step.did}: {step.why}"


def explain_execution(client: OperatorClient, correlation_id: str) -> list[Explanation]:
    """The outcome of each step of the execution, as of now."""
    explained = client.explained(correlation_id)
    return list(explain_steps(explained, client.packs(), datetime.now(UTC)))


def declined_line(decision: DecisionRecord) -> str:
    return f"flow {decision.flow}, step {decision.step_id or '-'} does not run: {decision.reason}"


def declined_on(
    missed: MissedRecord | None, is_the_event: Callable[[EventRecord], bool]
) -> list[DecisionRecord]:
    """The steps that started no execution on the event."""
    decisions = (missed.decisions if missed else None) or ()
    return [each for each in decisions if is_the_event(each.event) and not each.correlation_id]


def why_nothing_came(client: OperatorClient, pack: str, event: str) -> str:
    """Why the event had no effect, as far as the flows show."""
    return explain_silence(pack, event, [client.flow(each.name) for each in client.flows()])


def last_outcome(client: OperatorClient, title: str) -> EventOutcome:
    """The outcome of the last remembered event with this title (``Jira.IssueCreated``)."""
    recent = [each for each in islice(client.executions({}), RECENT) if _is_on(each, title)]
    missed = client.missed() or MissedRecord()
    declined = declined_on(missed, lambda event: event.title == title)
    unheard = [each.event for each in missed.unheard or () if each.event.title == title]
    events = [each.trigger() for each in recent] + [each.event for each in declined] + unheard
    last = max(events, key=_moment, default=None)
    started = [each for each in recent if _is_same(each.trigger(), last)]
    untaken = [each for each in declined if _is_same(each.event, last)]
    return EventOutcome(
        last,
        [(each, explain_execution(client, each.correlation_id)) for each in started],
        untaken,
        "" if started or untaken else _silence(client, title, last),
    )


def _is_on(execution: ExecutionRecord, title: str) -> bool:
    return execution.trigger().title == title


def _moment(event: EventRecord) -> float:
    return event.created_at.timestamp() if event.created_at else 0.0


def _is_same(event: EventRecord, last: EventRecord | None) -> bool:
    return last is not None and (event.pack.id, _moment(event)) == (last.pack.id, _moment(last))


def _silence(client: OperatorClient, title: str, last: EventRecord | None) -> str:
    pack, _, event = title.partition(".")
    why = why_nothing_came(client, pack, event)
    return why if last else f"flyte does not remember an event {title}; {why}"

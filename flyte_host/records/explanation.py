"""Why each step of an execution ran or did not, in a sentence.

Reasons from what flyte tells: the execution, its flow's steps, and the registered packs. Pure. Must
not know how these were fetched or how the sentences are shown.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from flyte_host.records.execution_record import (
    FINISHED,
    ActionRecord,
    AwaitedRecord,
    EventRecord,
    ExecutionRecord,
    SkipRecord,
    StepRecord,
)
from flyte_host.records.flow_record import FlowRecord
from flyte_host.records.pack_record import PackRecord
from flyte_host.text import duration, label_words, nearest, nearest_of_packs

DID_NOT_RUN, SKIPPED_STEP = "did not run", "skipped"
LONGEST_RESULT = 1_000
NOT_TOLD = (
    "its event has arrived, but its labels did not fit, its criteria was false, or a template "
    "failed; this flyte does not say which: try it with flyte-host flows test"
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """The outcome of a step: ``did`` in one word, ``why`` in a sentence."""

    step: str
    did: str
    why: str


def explain_steps(
    execution: ExecutionRecord, packs: Sequence[PackRecord], now: datetime
) -> Iterator[Explanation]:
    """An explanation for each step, in the flow's order."""
    for number, step in enumerate(execution.steps or ()):
        name = step.id or str(number + 1)
        action = (execution.actions or {}).get(step.id)
        if action is not None:
            yield Explanation(name, action.state.value, _of_action(action, packs, now))
        elif skip := _last(execution.skipped, step):
            yield Explanation(name, SKIPPED_STEP, f"on {skip.event.title}: {skip.reason}")
        elif skip := _last(execution.declined, step):
            yield Explanation(name, DID_NOT_RUN, f"on {skip.event.title}: {skip.reason}")
        else:
            yield Explanation(name, DID_NOT_RUN, _why_not(step, execution))


def _last(skips: Sequence[SkipRecord] | None, step: StepRecord) -> SkipRecord | None:
    found = [skip for skip in skips or () if skip.step_id == step.id]
    return found[-1] if found else None


def _of_action(action: ActionRecord, packs: Sequence[PackRecord], now: datetime) -> str:
    command = f"{action.pack_name}.{action.name}"
    since = duration(seconds_between(action.state.time, now))
    if action.is_finished:
        took = duration(seconds_between(action.queued, action.state.time))
        payload = action.result.payload
        says = f": {_cut(payload)}" if isinstance(payload, str) else ""
        return f"{command} → {action.result.event or '?'} after {took}{says}"
    if action.state.value == "NEW":
        return f"{command} has waited for {since}: {why_queued(action, packs, now)}"
    return f"{command} was taken {since} ago and has no result yet"


def _cut(text: str) -> str:
    """All of ``text``, since it says why, unless it is very long."""
    return text if len(text) <= LONGEST_RESULT else f"{text[: LONGEST_RESULT - 1]}…"


def why_queued(action: ActionRecord, packs: Sequence[PackRecord], now: datetime) -> str:
    """Why no pack has taken the action."""
    named = [pack for pack in packs if pack.name == action.pack_name]
    if not named:
        return no_such_pack(action.pack_name, {pack.name for pack in packs})
    wanted = action.pack_labels or {}
    fitting = [pack for pack in named if wanted.items() <= (pack.labels or {}).items()]
    if not fitting:
        return no_such_labels(action.pack_name, wanted, [pack.id for pack in named])
    return f"pack {_last_seen(fitting, now)} has not taken it"


def no_such_pack(name: str, registered: Iterable[str]) -> str:
    return f"no pack {name!r} is registered{nearest(name, registered)}"


def no_such_labels(name: str, wanted: Mapping[str, str], ids: Iterable[str]) -> str:
    """``ids`` are those of the packs with this name."""
    known = ", ".join(ids)
    return f"no pack {name!r} has the labels {label_words(wanted)}; registered: {known}"


def _last_seen(packs: Sequence[PackRecord], now: datetime) -> str:
    latest = max(packs, key=lambda pack: pack.last_seen.timestamp() if pack.last_seen else 0)
    if latest.last_seen is None:
        return latest.id
    return f"{latest.id}, last seen {duration(seconds_between(latest.last_seen, now))} ago,"


def _why_not(step: StepRecord, execution: ExecutionRecord) -> str:
    missing = [name for name in step.depends_on or () if not _is_finished(execution, name)]
    if step.depends_on and len(missing) == len(step.depends_on):
        return f"depends on {' or '.join(missing)}, which has no result"
    events = execution.events()
    if not any(_is_awaited(event, step.event) for event in events):
        seen = list(dict.fromkeys(event.title for event in events))
        came = ", ".join(seen) or "none"
        return (
            f"waits for {step.event.title}{nearest_of_packs(step.event.title, seen)}; came: {came}"
        )
    return NOT_TOLD


def _is_finished(execution: ExecutionRecord, step_id: str) -> bool:
    action = (execution.actions or {}).get(step_id)
    return action is not None and action.state.value in FINISHED


def _is_awaited(event: EventRecord, wanted: AwaitedRecord) -> bool:
    return event.event == wanted.name and event.pack.name == wanted.pack_name


def explain_silence(pack: str, event: str, flows: Sequence[FlowRecord]) -> str:
    """Why an event has started nothing, judging by the flows."""
    title = f"{pack}.{event}"
    first = [
        (flow.name, step.event)
        for flow in flows
        for step in flow.steps or ()
        if not step.depends_on
    ]
    hearing = [name for name, awaited in first if awaited.title == title]
    if hearing:
        names = ", ".join(dict.fromkeys(hearing))
        return (
            f"{names} waits for {title} and has started nothing: its labels did not fit, its "
            "criteria was false, or a template failed; try it with flyte-host flows test"
        )
    known = {awaited.title for _, awaited in first}
    return f"no flow waits for {title}{nearest_of_packs(title, known)}"


def seconds_between(earlier: datetime, later: datetime) -> float:
    return max(0.0, (later - earlier).total_seconds())

"""Which steps may run, kept from event to event: the same as a look at everything each time."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flyte_host.embedded.execution_progress import ExecutionProgress
from flyte_host.embedded.flow import CommandCall, EventMatch, Flow, FlowStep
from flyte_host.embedded.model import PackEvent, PackIdentity, StepFact

NOW = datetime(2026, 11, 23, 21, 0, tzinfo=UTC)
IDS = st.sampled_from(["", "a", "b", "c", "d"])
KEYS = st.tuples(st.sampled_from(["P", "Q"]), st.sampled_from(["E", "F"]))


def event(key: tuple[str, str]) -> PackEvent:
    return PackEvent(key[1], PackIdentity(key[0], key[0]), None, NOW, NOW)


def step(step_id: str, depends_on: list[str], key: tuple[str, str]) -> FlowStep:
    match = EventMatch(name=key[1], pack_name=key[0])
    return FlowStep(step_id, tuple(depends_on), match, {}, "", CommandCall("c", "P"))


FLOWS = st.lists(st.builds(step, IDS, st.lists(IDS, max_size=3), KEYS), max_size=8).map(
    lambda steps: Flow("f", "", tuple(steps))
)


def rule(flow: Flow, key: tuple[str, str], started: set[str], finished: set[str]) -> list[int]:
    """As the documentation has it."""
    return [
        number
        for number, each in enumerate(flow.steps)
        if each.event.key == key
        and each.id not in started
        and (not each.depends_on or finished.intersection(each.depends_on))
    ]


@given(st.data(), FLOWS)
def test_candidates_are_those_of_the_rule(data: Any, flow: Flow) -> None:
    progress = ExecutionProgress(flow)
    started: set[str] = set()
    finished: set[str] = set()
    for _ in range(data.draw(st.integers(0, 8))):
        key, ends = data.draw(KEYS), data.draw(st.none() | st.sampled_from(sorted(started) or [""]))
        wanted = rule(flow, key, started, finished | ({ends} - {None}))
        assert progress.candidates(event(key), ends) == wanted
        if ends is not None:
            progress.finish(ends)
            finished.add(ends)
        for number in wanted[: data.draw(st.integers(0, 3))]:
            started.add(flow.steps[number].id)
            progress.start(flow.steps[number].id)
        facts = [StepFact(each, "SUCCESS" if each in finished else "NEW") for each in started]
        facts += [StepFact(each, "FATAL") for each in finished - started]
        started |= finished
        for each in finished:
            progress.start(each)
        assert progress.candidates(event(key)) == rule(flow, key, started, finished)
        again = ExecutionProgress(flow, facts)
        assert again.candidates(event(key)) == progress.candidates(event(key))

"""What is kept of executions: never older than the store, never more than its limit."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from flyte_host.embedded.flow import CommandCall, EventMatch, Flow, FlowStep
from flyte_host.embedded.model import AwaitedAction, PackEvent, PackIdentity, StepFact
from flyte_host.embedded.progress_cache import ProgressCache

NOW = datetime(2026, 11, 23, 21, 0, tzinfo=UTC)
DONE = PackEvent("Done", PackIdentity("P", "P"), None, NOW, NOW)
FLOW = Flow(
    "f",
    "",
    tuple(
        FlowStep(
            str(number),
            (str(number - 1),) if number else (),
            EventMatch("Done" if number else "Go", "P"),
            {},
            "",
            CommandCall("c", "P"),
        )
        for number in range(4)
    ),
)


class StoredExecution:
    """What the store has, and how often it was asked."""

    def __init__(self) -> None:
        self.revision = 0
        self.facts = [StepFact("0", "PENDING")]
        self.loads = 0

    def load(self, _: str) -> tuple[int, list[StepFact]]:
        self.loads += 1
        return self.revision, self.facts

    def action(self, step_id: str, correlation_id: str = "x") -> AwaitedAction:
        return AwaitedAction(
            "a", "P", {}, "PENDING", correlation_id, "u", step_id, {}, self.revision
        )


@pytest.fixture
def stored() -> StoredExecution:
    return StoredExecution()


def test_an_execution_is_read_once(stored: StoredExecution) -> None:
    cache = ProgressCache(stored.load)
    for number in range(3):
        action = stored.action(str(number))
        assert cache.candidates(action, FLOW, DONE) == [number + 1]
        cache.advance(action, [str(number + 1)])
        stored.revision += 1
    assert stored.loads == 1
    assert cache.candidates(stored.action("3"), FLOW, DONE) == []


def test_a_result_that_another_process_stored_is_seen(stored: StoredExecution) -> None:
    cache = ProgressCache(stored.load)
    action = stored.action("0")
    assert cache.candidates(action, FLOW, DONE) == [1]
    stored.revision = 1
    stored.facts = [StepFact("0", "SUCCESS"), StepFact("1", "NEW")]
    assert cache.candidates(stored.action("0"), FLOW, DONE) == []
    cache.advance(action, ["1"])  # too late: nothing is kept of that revision
    assert cache.candidates(stored.action("1"), FLOW, DONE) == [2]
    assert stored.loads == 2


def test_what_changes_while_it_is_read_is_not_kept(stored: StoredExecution) -> None:
    cache = ProgressCache(stored.load)
    action = replace(stored.action("0"), revision=5)
    assert cache.candidates(action, FLOW, DONE) == [1]
    assert cache.candidates(action, FLOW, DONE) == [1]
    assert stored.loads == 2


def test_an_event_that_no_step_waits_for_needs_no_look(stored: StoredExecution) -> None:
    cache = ProgressCache(stored.load)
    assert cache.candidates(stored.action("0"), FLOW, replace(DONE, name="Other")) == ()
    assert stored.loads == 0


def test_the_longest_untouched_make_room(stored: StoredExecution) -> None:
    cache = ProgressCache(stored.load, max_steps=2 * len(FLOW.steps))
    for correlation_id in ("x", "y", "x", "z", "x", "y"):
        cache.candidates(stored.action("0", correlation_id), FLOW, DONE)
    assert stored.loads == 4  # x, y, z and y again


def test_two_processes_on_one_store_continue_one_execution(
    start: Callable[..., Any], step: Callable[..., dict[str, Any]]
) -> None:
    one, two = start(), start()
    one.pack()
    steps = [step("Go", "0", id="0")]
    steps += [step("Done", f"{n}", id=f"{n}", dependsOn=[f"{n - 1}"]) for n in range(1, 9)]
    one.flow(*steps)
    one.event("Go")
    taken = []
    for number in range(9):
        flyte = (one, one, two)[number % 3]
        action = flyte.take()
        taken.append(action["command"])
        assert flyte.finish(action, "Done") == 202
    assert taken == [f"{number}" for number in range(9)]
    [execution] = two.executions()
    assert {each["state"]["value"] for each in execution["actions"].values()} == {"SUCCESS"}

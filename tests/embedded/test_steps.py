import random
from datetime import UTC, datetime
from typing import Any

import pytest

from flyte_host.embedded.event_ration import MAX_EVENT_BYTES, MAX_EVENT_CHARACTERS, EventRation
from flyte_host.embedded.execution_progress import ExecutionProgress
from flyte_host.embedded.flow import Flow
from flyte_host.embedded.flow_reader import read_flow
from flyte_host.embedded.flow_templates import make_flow_templates
from flyte_host.embedded.model import Decision, ExecutionSnapshot, PackEvent, PackIdentity, StepFact
from flyte_host.embedded.pongo2.work_limit import WorkClock
from flyte_host.embedded.steps import MAX_PART_BYTES, MAX_REASON_CHARACTERS, decide
from tests.support.template_maker import make_templates

NOW = datetime(2026, 11, 23, 21, 0, tzinfo=UTC)
TEMPLATES = make_flow_templates(lambda _: None, now=lambda: NOW, rng=random.Random(1))


def ration(renderer: Any = TEMPLATES) -> EventRation:
    return EventRation(renderer)


def event(name: str = "E", payload: Any = None, **labels: str) -> PackEvent:
    return PackEvent(name, PackIdentity("P.id", "P", labels), payload, NOW, NOW)


def flow(*steps: dict[str, Any]) -> Flow:
    return read_flow({"name": "f", "steps": list(steps)})


def step(command: str = "c", *, on: str = "E", **fields: Any) -> dict[str, Any]:
    parts = {
        "event": {"name": on, "packName": "P", "packLabels": fields.pop("event_labels", {})},
        "command": {
            "name": command,
            "packName": "Q",
            "packLabels": fields.pop("labels", {}),
            "input": fields.pop("input", None),
        },
    }
    return parts | fields


def run(*steps: dict[str, Any], on: PackEvent | None = None, **known: Any) -> Decision:
    return decide(
        ExecutionSnapshot("corr", "uuid", flow(*steps), **known), on or event(), ration(TEMPLATES)
    )


def test_an_action() -> None:
    decision = run(
        step(
            id="a",
            context={"own": "{{ Event.Payload.x }} {{ Context.p }}", "p2": "{{ Context.own }}"},
            labels={"env": "{{ Context.own }}"},
            input={"{{ 1 }}": ["{{ Context.p }}", 1, True, {"z": None, "s": "{{ Event.Name }}"}]},
        ),
        on=event(payload={"x": "y"}),
        context={"p": "parent"},
    )
    assert (decision.correlation_id, decision.flow_uuid, decision.flow_name) == (
        "corr",
        "uuid",
        "f",
    )
    [action] = decision.actions
    assert action.context == {"p": "parent", "own": "y parent", "p2": ""}
    assert action.pack_labels == {"env": "y parent"}
    assert action.input == {"{{ 1 }}": ["parent", 1, True, {"s": "E"}]}
    assert (action.step_number, action.step_id, action.name, action.pack_name) == (
        0,
        "a",
        "c",
        "Q",
    )


def test_what_templates_see_of_an_event() -> None:
    text = (
        "{{ Event.Name }} {{ Event.Pack.Id }} {{ Event.Pack.Name }} {{ Event.Pack.Labels.env }} "
        "{{ Event.CreatedAt }} {{ Event.ReceivedAt }}"
    )
    [action] = run(step(input=text), on=event(env="dev")).actions
    assert action.input.startswith("E P.id P dev 2026-11-23 21:00:00")


def names(steps: list[dict[str, Any]], facts: list[StepFact]) -> list[str]:
    made = flow(*steps)
    found = ExecutionProgress(made, facts).candidates(event())
    return [made.steps[number].command.name for number in found]


def test_candidates() -> None:
    steps = [
        step("other event", on="F"),
        step("started", id="started"),
        step("free", id="free"),
        step("after pending", id="p", dependsOn=["started"]),
        step("after finished", id="q", dependsOn=["never", "done"]),
        step("after fatal", id="r", dependsOn=["dead"]),
        step("no id"),
    ]
    facts = [
        StepFact("started", "PENDING"),
        StepFact("done", "SUCCESS"),
        StepFact("dead", "FATAL"),
    ]
    assert names(steps, facts) == ["free", "after finished", "after fatal", "no id"]
    assert names(steps, [*facts, StepFact("", "NEW")]) == ["free", "after finished", "after fatal"]
    assert names(steps, []) == ["started", "free", "no id"]


def test_steps_of_one_id_are_found_before_any_runs() -> None:
    decision = run(step("one", id="a"), step("two", id="a"))
    assert [action.name for action in decision.actions] == ["one", "two"]


def test_labels_of_the_event() -> None:
    wanted = step(event_labels={"env": "{{ Event.Payload }}"})
    assert run(wanted, on=event(payload="dev", env="dev", zone="a")).actions
    assert not run(wanted, on=event(payload="dev", zone="a")).actions
    assert not run(wanted, on=event(payload="prod", env="dev")).actions


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"input": ["a", None]}, "command.input[1]: null in a list cannot be rendered"),
        ({"input": {"a": [[None]]}}, "command.input.a[0][0]: null in a list"),
        ({"input": {"a": "{{ datastore('x') }}"}}, "command.input.a: "),
        ({"context": {"a": "{{ datastore('x') }}"}, "criteria": "false"}, "context.a: "),
        ({"event_labels": {"a": "{% if %}"}}, "event.packLabels.a: "),
        ({"labels": {"a": "{{ 1|nope }}"}}, "command.packLabels.a: "),
        ({"criteria": "{{ Event.Payload.x"}, "criteria: "),
        ({"criteria": "yes"}, "criteria: "),
        ({"criteria": " True"}, "criteria: "),
        ({"criteria": "{{ Context.none }}"}, "criteria: "),
        (
            {"input": [10**300] * 54_000},
            f"bytes as JSON, expected at most {MAX_PART_BYTES}",
        ),
    ],
)
def test_a_step_that_goes_wrong_is_skipped_with_its_reason(
    fields: dict[str, Any], reason: str
) -> None:
    decision = run(step(id="a", **fields), step("fine", id="b"))
    assert [action.name for action in decision.actions] == ["fine"]
    [skipped] = decision.skipped
    assert skipped.step_id == "a"
    assert reason in skipped.reason
    assert len(skipped.reason) <= MAX_REASON_CHARACTERS


def test_false_criteria_are_not_skip() -> None:
    decision = run(step(criteria="{{ 1 == 2 }}"))
    assert (list(decision.actions), list(decision.skipped)) == ([], [])


class ExplodingRenderer:
    def render(self, text: str, variables: Any) -> str:
        raise RecursionError("too much of " + text)


def test_whatever_a_template_raises_is_one_skipped_step() -> None:
    decision = decide(
        ExecutionSnapshot("c", "u", flow(step(input="x"))), event(), ration(ExplodingRenderer())
    )
    assert decision.skipped[0].reason == "command.input: too much of x"


class SurrogateRenderer:
    def render(self, text: str, variables: Any) -> str:
        return "\ud800"


def test_what_utf_8_cannot_carry_is_replaced() -> None:
    decision = decide(
        ExecutionSnapshot("c", "u", flow(step(input="x"))), event(), ration(SurrogateRenderer())
    )
    assert decision.actions[0].input == "\ufffd"


def test_a_template_that_computes_endlessly_fails_its_step_alone() -> None:
    endless = "{% for i in Event.Payload %}" * 8 + "{% endfor %}" * 8
    steps = flow(step("a", input=endless), step("b", input="x"))
    templates = ration(make_templates(max_seconds=0.1))
    decision = decide(ExecutionSnapshot("c", "u", steps), event(payload=[0] * 50), templates)
    assert "it took longer than 0.1 s" in decision.skipped[0].reason
    assert [action.name for action in decision.actions] == ["b"]


class SlowRenderer:
    """Renders for nine seconds each, on its own clock."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def render(self, text: str, variables: Any) -> str:
        self.seconds += 9
        return text


def test_an_event_has_so_many_seconds() -> None:
    slow = SlowRenderer()
    templates = EventRation(slow, WorkClock(lambda: slow.seconds, lambda: slow.seconds))
    steps = [step(f"{n}", input="x") for n in range(5)]
    decision = decide(ExecutionSnapshot("c", "u", flow(*steps)), event(), templates)
    assert [action.name for action in decision.actions] == ["0", "1", "2"]
    assert {skipped.reason for skipped in decision.skipped} == {
        "command.input: the templates of this event took over 20 s"
    }


class WordyRenderer:
    def render(self, text: str, variables: Any) -> str:
        return "x" * 15_000_000


def test_an_event_has_so_many_characters() -> None:
    templates = EventRation(WordyRenderer())
    steps = [step(f"{n}", input="x") for n in range(6)]
    decision = decide(ExecutionSnapshot("c", "u", flow(*steps)), event(), templates)
    assert len(decision.actions) == MAX_EVENT_CHARACTERS // 15_000_000
    assert "write over 64000000 characters" in decision.skipped[0].reason


def test_an_event_stores_so_many_bytes() -> None:
    """A context is stored with every action, so it multiplies."""
    steps = [step(f"{n}", context={"c": "x"}) for n in range(6)]
    decision = decide(
        ExecutionSnapshot("c", "u", flow(*steps)),
        event(),
        EventRation(WordyRenderer()),
    )
    assert len(decision.actions) == 4
    heavy = {"c": "x" * 15_000_000}
    snapshot = ExecutionSnapshot("c", "u", flow(*[step(f"{n}") for n in range(6)]), heavy)
    decision = decide(snapshot, event(), ration())
    assert len(decision.actions) == MAX_EVENT_BYTES // 15_000_000
    assert decision.skipped[0].reason == "the actions of this event hold over 64000000 bytes"


def test_a_context_that_is_too_large_skips_its_step() -> None:
    snapshot = ExecutionSnapshot("c", "u", flow(step("c")), {"c": "x" * MAX_PART_BYTES})
    [skipped] = decide(snapshot, event(), ration()).skipped
    assert skipped.reason == "context: 16000008 bytes as JSON, expected at most 16000000"

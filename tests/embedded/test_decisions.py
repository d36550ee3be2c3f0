"""Steps that did not run are kept, bounded, and explained with the values that were read."""

import json
from typing import Any

import pytest

from flyte_host.embedded.decision_log import (
    KEPT_FLOWS,
    KEPT_OF_FLOW,
    KEPT_UNHEARD,
    LARGEST_PAYLOAD_BYTES,
    DecisionLog,
)
from flyte_host.embedded.model import Decision, PackEvent, PackIdentity, SkippedStep
from flyte_host.embedded.pongo2 import GoStruct
from flyte_host.embedded.read_values import MOST_VALUES, values_read
from tests.embedded.conftest import MovableTime

P = PackIdentity("P", "P")


def event(time: MovableTime, payload: Any = None) -> PackEvent:
    return PackEvent("Go", P, payload, time(), time())


def asks_for(
    step: Any, pack: str, command: str, labels: dict[str, str] | None = None
) -> dict[str, Any]:
    wanted = {"packName": pack, "name": command, "input": 1, "packLabels": labels or {}}
    made: dict[str, Any] = {**step("Go", command, id="a"), "command": wanted}
    return made


def declined(time: MovableTime, flow: str, number: int = 0, payload: Any = None) -> Decision:
    step = SkippedStep("a", f"reason {number}")
    return Decision("c", "v", flow, event(time, payload), [], [], [step], is_new=True)


def test_decisions(call: Any, step: Any) -> None:
    """Steps that did not run, GET /v1/audit/decisions"""
    call.flow(step("Go", "c", id="a", criteria="{{ Event.Payload.n == 1 }}"), name="f")
    labels = {"packLabels": {"env": "x"}}
    told_of = step("Go", "c", id="b")
    call.flow(told_of | {"event": told_of["event"] | labels}, name="g")
    call.event("Go", {"n": 1})
    call.event("God")
    found = call("GET", "/v1/audit/decisions").get_json()
    told = {each["flow"]: each["reason"] for each in found["decisions"]}
    assert told == {
        "f": "criteria is 'False', where Event.Payload.n is 1, a float",
        "g": "event.packLabels are env=x, but pack P has none",
    }
    [unheard] = found["unheard"]
    assert (unheard["event"]["event"], unheard["nearest"]) == ("God", ' (did you mean "P.Go"?)')
    one = call("GET", "/v1/audit/decisions?flowName=f").get_json()["decisions"]
    assert [each["flow"] for each in one] == ["f"]
    assert "correlationId" not in one[0]
    assert call.executions() == []


def test_a_declined_step_of_an_execution_is_told_with_its_id(call: Any, step: Any) -> None:
    call.flow(
        step("Go", "c", id="a"),
        step("Go", "c", id="b", criteria="false"),
        step("Done", "c", id="c", dependsOn=["a"], criteria="{{ 1 == 2 }}"),
    )
    call.event("Go")
    call.finish(call.take(), "Done")
    [execution] = call.executions()
    assert "declined" not in execution  # what Go does not show is in a separate place
    told = call("GET", "/v1/audit/decisions").get_json()["decisions"]
    assert {each["correlationId"] for each in told} == {execution["correlationId"]}
    assert {each["stepId"]: (each["event"]["event"], each["reason"]) for each in told} == {
        "b": ("Go", "criteria is 'false'"),
        "c": ("Done", "criteria is 'False'"),
    }


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (("Q", "c"), "no pack 'Q' is registered"),
        (("Peter", "c"), "no pack 'Peter' is registered (did you mean \"Pete\"?)"),
        (("Pete", "ru"), "pack 'Pete' has no command 'ru' (did you mean \"run\"?)"),
        (("Pete", "run"), ""),
        (("Pete", "run", {"env": "live"}),
         "no pack 'Pete' has the labels env=live; registered: Pete, Pete.env.test"),
        (("Pete", "run", {"env": "test"}), ""),
        (("Pete", "walk", {"env": "test"}), "pack 'Pete' has no command 'walk'"),
    ],
)  # fmt: skip
def test_an_action_that_nobody_serves_is_said_at_once(
    call: Any, step: Any, caplog: pytest.LogCaptureFixture, asked: tuple[str, str], problem: str
) -> None:
    call.pack("Pete", commands=[{"name": "run"}, {"name": "walk"}])
    call.pack("Pete", commands=[{"name": "run"}], labels={"env": "test"})
    call.flow(asks_for(step, *asked))
    call.event("Go")
    call.event("Go")  # the second answer comes from memory
    told = [each.getMessage() for each in caplog.records if "the action waits" in each.getMessage()]
    begin = f"flow flow, step 'a': the action waits: {problem}"
    assert [each == begin for each in told] == ([True, True] if problem else [])


def test_a_pack_that_comes_or_goes_is_noticed(
    call: Any, step: Any, caplog: pytest.LogCaptureFixture
) -> None:
    call.flow(asks_for(step, "Q", "c"))
    for commands in ([], [{"name": "c"}], None):
        if commands is None:
            call("DELETE", "/v1/packs/Q")
        else:
            call.pack("Q", commands=commands)
        call.event("Go")
    told = [each.getMessage() for each in caplog.records if "the action waits" in each.getMessage()]
    assert ["no command" in each for each in told] == [True, False]


def test_what_is_kept_is_bounded() -> None:
    time = MovableTime()
    kept = DecisionLog()
    for number in range(KEPT_OF_FLOW + 5):
        time.pass_(seconds=1)
        kept.keep(declined(time, "f", number))
        kept.keep_unheard(event(time))
    assert len(kept.decisions("f")) == KEPT_OF_FLOW
    assert kept.decisions("f")[0].reason == f"reason {KEPT_OF_FLOW + 4}"
    for number in range(KEPT_FLOWS):
        kept.keep(declined(time, f"flow {number}"))
    assert kept.decisions("f") == []
    for _ in range(KEPT_UNHEARD):
        kept.keep_unheard(event(time))
    assert len(kept.unheard()) == KEPT_UNHEARD


def test_a_large_payload_is_not_kept() -> None:
    time = MovableTime()
    kept = DecisionLog()
    kept.keep(declined(time, "f", payload="x" * LARGEST_PAYLOAD_BYTES))
    kept.keep(declined(time, "g", payload="x"))
    payloads = {each.flow_name: each.event.payload for each in kept.decisions()}
    assert payloads == {"f": f"(left out: {LARGEST_PAYLOAD_BYTES + 2} bytes)", "g": "x"}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ Event.Payload.n == 1 }}", "Event.Payload.n is 1, a float"),
        ("{{ Event.Payload.list.1 }}", 'Event.Payload.list.1 is "b"'),
        ("{{ Event.Payload.list.7 }}", "Event.Payload.list.7 is missing"),
        ("{{ Event.Payload.list.x }}", "Event.Payload.list.x is missing"),
        ("{{ Event.Payload.nope.x }}", "Event.Payload.nope.x is missing"),
        ("{{ Event.Payload.yes }}", "Event.Payload.yes is true"),
        ("{{ Context.who|upper }}", 'Context.who is "Ada"'),
        ("{{ Event.Pack.Name }}", 'Event.Pack.Name is "P"'),
        ("{{ Event.Pack.Name }}{{ Event.Pack.Name }}", 'Event.Pack.Name is "P"'),
    ],
)
def test_values_that_a_template_reads(template: str, expected: str) -> None:
    payload = {"n": 1, "list": ["a", "b"], "yes": True}
    pack = GoStruct("execution.Pack", {"Name": "P"})
    variables = {"Event": {"Payload": payload, "Pack": pack}, "Context": {"who": "Ada"}}
    assert values_read(template, variables) == f", where {expected}"


def test_a_template_that_reads_nothing_or_much() -> None:
    assert values_read("{{ 1 == 2 }}", {}) == ""
    many = "".join(f"{{{{ Context.v{number} }}}}" for number in range(MOST_VALUES + 3))
    assert values_read(many, {}).count("missing") == MOST_VALUES
    assert len(values_read("{{ Context.v }}", {"Context": {"v": "x" * 1000}})) < 200
    assert json.dumps(values_read("{{ Context.v }}", {"Context": {"v": "\x1b[31m"}})).count("u001b")

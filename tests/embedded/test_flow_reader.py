from typing import Any

import pytest

from flyte_host.embedded.flow import CommandCall, EventMatch, Flow, FlowStep, flow_document
from flyte_host.embedded.flow_reader import FlowInvalid, read_flow
from flyte_host.embedded.yaml_codec import read_yaml, yaml_lines

EVENT = {"name": "E", "packName": "P"}
COMMAND = {"name": "c", "packName": "P"}
FULL = {
    "name": "f",
    "description": "d",
    "steps": [
        {
            "id": "a",
            "dependsOn": ["b"],
            "event": EVENT | {"packLabels": {"env": "dev"}},
            "context": {"k": "v"},
            "criteria": "true",
            "command": COMMAND | {"packLabels": {"env": "x"}, "input": [1]},
        }
    ],
}


def test_a_full_flow_and_back() -> None:
    flow = read_flow(FULL)
    assert flow == Flow(
        name="f",
        description="d",
        steps=(
            FlowStep(
                id="a",
                depends_on=("b",),
                event=EventMatch("E", "P", {"env": "dev"}),
                context={"k": "v"},
                criteria="true",
                command=CommandCall("c", "P", {"env": "x"}, [1]),
            ),
        ),
    )
    assert flow_document(flow) == FULL


def test_what_may_be_null() -> None:
    step: dict[str, Any] = {"id": None, "dependsOn": None, "event": EVENT | {"packLabels": None}}
    step |= {"command": COMMAND | {"packLabels": {"a": None}}, "unknown": 1}
    flow = read_flow({"name": "f", "steps": [step]})
    assert flow.steps[0] == FlowStep(
        "", (), EventMatch("E", "P"), {}, "", CommandCall("c", "P", {"a": ""})
    )


def test_case_of_keys() -> None:
    """As in Go: any case will do, but not for keys that its schema asks for."""
    step = {"ID": "a", "dependson": ["x"], "event": EVENT | {"PackLabels": {"a": "b"}}}
    flow = read_flow({"name": "f", "Description": "d", "steps": [step | {"command": COMMAND}]})
    assert (flow.description, flow.steps[0].id, flow.steps[0].depends_on) == ("d", "a", ("x",))
    assert flow.steps[0].event == EventMatch("E", "P", {"a": "b"})
    with pytest.raises(FlowInvalid) as raised:
        read_flow(
            {"NAME": "f", "steps": [{"Event": EVENT, "command": {"Name": "c", "packname": "P"}}]}
        )
    assert {path for path, _ in raised.value.problems} == {
        ("name",),
        ("steps", 0, "event"),
        ("steps", 0, "command", "name"),
        ("steps", 0, "command", "packName"),
    }


def test_triggers() -> None:
    steps = [
        {"event": EVENT, "command": COMMAND},
        {"event": EVENT, "command": COMMAND},
        {"event": {"name": "F", "packName": "P"}, "command": COMMAND, "dependsOn": []},
        {"event": {"name": "G", "packName": "P"}, "command": COMMAND, "dependsOn": ["a"]},
    ]
    assert read_flow({"name": "f", "steps": steps}).triggers() == {("P", "E"), ("P", "F")}


def one_step(**fields: Any) -> dict[str, Any]:
    return {"name": "f", "steps": [{"event": EVENT, "command": COMMAND} | fields]}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (None, "the document is null, expected an object with name, description, steps"),
        ({"steps": []}, "name is missing, expected text"),
        ({"name": 1, "steps": []}, "name is 1, expected text"),
        ({"name": "f"}, "steps is missing, expected a list"),
        ({"name": "f", "steps": None}, "steps is null, expected a list"),
        ({"name": "a\nb", "steps": []}, "name has more than one line (write it as YAML's >- does)"),
        ({"name": "f", "steps": [5]}, "steps[0] is 5, expected an object with id, dependsOn,"),
        (one_step(event="E"), "steps[0].event is 'E', expected an object with name, packName,"),
        (one_step(command=[]), "steps[0].command is [], expected an object with name, packName,"),
        (one_step(event={}), "steps[0].event.packName is missing, expected text"),
        (one_step(context=None), "steps[0].context is null, expected an object"),
        (one_step(context=["x"]), "steps[0].context is ['x'], expected an object of text"),
        (one_step(context={"k": 1}), "steps[0].context.k is 1, expected text"),
        (one_step(criteria=None), "steps[0].criteria is null, expected text"),
        (one_step(criteria="a\n"), "steps[0].criteria has more than one line"),
        (one_step(dependsOn="a"), "steps[0].dependsOn is 'a', expected a list of text"),
        (one_step(dependsOn=[1]), "steps[0].dependsOn[0] is 1, expected text"),
        (one_step(id="x" * 99, dependsOn=["y" * 99] * 9 + [{}]), "dependsOn[9] is {}"),
        (one_step(id=["x" * 99]), f"steps[0].id is ['{'x' * 55}..., expected text"),
    ],
)
def test_problems(document: Any, problem: str) -> None:
    with pytest.raises(FlowInvalid) as raised:
        read_flow(document)
    assert problem in str(raised.value)


def test_missing_parts() -> None:
    with pytest.raises(FlowInvalid) as raised:
        read_flow({"name": "f", "steps": [{}]})
    assert [path for path, _ in raised.value.problems] == [
        ("steps", 0, "event"),
        ("steps", 0, "command"),
    ]


def test_all_problems_with_their_lines() -> None:
    text = """name: f
steps:
- id: 5
  event: {name: E}
  command:
    name: c
    packName: [P]
"""
    with pytest.raises(FlowInvalid) as raised:
        read_flow(read_yaml(text), source="a.yaml", lines=yaml_lines(text))
    assert str(raised.value) == (
        "a.yaml:3: steps[0].id is 5, expected text; "
        "a.yaml:4: steps[0].event.packName is missing, expected text; "
        "a.yaml:7: steps[0].command.packName is ['P'], expected text"
    )

"""Section 1, flows as documents; section 3, how a flow runs."""

from collections.abc import Callable
from typing import Any

import pytest

Step = Callable[..., dict[str, Any]]


@pytest.fixture
def pack(flyte: Any) -> str:
    return str(flyte.pack())


# -- the document ----------------------------------------------------------------------------


FLOW_YAML = """
description: Triggered -> echo
steps:
- id: kick
  event: {packName: Bench, name: Triggered, packLabels: {env: dev}}
  context: {who: "{{ Event.Payload.who }}"}
  command: {packName: Bench, name: echo, input: {f: 1.5, l: [1, x], t: true, z: null, 1: k}}
- dependsOn: [kick]
  event: {packName: Bench, name: Echoed}
  criteria: "{{ Event.Payload.n == '7' }}"
  command: {packName: Bench, name: echo}
"""


def test_post_and_get(flyte: Any) -> None:
    """POST /v1/flows, GET /v1/flows/{flowName}"""
    name = flyte.name("bench_flow")
    headers = {"Content-Type": "application/x-yaml"}
    answer = flyte.call("POST", "/v1/flows", data=f"name: {name}{FLOW_YAML}", headers=headers)
    assert (answer.status_code, answer.content) == (201, b"")
    assert answer.headers["Location"] == f"{flyte.url}/v1/flows/{name}"
    document = flyte.call("GET", f"/v1/flows/{name}").json()
    command = {"name": "echo", "packName": "Bench"}
    assert document == {
        "name": name,
        "description": "Triggered -> echo",
        "steps": [
            {
                "id": "kick",
                "event": {"name": "Triggered", "packName": "Bench", "packLabels": {"env": "dev"}},
                "context": {"who": "{{ Event.Payload.who }}"},
                "command": command
                | {"input": {"1": "k", "f": 1.5, "l": [1, "x"], "t": True, "z": None}},
            },
            {
                "dependsOn": ["kick"],
                "event": {"name": "Echoed", "packName": "Bench"},
                "criteria": "{{ Event.Payload.n == '7' }}",
                "command": command | {"input": None},
            },
        ],
        "links": [
            {"href": f"{flyte.url}/v1/flows/{name}", "rel": "self"},
            {"href": f"{flyte.url}/v1/flows", "rel": "up"},
            {"href": f"{flyte.url}/swagger#/flow", "rel": "help"},
        ],
    }


def test_get_as_yaml_and_post_again(flyte: Any) -> None:
    """GET /v1/flows/{flowName}: YAML out fits YAML in"""
    name = flyte.flow(name=flyte.name("round"))
    text = flyte.call("GET", f"/v1/flows/{name}", headers={"Accept": "application/x-yaml"}).text
    assert text.startswith("links:\n")
    headers = {"Content-Type": "application/x-yaml"}
    body = f"{text}\nsteps: []\n"
    assert flyte.status("POST", "/v1/flows", data=body, headers=headers) == 201


def test_list(flyte: Any) -> None:
    """GET /v1/flows"""
    prefix = flyte.name("list")
    for name in ("b", "a"):
        flyte.flow(name=prefix + name)
    document = flyte.call("GET", "/v1/flows").json()
    assert list(document) == ["flows", "links"]
    mine = [flow for flow in document["flows"] if flow["name"].startswith(prefix)]
    assert mine == [
        {"name": name, "links": [{"href": f"{flyte.url}/v1/flows/{name}", "rel": "self"}]}
        for name in (prefix + "a", prefix + "b")
    ]
    assert [link["rel"] for link in document["links"]] == ["self", "up", "help"]


def test_delete(flyte: Any) -> None:
    """DELETE /v1/flows/{flowName}"""
    name = flyte.flow()
    assert flyte.status("DELETE", f"/v1/flows/{name}") == 204
    assert flyte.status("DELETE", f"/v1/flows/{name}") == 404
    assert flyte.status("GET", f"/v1/flows/{name}") == 404


EVENT = '"event": {"name": "E", "packName": "P"}'
COMMAND = '"command": {"name": "c", "packName": "P"}'
BAD_FLOWS = {
    "no JSON": ('{"name":', 500),
    "empty": ("", 500),
    "no object": ("[]", 500),
    "no steps": ('{"name": "x"}', 500),
    "no name": ('{"steps": []}', 500),
    "name is null": ('{"name": null, "steps": []}', 500),
    "steps is an object": ('{"name": "x", "steps": {}}', 500),
    "step is text": ('{"name": "x", "steps": ["a"]}', 500),
    "no event": (f'{{"name": "x", "steps": [{{{COMMAND}}}]}}', 500),
    "no command": (f'{{"name": "x", "steps": [{{{EVENT}}}]}}', 500),
    "no packName": (
        f'{{"name": "x", "steps": [{{{COMMAND}, "event": {{"name": "E"}}}}]}}',
        500,
    ),
    "criteria of two lines": (
        f'{{"name": "x", "steps": [{{{EVENT}, {COMMAND}, "criteria": "a\\nb"}}]}}',
        500,
    ),
    "criteria is a bool": (
        f'{{"name": "x", "steps": [{{{EVENT}, {COMMAND}, "criteria": true}}]}}',
        500,
    ),
    "context of numbers": (
        f'{{"name": "x", "steps": [{{{EVENT}, {COMMAND}, "context": {{"a": 1}}}}]}}',
        400,
    ),
    "id is a number": (f'{{"name": "x", "steps": [{{{EVENT}, {COMMAND}, "id": 1}}]}}', 400),
    "dependsOn is text": (
        f'{{"name": "x", "steps": [{{{EVENT}, {COMMAND}, "dependsOn": "a"}}]}}',
        400,
    ),
}


@pytest.mark.parametrize("what", BAD_FLOWS)
def test_bad_flows(flyte: Any, what: str) -> None:
    """POST /v1/flows: 500 on schema violation (Go), 400 if the JSON does not fit"""
    body, go = BAD_FLOWS[what]
    assert flyte.status("POST", "/v1/flows", data=body) == flyte.differs(
        here=400, go=go, why="a bad flow is its author's mistake, not the server's"
    )
    assert flyte.status("GET", "/v1/flows/x") == 404


def test_yaml_of_another_content_type(flyte: Any) -> None:
    """POST /v1/flows: YAML only if Content-Type is exactly application/x-yaml"""
    body = {"data": "name: y\nsteps: []", "headers": {"Content-Type": "text/yaml"}}
    assert flyte.status("POST", "/v1/flows", **body) == flyte.differs(
        here=400, go=500, why="a bad flow is its author's mistake, not the server's"
    )


# -- how it runs -----------------------------------------------------------------------------


def test_trigger_path_starts_a_new_execution_each_time(flyte: Any, step: Step, pack: str) -> None:
    """3. Trigger path: each flow starts a new execution, new correlation id, empty context"""
    body = step(f"{pack}/Go", f"{pack}/c", id="s", input="{{ Context.x }}|{{ Event.Name }}")
    flow = flyte.flow(body)
    flyte.event(pack, "Go")
    flyte.event(pack, "Go")
    assert [flyte.take(pack)["input"] for _ in range(2)] == ["|Go", "|Go"]
    ids = {each["correlationId"] for each in flyte.executions(flow)}
    assert len(ids) == 2


def test_results_are_triggers_too(flyte: Any, step: Step, pack: str) -> None:
    """3. Trigger path (events and results both)"""
    other = flyte.pack()
    flyte.flow(step(f"{pack}/Go", f"{pack}/c"))
    flyte.flow(step(f"{pack}/Done", f"{other}/c", input="heard"))
    flyte.event(pack, "Go")
    flyte.finish(flyte.take(pack), "Done")
    assert flyte.take(other)["input"] == "heard"


def test_an_empty_depends_on_counts_as_none(flyte: Any, step: Step, pack: str) -> None:
    """3. dependsOn: an empty list is not stored, so counts as none"""
    flyte.flow(step(f"{pack}/Go", f"{pack}/c", dependsOn=[]))
    flyte.event(pack, "Go")
    flyte.take(pack)


def test_names_are_compared_exactly(flyte: Any, step: Step, pack: str) -> None:
    """3. Names are compared exactly"""
    flyte.flow(step(f"{pack}/Go", f"{pack}/c"))
    flyte.event(pack, "go")
    flyte.event(pack, "Go ")
    flyte.quiet(pack)


def test_continuation_path(flyte: Any, step: Step, pack: str) -> None:
    """3. Continuation path (results only): same execution, the finished action's context"""
    flow = flyte.flow(
        step(f"{pack}/Go", f"{pack}/one", id="a", context={"who": "{{ Event.Payload }}"}),
        step(
            f"{pack}/Done",
            f"{pack}/two",
            id="b",
            dependsOn=["a"],
            context={"more": "{{ Context.who }}!", "blind": "{{ Context.more }}"},
            input="{{ Context.who }} {{ Context.more }} {{ Context.blind }} {{ Event.Payload }}",
        ),
    )
    flyte.event(pack, "Go", "Ada")
    flyte.finish(flyte.take(pack), "Done", "x")
    action = flyte.take(pack)
    assert (action["command"], action["input"]) == ("two", "Ada Ada!  x")
    [execution] = flyte.executions(flow)
    assert set(execution["actions"]) == {"a", "b"}
    assert execution["actions"]["b"]["context"] == {"who": "Ada", "more": "Ada!", "blind": ""}


def test_events_do_not_continue(flyte: Any, step: Step, pack: str) -> None:
    """3. Continuation path: results only"""
    flyte.flow(
        step(f"{pack}/Go", f"{pack}/one", id="a"),
        step(f"{pack}/Done", f"{pack}/two", id="b", dependsOn=["a"]),
    )
    flyte.event(pack, "Go")
    action = flyte.take(pack)
    flyte.event(pack, "Done")
    flyte.quiet(pack)
    flyte.finish(action, "Other")
    flyte.quiet(pack)


def test_depends_on_is_or(flyte: Any, step: Step, pack: str) -> None:
    """3. dependsOn: at least one (OR, not AND)"""
    flyte.flow(
        step(f"{pack}/Go", f"{pack}/one", id="a"),
        step(f"{pack}/Done", f"{pack}/two", id="b", dependsOn=["never", "a"]),
    )
    flyte.event(pack, "Go")
    flyte.finish(flyte.take(pack), "Done")
    assert flyte.take(pack)["command"] == "two"


def test_depends_on_wants_a_finished_step(flyte: Any, step: Step, pack: str) -> None:
    """3. dependsOn: a finished (SUCCESS or FATAL) action"""
    flyte.flow(
        step(f"{pack}/Go", f"{pack}/one", id="a"),
        step(f"{pack}/Go", f"{pack}/slow", id="slow"),
        step(f"{pack}/Done", f"{pack}/two", id="b", dependsOn=["slow"]),
    )
    flyte.event(pack, "Go")
    actions = {action["command"]: action for action in (flyte.take(pack), flyte.take(pack))}
    flyte.finish(actions["one"], "Done")
    flyte.quiet(pack)
    flyte.finish(actions["slow"], "Done")
    assert flyte.take(pack)["command"] == "two"


def test_fatal_is_an_ordinary_event(flyte: Any, step: Step, pack: str) -> None:
    """3. FATAL is an ordinary event to flows, and satisfies dependsOn"""
    flow = flyte.flow(
        step(f"{pack}/Go", f"{pack}/one", id="a"),
        step(
            f"{pack}/FATAL", f"{pack}/mourn", id="b", dependsOn=["a"], input="{{ Event.Payload }}"
        ),
    )
    flyte.event(pack, "Go")
    flyte.finish(flyte.take(pack), "FATAL", "boom")
    assert flyte.take(pack)["input"] == "boom"
    assert flyte.executions(flow)[0]["actions"]["a"]["state"]["value"] == "FATAL"


def test_a_step_without_depends_on_runs_twice(flyte: Any, step: Step, pack: str) -> None:
    """3. A step with no dependsOn that listens to a result of the same flow runs twice"""
    other = flyte.pack()
    body = [
        step(f"{pack}/Go", f"{pack}/one", id="a", context={"c": "from a"}),
        step(f"{pack}/Done", f"{other}/two", id="b", input="{{ Context.c }}"),
    ]
    flow = flyte.flow(*body)
    flyte.event(pack, "Go")
    flyte.finish(flyte.take(pack), "Done")
    assert {flyte.take(other)["input"] for _ in range(2)} == {"", "from a"}
    flyte.quiet(other)
    assert len(flyte.executions(flow)) == 2


def test_a_step_runs_once_per_execution(flyte: Any, step: Step, pack: str) -> None:
    """3. A step runs at most once per execution (no loops)"""
    flyte.flow(
        step(f"{pack}/Go", f"{pack}/a", id="a"),
        step(f"{pack}/Go", f"{pack}/b", id="b"),
        step(f"{pack}/Done", f"{pack}/c", id="c", dependsOn=["a", "b"]),
    )
    flyte.event(pack, "Go")
    first, second = flyte.take(pack), flyte.take(pack)
    flyte.finish(first, "Done")
    assert flyte.take(pack)["command"] == "c"
    flyte.finish(second, "Done")
    flyte.quiet(pack)


def test_steps_without_id(flyte: Any, step: Step, pack: str) -> None:
    """3. Steps without id share the empty id: several fire on one event, then no other can"""
    flow = flyte.flow(
        step(f"{pack}/Go", f"{pack}/a"),
        step(f"{pack}/Go", f"{pack}/b"),
        step(f"{pack}/Done", f"{pack}/c", dependsOn=[""]),
        step(f"{pack}/Done", f"{pack}/d", id="d", dependsOn=[""]),
    )
    flyte.event(pack, "Go")
    first, second = flyte.take(pack), flyte.take(pack)
    assert {first["command"], second["command"]} == {"a", "b"}
    flyte.finish(first, "Other")
    flyte.finish(second, "Done")
    assert flyte.take(pack)["command"] == "d"
    flyte.quiet(pack)
    assert set(flyte.executions(flow)[0]["actions"]) == {"", "d"}


def test_contexts_of_branches_are_not_merged(flyte: Any, step: Step, pack: str) -> None:
    """3. Contexts of parallel branches are not merged"""
    flyte.flow(
        step(f"{pack}/Go", f"{pack}/a", id="a", context={"a": "A"}),
        step(f"{pack}/Go", f"{pack}/b", id="b", context={"b": "B"}),
        step(
            f"{pack}/DoneB",
            f"{pack}/c",
            id="c",
            dependsOn=["b"],
            input="{{ Context.a }}{{ Context.b }}",
        ),
    )
    flyte.event(pack, "Go")
    actions = {action["command"]: action for action in (flyte.take(pack), flyte.take(pack))}
    flyte.finish(actions["a"], "DoneA")
    flyte.finish(actions["b"], "DoneB")
    assert flyte.take(pack)["input"] == "B"


def test_event_labels_are_a_subset(flyte: Any, step: Step) -> None:
    """3. event.packLabels templated, must be a subset of the sender's labels"""
    name = flyte.name("Sub")
    dev = flyte.pack(name, labels={"env": "dev", "zone": "a"})
    plain = flyte.pack(name)
    body = step(f"{name}/Go", f"{name}/c", input="{{ Event.Pack.Id }}")
    body["event"]["packLabels"] = {"env": "{{ Event.Payload }}"}
    flyte.flow(body)
    flyte.event(plain, "Go", "dev")
    flyte.event(dev, "Go", "prod")
    flyte.quiet(dev)
    flyte.event(dev, "Go", "dev")
    assert flyte.take(dev)["input"] == dev


def test_labels_misspelt_are_ignored(flyte: Any, step: Step, pack: str) -> None:
    """3. `labels:` instead of `packLabels:` is silently ignored"""
    body = step(f"{pack}/Go", f"{pack}/c")
    body["command"]["labels"] = body["event"]["labels"] = {"env": "nowhere"}
    flyte.flow(body)
    flyte.event(pack, "Go")
    flyte.take(pack)


@pytest.mark.parametrize(
    ("criteria", "runs"),
    [(text, True) for text in ("1", "t", "T", "TRUE", "true", "True", "{{ Event.Payload == 'p' }}")]
    + [(text, False) for text in ("0", "f", "F", "FALSE", "false", "False", "{{ 1 == 2 }}")]
    + [(text, False) for text in (" True", "True ", "yes", "tRUE", "{{ Context.none }}", "2")],
)
def test_criteria(flyte: Any, step: Step, pack: str, criteria: str, runs: bool) -> None:
    """3. criteria parsed by Go's ParseBool; anything else is an error, the step is skipped"""
    flyte.flow(step(f"{pack}/Go", f"{pack}/c", criteria=criteria))
    flyte.event(pack, "Go", "p")
    if runs:
        flyte.take(pack)
    else:
        flyte.quiet(pack)


def test_criteria_see_the_new_context(flyte: Any, step: Step, pack: str) -> None:
    """3. criteria templated (with the new context)"""
    body = {"context": {"x": "{{ Event.Payload }}"}, "criteria": "{{ Context.x == 'p' }}"}
    flyte.flow(step(f"{pack}/Go", f"{pack}/c", **body))
    flyte.event(pack, "Go", "p")
    flyte.take(pack)


def test_input_is_rendered_throughout(flyte: Any, step: Step, pack: str) -> None:
    """4. Every string inside input, recursively, not map keys; null map values disappear"""
    given = {"{{ 1 }}": ["{{ Event.Name }}", {"a": "{{ Event.Payload.n }}", "z": None}], "t": True}
    flyte.flow(step(f"{pack}/Go", f"{pack}/c", input=given))
    flyte.event(pack, "Go", {"n": 7})
    assert flyte.take(pack)["input"] == {"{{ 1 }}": ["Go", {"a": "7.000000"}], "t": True}


BROKEN: dict[str, dict[str, Any]] = {
    "null in a list": {"input": ["a", None]},
    "missing datastore key": {"context": {"x": "{{ datastore('none') }}"}, "criteria": "false"},
    "bad label template": {"event_labels": {"a": "{{ Event.Payload.x.y|matchesCron:'x' }}"}},
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_step_is_skipped_and_the_others_run(
    flyte: Any, step: Step, pack: str, what: str
) -> None:
    """3. An error anywhere is logged and the step skipped"""
    fields = dict(BROKEN[what])
    broken = step(f"{pack}/Go", f"{pack}/broken", id="broken")
    broken["command"]["input"] = fields.pop("input", None)
    broken["event"]["packLabels"] = fields.pop("event_labels", {})
    flow = flyte.flow(broken | fields, step(f"{pack}/Go", f"{pack}/fine", id="fine"))
    flyte.event(pack, "Go", {"x": {}})
    assert flyte.take(pack)["command"] == "fine"
    flyte.quiet(pack)
    [execution] = flyte.executions(flow)
    skipped = [step["stepId"] for step in execution.get("skipped", [])]
    assert skipped == flyte.differs(
        here=["broken"], go=[], why="a step that silently does nothing cannot be repaired"
    )


def test_running_executions_keep_their_version(flyte: Any, step: Step, pack: str) -> None:
    """3. Editing or deleting a flow does not touch running executions"""
    name = flyte.name("versions")
    first = step(f"{pack}/Go", f"{pack}/one", id="a")

    def after(text: str) -> dict[str, Any]:
        return step(f"{pack}/Done", f"{pack}/two", id="b", dependsOn=["a"], input=text)

    flyte.flow(first, after("old"), name=name)
    flyte.event(pack, "Go")
    old = flyte.take(pack)
    flyte.flow(first, after("new"), name=name)
    flyte.event(pack, "Go")
    new = flyte.take(pack)
    assert flyte.status("DELETE", f"/v1/flows/{name}") == 204
    flyte.finish(new, "Done")
    assert flyte.take(pack)["input"] == "new"
    flyte.finish(old, "Done")
    assert flyte.take(pack)["input"] == "old"
    flyte.event(pack, "Go")
    flyte.quiet(pack)
    assert len({each["uuid"] for each in flyte.executions(name)}) == 2


def test_a_flow_can_loop_over_executions(flyte: Any, step: Step, pack: str) -> None:
    """3. A flow whose step listens to the event its own command outputs loops forever"""
    flow = flyte.flow(step(f"{pack}/Tick", f"{pack}/tick", id="t"))
    flyte.event(pack, "Tick")
    for _ in range(4):
        flyte.finish(flyte.take(pack), "Tick")
    flyte.take(pack)
    assert len(flyte.executions(flow)) == 5

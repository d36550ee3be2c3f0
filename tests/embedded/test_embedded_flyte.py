"""The interface for the host: callbacks, flows from files, the log, the end."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flyte_host.clock import Clock
from flyte_host.embedded import FlowInvalid
from flyte_host.embedded.database_opener import open_database
from flyte_host.embedded.flow_store import FlowStore
from flyte_host.embedded.ids import Ids
from flyte_host.log_fields import TEXTS

FLOW = """
name: greet
steps:
- event: {packName: P, name: Go}
  command: {packName: P, name: hello}
"""


def test_put_flow(call: Any) -> None:
    assert call.flyte.put_flow(FLOW, source="greet.yaml") == "greet"
    call.event("Go")
    assert call.take()["command"] == "hello"


def test_put_flow_in_json(call: Any) -> None:
    assert call.flyte.put_flow('\n{"name": "j", "steps": []}', source="j.json") == "j"


def test_put_flow_again_makes_a_version_only_if_it_changed(call: Any) -> None:
    call.flyte.put_flow(FLOW, source="greet.yaml")
    call.event("Go")
    call.flyte.put_flow(FLOW + "# a comment", source="greet.yaml")
    call.event("Go")
    call.flyte.put_flow(FLOW.replace("hello", "hi"), source="greet.yaml")
    call.event("Go")
    versions = [execution["uuid"] for execution in call.executions()]
    assert len(versions) == 3
    assert len(set(versions)) == 2


MANY = (
    "a.yaml:3: steps[0].id is 5, expected text; "
    "a.yaml:3: steps[0].event is missing, expected an object with name, packName, packLabels; "
    "a.yaml:3: steps[0].command is missing, "
    "expected an object with name, packName, packLabels, input"
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name: [", "a.yaml: the document cannot be read: found invalid YAML: while parsing"),
        ('{"name": ', "a.yaml: the document cannot be read: the body is not valid JSON: Expecting"),
        ("", "a.yaml: the document is null, expected an object with name, description, steps"),
        ("name: x\nsteps:\n- id: 5\n", MANY),
    ],
)
def test_put_flow_names_all_problems(call: Any, text: str, problem: str) -> None:
    with pytest.raises(FlowInvalid) as raised:
        call.flyte.put_flow(text, source="a.yaml")
    assert str(raised.value).startswith(problem)
    assert isinstance(raised.value, ValueError)


class FlyteListener:
    """Notes what an embedded flyte reports, and what could be taken at that moment."""

    def __init__(self) -> None:
        self.actions: list[Any] = []
        self.events: list[Any] = []
        self.call: Any = None

    def wake(self, pack_name: str, labels: Any) -> None:
        self.actions.append((pack_name, dict(labels)))
        assert self.call.executions()

    def on_event(self, pack: str, name: str, payload: Any) -> None:
        self.events.append((pack, name, payload))


def test_listeners(start: Callable[..., Any], step: Any) -> None:
    """Push without polling: a new action wakes the pack's poller through a callback"""
    heard = FlyteListener()
    heard.call = call = start(waker=heard, on_event=heard.on_event)
    pack = call.pack(labels={"env": "dev"})
    other = step("Done", "c")
    other["command"] |= {"packName": "Q", "packLabels": {"zone": "{{ Event.Payload.z }}"}}
    call.flow(step("Go", "a", id="a"), other)
    call.event("Go", {"n": 1}, pack=pack)
    assert heard.actions == [("P", {})]
    call.finish(call.take(pack), "Done", {"z": "x"})
    assert heard.actions == [("P", {}), ("Q", {"zone": "x"}), ("Q", {"zone": "x"})]
    call.event("Nothing", pack=pack)
    assert heard.events == [
        (pack, "Go", {"n": 1}),
        (pack, "Done", {"z": "x"}),
        (pack, "Nothing", None),
    ]


def test_nothing_is_told_of_what_was_refused(start: Callable[..., Any], step: Any) -> None:
    heard = FlyteListener()
    heard.call = call = start(waker=heard, on_event=heard.on_event)
    call.pack()
    call("POST", "/v1/packs/P/events", data=b"{bad")
    call("POST", "/v1/packs/P/actions/x/result", data=b"{}")
    assert (heard.actions, heard.events) == ([], [])


def test_a_listener_that_fails_costs_nothing(
    start: Callable[..., Any], step: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise KeyError("listener")

    call = start(waker=SimpleNamespace(wake=fail), on_event=fail)
    call.pack()
    call.flow(step("Go", "c"), step("Go", "d"))
    call.event("Go")
    assert [call.take()["command"], call.take()["command"]] == ["c", "d"]
    assert "a listener failed on ('P', 'Go')" in caplog.text


def test_the_log(call: Any, step: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Log story: INFO flow and pack stored, deleted; WARNING skipped"""
    caplog.set_level(logging.DEBUG, "flyte_host.embedded")
    call.pack("New")
    call.pack("New")
    call.flow(step("Go", "c", id="fine"), step("Go", "c", id="bad", criteria="yes"))
    call.event("Go")
    call("DELETE", "/v1/flows/flow")
    call("DELETE", "/v1/packs/New")
    call.pack("New")
    [execution] = call.executions()
    nobody = "pack 'P' has no command 'c'"
    why = execution["skipped"][0]["reason"]
    records = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert records == [
        ("INFO", "registered pack New"),
        ("INFO", "stored flow flow with 2 steps"),
        ("DEBUG", "event Go of pack P: 1 flow acts"),
        ("WARNING", f"flow flow, step 'bad' skipped on event Go of pack P: {why}"),
        ("INFO", "flow flow, step 'fine': queued c for pack P"),
        ("WARNING", f"flow flow, step 'fine': the action waits: {nobody}"),
        ("INFO", "deleted flow flow"),
        ("INFO", "deleted pack New"),
        ("INFO", "registered pack New"),
    ]
    action = execution["actions"]["fine"]
    about = {"flow": "flow", "execution": execution["correlationId"], "event": "Go"}
    fields = [{name: vars(each).get(name) for name in TEXTS} for each in caplog.records]
    assert fields[1] == dict.fromkeys(TEXTS) | {"flow": "flow"}
    assert fields[3] == dict.fromkeys(TEXTS) | about | {"step": "bad"}
    assert fields[4] == fields[5] == dict.fromkeys(TEXTS) | about | {
        "step": "fine", "command": "c", "action": action["id"],
    }  # fmt: skip


def test_a_skipped_step_is_in_the_audit(call: Any, step: Any) -> None:
    """A step that fails to render is skipped, but never invisible"""
    call.flow(step("Go", "c", id="a"), step("Done", "d", id="b", dependsOn=["a"], criteria="yes"))
    call.event("Go", "p")
    call.finish(call.take(), "Done")
    [execution] = call.executions()
    assert list(execution) == [
        "name", "uuid", "correlationId", "steps", "actions", "skipped", "links",
    ]  # fmt: skip
    [skipped] = execution["skipped"]
    assert list(skipped) == ["stepId", "event", "reason", "time"]
    assert (skipped["stepId"], skipped["event"]["event"]) == ("b", "Done")
    assert "criteria" in skipped["reason"]
    assert skipped["time"] == "2026-11-23T21:00:00.123Z"
    assert len(call.executions("?stepId=b")) == 1
    assert len(call.executions("?stepId=b&actionName=d")) == 0


def test_an_execution_of_skipped_steps_only_is_visible(call: Any, step: Any) -> None:
    call.flow(step("Go", "c", criteria="yes"), step("Go", "c", criteria="false"))
    call.event("Go", "p")
    [execution] = call.executions("?flowName=flow")
    assert execution["actions"] == {}
    assert len(execution["skipped"]) == 1
    assert call.take() is None


def test_no_execution_without_anything_to_say(call: Any, step: Any) -> None:
    call.flow(step("Go", "c", criteria="false"))
    call.event("Go")
    assert call.executions() == []


def test_a_version_that_is_gone_ends_its_execution(
    start: Callable[..., Any], step: Any, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    call = start()
    call.pack()
    call.flow(step("Go", "c", id="a"), step("Done", "d", id="b", dependsOn=["a"]))
    call.event("Go")
    action = call.take()
    call.flow()
    database = open_database(store)
    database.write(lambda db: db.execute("DELETE FROM flow_version WHERE replaced IS NOT NULL"))
    database.close()
    again = start()
    assert again.finish(action, "Done") == 202
    assert again.take() is None
    assert "no longer exists: its execution ends with action" in caplog.text


def test_flows_are_parsed_once_and_the_cache_is_bounded(call: Any, step: Any, store: Path) -> None:
    for name in "abc":
        call.flow(step("Go", name), name=name)
    database = open_database(store)
    large, small = (FlowStore(database, max_cached_bytes=size) for size in (1000, 1))

    def parses_again(flows: FlowStore) -> list[bool]:
        first, again = flows.all(), flows.all()
        assert [flow.name for flow in first] == ["a", "b", "c"]
        assert first == again
        return [one is not other for one, other in zip(first, again, strict=True)]

    assert parses_again(large) == [False, False, False]
    assert parses_again(small) == [True, True, True]
    database.close()


def test_two_in_one_process(start: Callable[..., Any], tmp_path: Any) -> None:
    one, two = start(tmp_path / "1.db"), start(tmp_path / "2.db")
    one.pack()
    assert two("GET", "/v1/packs/P").status_code == 404


def test_close(call: Any, caplog: pytest.LogCaptureFixture) -> None:
    """GET /health: 500"""
    call.flyte.close()
    answer = call("GET", "/health")
    assert answer.status_code == 500
    assert answer.get_json()["error"].startswith("internal error: P")  # each its own class
    assert "internal error in GET /health" in caplog.text


def test_ids() -> None:
    time = datetime(2026, 11, 23, 21, 0, tzinfo=UTC)
    first, second = Ids(Clock(now=lambda: time)), Ids(Clock(now=lambda: time))
    made = [ids.next() for ids in (first, second) for _ in range(1000)]
    assert len(set(made)) == 2000
    assert {len(bytes.fromhex(each)) for each in made} == {12}
    assert {int(each[:8], 16) for each in made} == {int(time.timestamp())}
    later = Ids(Clock(now=lambda: time.replace(second=1))).next()
    assert later > max(made)

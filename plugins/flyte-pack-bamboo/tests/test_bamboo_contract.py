"""What the Go pack did, against a stand-in for Bamboo, and where this one differs on purpose."""

from collections.abc import Callable
from typing import Any

import pytest
from flyte_pack_bamboo import BambooPack

from flyte_host.testing import Example, check_contract
from tests.support.rest_stand_in import RestReply, RestStandIn

from .bamboo_stand_in import BUILD, COMMANDS, PASSWORD, PLAN, USER, BambooServer

Call = Callable[..., tuple[str, Any]]
MakePack = Callable[..., BambooPack]

API = "/rest/api/latest"


def test_the_definition_is_the_go_packs(make_pack: MakePack) -> None:
    definition = make_pack("http://bamboo").flyte_pack()
    assert (definition.name, dict(definition.labels)) == ("Bamboo", {})
    help_url = "https://github.com/ExpediaGroup/flyte-bamboo/blob/master/README.md"
    assert definition.help_url == help_url
    assert list(definition.event_defs) == []
    commands = definition.commands
    declared = [(each.name, [event.name for event in each.output_events]) for each in commands]
    assert declared == list(COMMANDS.items())
    idempotent = {each.name for each in commands if each.idempotent}
    assert idempotent == {"EnablePlan", "GetLifecycleState"}


def test_it_keeps_the_contract_of_packs(bamboo: BambooServer, served: RestStandIn) -> None:
    bamboo.labels[BUILD] = ["x"] * 9
    given = {"build": BUILD, "plan": PLAN, "label": "x", "stage": "Build", "comment": "c"}
    settings = {"url": served.url, "user": USER, "password": PASSWORD}
    examples = [Example(command, given, events[0]) for command, events in COMMANDS.items()]
    examples += [Example(command, {}, events[1]) for command, events in COMMANDS.items()]
    check_contract(BambooPack, settings, examples=examples)


def test_labels(bamboo: BambooServer, pack: BambooPack, call: Call) -> None:
    label = {"label": "a b/c", "build": BUILD}
    assert call(pack, "AddLabel", label | {"BUILD": BUILD, "x": 1}) == ("AddedLabel", label)
    assert bamboo.labels == {BUILD: ["a b/c"]}
    assert call(pack, "DeleteLabel", label) == ("DeletedLabel", label)
    assert bamboo.labels == {BUILD: []}
    path = f"{API}/result/{BUILD}/label/a b/c"
    error = f"Fail: could not delete label: DELETE failed: path={path} : label=a b/c"
    expected = label | {"error": f"{error} : statusCode=404 (Not found.)"}
    assert call(pack, "DeleteLabel", label) == ("FailedToDeleteLabel", expected)
    path = f"{API}/result/NO-1/label"
    error = f"Fail: Could not apply label: POST failed: path={path} : label=x : statusCode=404"
    expected = {"build": "NO-1", "label": "x", "error": f"{error} (label not found.)"}
    given = {"build": "NO-1", "label": "x"}
    assert call(pack, "AddLabel", given) == ("FailedToAddLabel", expected)


def test_a_comment(
    bamboo: BambooServer, pack: BambooPack, strict_pack: BambooPack, call: Call
) -> None:
    comment = {"comment": "well done", "build": BUILD}
    assert call(pack, "AddComment", comment) == ("CommentAdded", comment)
    assert bamboo.comments == ["well done"]
    comment["build"] = "NO-1"
    path = f"{API}/result/NO-1/comment"
    about = f"POST failed: path={path} : comment=well done : statusCode=404"
    error = f"Fail: could not apply Comment: {about} (comment not found.)"
    expected = comment | {"label": "well done", "error": error}
    assert call(pack, "AddComment", comment) == ("FailedToAddComment", expected)
    del expected["label"]
    assert call(strict_pack, "AddComment", comment) == ("FailedToAddComment", expected)


def test_a_plan(
    bamboo: BambooServer, pack: BambooPack, strict_pack: BambooPack, call: Call
) -> None:
    plan = {"plan": PLAN}
    assert call(pack, "EnablePlan", plan) == ("PlanEnabled", plan)
    assert bamboo.enabled
    assert call(pack, "TriggerPlan", plan) == ("PlanTriggered", plan)
    assert bamboo.queued == [{"executeAllStages": "false"}]
    told = f"POST failed: path={API}/plan/NO/enable : plan=NO : statusCode=404 (enable not found.)"
    expected = {"plan": "NO", "error": f"Fail: could not enable plan: {told}"}
    assert call(pack, "EnablePlan", {"plan": "NO"}) == ("FailedToEnablePlan", expected)
    told = f"POST failed: path={API}/queue/NO : plan=NO : statusCode=404 (Plan NO not found.)"
    error = f"Fail: Could not start Plan: {told}"
    expected = {"plan": error, "error": "NO"}
    assert call(pack, "TriggerPlan", {"plan": "NO"}) == ("FailedToTriggerPlan", expected)
    expected = {"plan": "NO", "error": error}
    assert call(strict_pack, "TriggerPlan", {"plan": "NO"}) == ("FailedToTriggerPlan", expected)


@pytest.mark.parametrize("variables", [None, {"a&b": "c d=é", "x": ""}])
def test_a_stage(bamboo: BambooServer, pack: BambooPack, call: Call, variables: Any) -> None:
    stage = {"build": BUILD, "stage": "Deploy & go", "vars": variables}
    assert call(pack, "StartStage", stage) == ("StartStageSuccess", stage)
    query = {f"bamboo.variable.{name}": value for name, value in (variables or {}).items()}
    expected = {"stage": "Deploy & go", "executeAllStages": "false"} | query
    assert bamboo.queued == [expected]


@pytest.mark.parametrize(
    ("status", "told"),
    [(404, "bamboo is returning a 404 error"), (299, "bamboo is returning a 299 error"),
     (500, "bamboo is returning a 500 error")],
)  # fmt: skip
def test_a_stage_that_fails(
    served: RestStandIn, pack: BambooPack, strict_pack: BambooPack, call: Call,
    *, status: int, told: str,
) -> None:  # fmt: skip
    stage = {"build": BUILD, "stage": "Deploy", "vars": {"a": "b"}}
    error = f"Fail: {told}. Build: {BUILD},stage: Deploy"
    served.next_replies += [RestReply(status)] * 2
    expected = stage | {"build": error, "error": error}
    assert call(pack, "StartStage", stage) == ("FailedToStartStage", expected)
    expected = stage | {"error": error}
    assert call(strict_pack, "StartStage", stage) == ("FailedToStartStage", expected)


@pytest.mark.parametrize(
    ("retries", "not_yet", "asked", "event"),
    [
        (0, 1, 1, "FailedToStartStage"),
        (1, 1, 1, "FailedToStartStage"),
        (3, 2, 3, "StartStageSuccess"),
        (3, 3, 3, "FailedToStartStage"),
        (-1, 0, 1, "StartStageSuccess"),
    ],
)
def test_a_stage_that_is_not_ready(
    bamboo: BambooServer, served: RestStandIn, strict_pack: BambooPack, call: Call,
    *, retries: int, not_yet: int, asked: int, event: str,
) -> None:  # fmt: skip
    bamboo.not_yet = not_yet
    stage = {"build": BUILD, "stage": "Deploy", "maxRetry": retries, "delay": 0}
    name, payload = call(strict_pack, "StartStage", stage)
    assert (name, len(served.requests)) == (event, asked)
    reached = "Fail: failed to progress reached maximum number of retryCount: "
    if name == "FailedToStartStage":
        assert payload["error"].startswith(f"{reached}[{retries}]")


def test_a_stage_without_a_delay_is_not_asked_for_hours(
    bamboo: BambooServer, served: RestStandIn, make_pack: MakePack, call: Call
) -> None:
    bamboo.not_yet = 10**9
    pack = make_pack(served.url, max_retry_seconds=5)
    stage = {"build": BUILD, "stage": "Deploy", "maxRetry": 10**9, "delay": 0}
    assert call(pack, "StartStage", stage)[0] == "FailedToStartStage"
    assert len(served.requests) == 6


def test_a_stage_waits_no_longer_than_allowed(
    bamboo: BambooServer, served: RestStandIn, make_pack: MakePack, call: Call
) -> None:
    bamboo.not_yet = 9
    pack = make_pack(served.url, max_retry_seconds=100)
    stage = {"build": BUILD, "stage": "Deploy", "maxRetry": 9, "delay": 101}
    assert call(pack, "StartStage", stage)[0] == "FailedToStartStage"
    assert len(served.requests) == 1


@pytest.mark.parametrize(
    ("stage", "lifecycle", "state"),
    [("Build", "Finished", "Successful"), ("Deploy", "NotBuilt", "Unknown"), ("None", "", "")],
)
def test_a_state(pack: BambooPack, call: Call, stage: str, lifecycle: str, state: str) -> None:
    wanted = {"build": BUILD, "stage": stage}
    expected = wanted | {"lifecycle": lifecycle, "state": state}
    assert call(pack, "GetLifecycleState", wanted) == ("GetLifeCycleState", expected)


def test_an_unknown_stage_without_compatibility(strict_pack: BambooPack, call: Call) -> None:
    wanted = {"build": BUILD, "stage": "None"}
    expected = wanted | {"error": f"build '{BUILD}' has no stage 'None'"}
    assert call(strict_pack, "GetLifecycleState", wanted) == ("GetLifeCycleFailed", expected)


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (RestReply(404, {"message": "No such build."}), "statusCode=404 (No such build.)"),
        (RestReply(401, {"message": f"not {PASSWORD}"}), "statusCode=401 (not ***)"),
        (RestReply(200, b"<html>"), "err=not valid JSON: it is a page of HTML"),
        (RestReply(200, {"stages": {"stage": {}}}), "err=json: cannot unmarshal object into field"),
    ],
)
def test_a_state_that_cannot_be_read(
    served: RestStandIn, pack: BambooPack, call: Call, reply: RestReply, told: str
) -> None:
    """A body that was not JSON ended the process of the Go pack."""
    served.next_replies.append(reply)
    name, payload = call(pack, "GetLifecycleState", {"build": BUILD, "stage": "Build"})
    assert name == "GetLifeCycleFailed"
    about = f"GET failed: path={API}/result/{BUILD}.json : stage=Build : {told}"
    assert payload["error"].startswith(about)


@pytest.mark.parametrize("command", COMMANDS)
def test_bad_input(pack: BambooPack, strict_pack: BambooPack, call: Call, command: str) -> None:
    key = "plan" if command.endswith("Plan") else "build"
    told = f"json: cannot unmarshal number into field {key} of type string"
    text = f"could not marshal {command} command input: {told}"
    assert call(pack, command, {key: 5}) == ("FATAL", f"Input is invalid: {text}")
    name, payload = call(strict_pack, command, {key: 5})
    assert (name, payload[key]) == (COMMANDS[command][1], "")
    assert payload["error"].removeprefix("Fail: ") == text


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("value", ["..", "../../admin?x=1#"])
def test_keys_cannot_lead_elsewhere(
    served: RestStandIn, strict_pack: BambooPack, call: Call, command: str, value: str
) -> None:
    given = {"build": value, "plan": value, "label": value, "stage": value, "comment": value}
    assert call(strict_pack, command, given)[0] == COMMANDS[command][1]
    for request in served.requests:
        assert request.raw_path.startswith(f"{API}/")
        assert "../" not in request.raw_path
        assert "admin?" not in request.raw_path


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_given(pack: BambooPack, call: Call, command: str) -> None:
    assert call(pack, command, None)[0] == COMMANDS[command][1]

"""Section 1, the audit."""

from typing import Any

import pytest


@pytest.fixture
def story(flyte: Any, step: Any) -> dict[str, Any]:
    """An execution with a finished first step and a second that waits."""
    pack = flyte.pack(labels={"env": "dev"})
    name = pack.removesuffix(".env.dev")
    first = step(
        f"{name}/Go",
        f"{name}/echo",
        id="kick",
        context={"w": "{{ Event.Payload.w }}"},
        input={"a": "<{{ Context.w }}>"},
    )
    first["command"]["packLabels"] = {"env": "dev"}
    second = step(f"{name}/Echoed", f"{name}/two", id="after", dependsOn=["kick"])
    flow = flyte.flow(first, second)
    body = {"event": "Go", "payload": {"w": "x"}, "createdAt": "2026-11-23T21:00:00.123456789Z"}
    assert flyte.status("POST", f"/v1/packs/{pack}/events", json=body) == 202
    flyte.finish(flyte.take(pack), "Echoed")
    flyte.until(lambda: len(flyte.executions(flow)[0]["actions"]) == 2)
    return {"flow": flow, "pack": pack, "name": name}


def test_an_execution(flyte: Any, story: dict[str, Any]) -> None:
    """GET /v1/audit/flows"""
    [execution] = flyte.executions(story["flow"])
    assert list(execution) == ["name", "uuid", "correlationId", "steps", "actions", "links"]
    assert execution["name"] == story["flow"]
    assert [step["id"] for step in execution["steps"]] == ["kick", "after"]
    kick = execution["actions"]["kick"]
    assert list(kick) == [
        "id", "name", "packName", "packLabels", "input", "state", "states", "correlationId",
        "flowName", "flowUUID", "stepId", "context", "trigger", "result",
    ]  # fmt: skip
    assert kick["input"] == {"a": "<x>"}
    assert [state["value"] for state in kick["states"]] == ["NEW", "PENDING", "SUCCESS"]
    assert kick["state"] == kick["states"][-1]
    assert kick["flowUUID"] == execution["uuid"]
    assert kick["correlationId"] == execution["correlationId"]
    pack = {"id": story["pack"], "name": story["name"], "labels": {"env": "dev"}}
    received = kick["trigger"].pop("receivedAt")
    assert len(received) <= len("2026-11-23T21:00:00.123Z")
    assert kick["trigger"] == {
        "event": "Go",
        "pack": pack,
        "payload": {"w": "x"},
        "createdAt": "2026-11-23T21:00:00.123Z",
    }
    assert list(kick["result"]) == ["event", "pack", "createdAt", "receivedAt"]
    assert kick["result"]["createdAt"] == kick["result"]["receivedAt"]


def test_an_action_that_is_not_finished(flyte: Any, story: dict[str, Any]) -> None:
    """GET /v1/audit/flows: the shape of a result that is not there"""
    [execution] = flyte.executions(story["flow"])
    zero = "0001-01-01T00:00:00Z"
    after = execution["actions"]["after"]
    assert "input" not in after
    assert after["result"] == {
        "event": "",
        "pack": {"id": "", "name": ""},
        "createdAt": zero,
        "receivedAt": zero,
    }


def test_one(flyte: Any, story: dict[str, Any]) -> None:
    """GET /v1/audit/flows/{correlationId}"""
    [execution] = flyte.executions(story["flow"])
    href = execution["links"][0]["href"]
    assert href == f"{flyte.url}/v1/audit/flows/{execution['correlationId']}"
    assert flyte.call("GET", href).json() == execution
    assert flyte.status("GET", f"/v1/audit/flows/{'0' * 24}") == 404


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", True),
        ("&stepId=kick", True),
        ("&stepId=after", True),
        ("&stepId=nope", False),
        ("&actionName=echo", True),
        ("&actionName=nope", False),
        ("&stepId=kick&actionName=echo", True),
        ("&stepId=kick&actionName=two", False),
        ("&actionPackName={name}", True),
        ("&actionPackName=nope", False),
        ("&actionPackLabels=env:dev", True),
        ("&actionPackLabels=%20env%20:%20dev%20,", True),
        ("&actionPackLabels=env:prod", False),
        ("&actionPackLabels=env:dev,zone:a", False),
        ("&actionPackLabels=nonsense", True),
        ("&stepId=after&actionPackLabels=env:dev", False),
        ("&start=0&limit=1", True),
        ("&start=1", False),
    ],
)
def test_filters(flyte: Any, story: dict[str, Any], query: str, found: bool) -> None:
    """GET /v1/audit/flows: filters"""
    executions = flyte.executions(story["flow"], query.format(**story))
    assert [each["name"] for each in executions] == [story["flow"]] * found


def test_nothing_found(flyte: Any) -> None:
    """GET /v1/audit/flows: nothing"""
    base = flyte.url
    assert flyte.call("GET", "/v1/audit/flows?flowName=nope").json() == {
        "flows": [],
        "links": [
            {"href": f"{base}/v1/audit/flows", "rel": "self"},
            {"href": f"{base}/v1", "rel": "up"},
            {"href": f"{base}/swagger#/flowExecs", "rel": "help"},
        ],
    }


@pytest.mark.parametrize(
    ("query", "go"),
    [("limit=0", 500), ("start=-1", 500), ("limit=x", 200), ("start=1.5", 200)],
)
def test_bad_paging(flyte: Any, query: str, go: int) -> None:
    """GET /v1/audit/flows: limit 0 or negative start"""
    assert flyte.status("GET", f"/v1/audit/flows?{query}") == flyte.differs(
        here=400, go=go, why="a number that is none is the caller's mistake, and worth a word"
    )


def test_newest_first_and_paging(flyte: Any, step: Any) -> None:
    """GET /v1/audit/flows: newest first, start and limit"""
    pack = flyte.pack()
    flow = flyte.flow(step(f"{pack}/Go", f"{pack}/c", id="s", input="{{ Event.Payload }}"))
    for number in "abc":
        flyte.event(pack, "Go", number)
        flyte.take(pack)
    pages = [flyte.executions(flow, f"&start={start}&limit=2") for start in (0, 2)]
    inputs = [[each["actions"]["s"]["input"] for each in page] for page in pages]
    assert sorted(inputs[0] + inputs[1]) == ["a", "b", "c"]
    assert [len(page) for page in pages] == [2, 1]

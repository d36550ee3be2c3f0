"""Why a step ran or did not: each reason, from the documents that flyte gives."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from flyte_host.records.execution_record import ExecutionRecord
from flyte_host.records.explanation import NOT_TOLD, explain_silence, explain_steps
from flyte_host.records.flow_record import FlowRecord
from flyte_host.records.pack_record import PackRecord

BEGAN = datetime(2026, 11, 25, 12, tzinfo=UTC)
NOW = BEGAN + timedelta(seconds=90)
QUEUED_90 = "NEW: Shell.Shell has waited for 1 min 30 s:"
PACKS = msgspec.convert(
    [
        {"id": "Shell", "name": "Shell", "lastSeen": BEGAN.isoformat()},
        {"id": "Jira.env.test", "name": "Jira", "labels": {"env": "test"}},
    ],
    list[PackRecord],
)


def event(title: str, payload: Any = None) -> dict[str, Any]:
    pack, _, name = title.partition(".")
    return {"event": name, "pack": {"id": pack, "name": pack}, "payload": payload}


def step(name: str, awaited: str, called: str = "Shell.Shell", **more: Any) -> dict[str, Any]:
    halves = [dict(zip(("packName", "name"), each.split("."), strict=True))
              for each in (awaited, called)]  # fmt: skip
    return {"id": name, "event": halves[0], "command": halves[1], **more}


def action(name: str, *states: str, called: str = "Shell.Shell", **more: Any) -> dict[str, Any]:
    pack, _, command = called.partition(".")
    times = [{"value": each, "time": (BEGAN + timedelta(seconds=n)).isoformat()}
             for n, each in enumerate(states)]  # fmt: skip
    return {"id": f"id-{name}", "name": command, "packName": pack, "stepId": name,
            "state": times[-1], "states": times, "trigger": event("Me.Hello"), **more}  # fmt: skip


def execution(
    steps: list[dict[str, Any]], *actions: dict[str, Any], **more: Any
) -> ExecutionRecord:
    by_step = {each["stepId"]: each for each in actions}
    document = {"name": "f", "correlationId": "1", "steps": steps, "actions": by_step, **more}
    return msgspec.convert(document, ExecutionRecord)


def why(found: ExecutionRecord, name: str) -> str:
    return {each.step: f"{each.did}: {each.why}" for each in explain_steps(found, PACKS, NOW)}[name]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            action("a", "NEW", "PENDING", "SUCCESS", result=event("Shell.Output", {"n": 1})),
            "SUCCESS: Shell.Shell → Output after 2.0 s",
        ),
        (
            action("a", "NEW", "PENDING", "FATAL", result=event("Shell.FATAL", "no such disk")),
            "FATAL: Shell.Shell → FATAL after 2.0 s: no such disk",
        ),
        (
            action("a", "NEW", "FATAL", result=event("Shell.FATAL", "x" * 2000)),
            f"FATAL: Shell.Shell → FATAL after 1.0 s: {'x' * 999}…",
        ),
        (
            action("a", "NEW", "PENDING"),
            "PENDING: Shell.Shell was taken 1 min 29 s ago and has no result yet",
        ),
        (
            action("a", "NEW"),
            f"{QUEUED_90} pack Shell, last seen 1 min 30 s ago, has not taken it",
        ),
        (
            action("a", "NEW", called="Shel.Shell"),
            ("NEW: Shel.Shell has waited for 1 min 30 s: "
             """no pack 'Shel' is registered (did you mean "Shell"?)"""),
        ),
        (
            action("a", "NEW", called="Jira.Info", packLabels={"env": "live"}),
            ("NEW: Jira.Info has waited for 1 min 30 s: no pack 'Jira' has the labels env=live; "
             "registered: Jira.env.test"),
        ),
        (
            action("a", "NEW", called="Jira.Info", packLabels={"env": "test"}),
            "NEW: Jira.Info has waited for 1 min 30 s: pack Jira.env.test has not taken it",
        ),
    ],
    ids=["done", "failed", "at length", "taken", "queued", "no pack", "other labels", "never seen"],
)  # fmt: skip
def test_a_step_with_an_action(given: dict[str, Any], expected: str) -> None:
    assert why(execution([step("a", "Me.Hello")], given), "a") == expected


@pytest.mark.parametrize(
    ("waiting", "more", "expected"),
    [
        (
            step("b", "Shell.Output", dependsOn=["c"]),
            {},
            "did not run: depends on c, which has no result",
        ),
        (
            step("b", "Shell.Outptu", dependsOn=["a"]),
            {},
            ('did not run: waits for Shell.Outptu (did you mean "Shell.Output"?); '
             "came: Me.Hello, Shell.Output"),
        ),
        (
            step("b", "Shell.Version", dependsOn=["a"]),
            {},
            "did not run: waits for Shell.Version; came: Me.Hello, Shell.Output",
        ),
        (step("b", "Shell.Output", dependsOn=["a", "c"]), {}, f"did not run: {NOT_TOLD}"),
        (
            step("b", "Me.Hello"),
            {"declined": [{"stepId": "b", "event": event("Me.Hello"), "reason": "criteria is 'no'",
                           "time": BEGAN.isoformat()}]},
            "did not run: on Me.Hello: criteria is 'no'",
        ),
        (
            step("b", "Me.Hello"),
            {"skipped": [{"stepId": "b", "event": event("Me.Hello"), "reason": "no such name",
                          "time": BEGAN.isoformat()}]},
            "skipped: on Me.Hello: no such name",
        ),
    ],
    ids=["depends", "another event", "an unlike event", "not told", "declined", "skipped"],
)  # fmt: skip
def test_a_step_without_an_action(
    waiting: dict[str, Any], more: dict[str, Any], expected: str
) -> None:
    done = action("a", "NEW", "SUCCESS", result=event("Shell.Output"))
    assert why(execution([step("a", "Me.Hello"), waiting], done, **more), "b") == expected


def test_a_step_without_an_id_goes_by_its_number() -> None:
    found = execution([step("a", "Me.Hello"), step("", "Me.Other")], action("a", "NEW"))
    assert why(found, "2").startswith("did not run: waits for Me.Other")


def test_an_event_that_started_nothing() -> None:
    document = [
        {"name": "f", "steps": [step("a", "Me.Hello"), step("b", "Me.Not", dependsOn=["a"])]}
    ]
    flows = msgspec.convert(document, list[FlowRecord])
    assert explain_silence("Me", "Helo", flows) == (
        'no flow waits for Me.Helo (did you mean "Me.Hello"?)'
    )
    assert explain_silence("Me", "Hello", flows).startswith("f waits for Me.Hello and has started")
    assert explain_silence("Me", "Not", flows) == "no flow waits for Me.Not"


def test_an_execution_at_a_glance() -> None:
    assert execution([]).state == "SKIPPED"
    assert execution([], action("a", "NEW", "SUCCESS"), action("b", "NEW")).state == "RUNNING"
    assert execution([], action("a", "SUCCESS"), action("b", "FATAL")).state == "FATAL"
    done = execution([], action("a", "NEW", "SUCCESS"))
    assert (done.state, done.began, done.changed) == (
        "SUCCESS",
        BEGAN,
        BEGAN + timedelta(seconds=1),
    )
    assert not execution([]).trigger()

"""A trace goes from an event to the actions that it starts, in headers alone."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from flyte_host.embedded.direct_app import DirectApp

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
TRACE = {"traceparent": PARENT, "tracestate": "vendor=1,other=2"}

Step = Callable[..., dict[str, Any]]


def raise_event(call: Any, name: str, headers: dict[str, str] | None = None) -> None:
    answer = call("POST", "/v1/packs/P/events", {"event": name}, headers=headers)
    assert answer.status_code == 202


def take(call: Any) -> TestResponse:
    answer: TestResponse = call("POST", "/v1/packs/P/actions/take")
    assert answer.status_code == 200
    return answer


def trace_of(answer: TestResponse) -> dict[str, str]:
    return {name: answer.headers[name] for name in TRACE if name in answer.headers}


def test_an_action_has_the_trace_of_its_event(call: Any, step: Step) -> None:
    call.flow(step("Go", "c"))
    raise_event(call, "Go", TRACE)
    assert trace_of(take(call)) == TRACE


def test_the_next_action_has_the_trace_of_the_result(call: Any, step: Step) -> None:
    call.flow(step("Go", "c", id="one"), step("Done", "d", id="two", dependsOn=["one"]))
    raise_event(call, "Go", TRACE)
    path = take(call).get_json()["links"][0]["href"].removeprefix("http://localhost")
    answer = call("POST", path, {"event": "Done"}, headers={"traceparent": OTHER})
    assert answer.status_code == 202
    assert trace_of(take(call)) == {"traceparent": OTHER}


@pytest.mark.parametrize("headers", [None, {"traceparent": "nonsense", "tracestate": "a=1"}])
def test_without_a_valid_trace_there_is_none(call: Any, step: Step, headers: Any) -> None:
    call.flow(step("Go", "c"))
    raise_event(call, "Go", headers)
    assert trace_of(take(call)) == {}


def test_bodies_do_not_tell_of_traces(call: Any, step: Step) -> None:
    """They are Go's to the byte."""
    call.flow(step("Go", "c"))
    raise_event(call, "Go", TRACE)
    answer = take(call)
    assert PARENT[3:35] not in answer.text
    assert PARENT[3:35] not in call("GET", "/v1/audit/flows").text


def test_a_trace_survives_a_restart(start: Callable[..., Any], step: Step) -> None:
    before = start()
    before.pack()
    before.flow(step("Go", "c"))
    raise_event(before, "Go", TRACE)
    before.flyte.close()
    assert trace_of(take(start())) == TRACE


def test_a_caller_in_this_process_gets_the_headers_too(call: Any, step: Step) -> None:
    call.flow(step("Go", "c"))
    raise_event(call, "Go", TRACE)
    path = "/v1/packs/P/actions/take"
    answer = DirectApp(call.flyte.router).answer("http://localhost", "POST", path, {}, b"null")
    assert dict(answer.headers).items() >= TRACE.items()


def test_log_lines_name_the_trace(call: Any, step: Step, caplog: pytest.LogCaptureFixture) -> None:
    call.flow(step("Go", "c"))
    with caplog.at_level(logging.INFO, logger="flyte_host.embedded"):
        raise_event(call, "Go", TRACE)
        raise_event(call, "Go")
    queued = [each for each in caplog.records if "queued" in each.message]
    assert [getattr(each, "trace", None) for each in queued] == [PARENT[3:35], None]

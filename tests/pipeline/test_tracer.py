"""A trace goes from a take to the handler and on to the result, whatever records it."""

import asyncio
import contextvars
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flyte_host import Action, Command, Event, EventDef, continue_trace, trace_headers
from flyte_host.clock import Clock
from flyte_host.config import TracesConfig
from flyte_host.model import StepRun, Taken
from flyte_host.pipeline.journal import Journal
from flyte_host.pipeline.tracer import Tracer
from flyte_host.secrets import Scrubber, Secrets
from flyte_host.testing.waiting import wait_until
from flyte_host.traces import make_tracer
from tests.support.collector import Collector
from tests.support.host_parts import OK, ObservingPlugin, PackPlugin, flyte_script
from tests.support.journal_file import write_taken
from tests.support.pipeline_rig import TAKE, PipelineRig
from tests.support.scripted_server import ScriptedServer, Seen, action, reply

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = {"traceparent": PARENT, "tracestate": "vendor=1"}
RESULT = "POST /v1/packs/Demo/actions/a1/result"
EVENTS = "POST /v1/packs/Demo/events"
Handler = Callable[..., Any]
Rigs = Callable[..., PipelineRig]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        flyte_script(running, "Demo")
        running.on(RESULT, reply(202))
        yield running


@pytest.fixture
def rig(server: ScriptedServer, tmp_path: Path) -> Iterator[Rigs]:
    """A running pipeline with a pack of these plugins."""
    made: list[PipelineRig] = []

    def make(plugin: object, tracer: Tracer | None = None) -> PipelineRig:
        state = tmp_path / "flyte-host.db"
        made.append(PipelineRig(server, state, {"demo": plugin}, tracer=tracer).start())
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


def recording(collector: Collector) -> Tracer:
    scrubber = Scrubber()
    return make_tracer(TracesConfig(collector.url), Secrets({}, scrubber), scrubber)


def sync(input: Any) -> Event:
    return OK(trace_headers())


async def in_a_coroutine(input: Any) -> Event:
    await asyncio.sleep(0)
    return OK(trace_headers())


async def in_a_task(input: Any) -> Event:
    async def inner() -> dict[str, str]:
        return trace_headers()

    return OK(await asyncio.create_task(inner()))


def in_a_thread(input: Any) -> Event:
    found: list[dict[str, str]] = []
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(lambda: found.append(trace_headers()),))
    thread.start()
    thread.join()
    return OK(found[0])


def returns_a_coroutine(input: Any) -> Any:
    return in_a_coroutine(input)


def action_itself(input: Any, action: Action) -> Event:
    parent, _, state = action.trace.partition(" ")
    return OK({"traceparent": parent, "tracestate": state} if parent else {})


HANDLERS = [sync, in_a_coroutine, in_a_task, in_a_thread, returns_a_coroutine, action_itself]


def give(server: ScriptedServer, headers: dict[str, str]) -> None:
    """One action; flyte sends these headers with it."""
    server.on(TAKE, reply(200, action(server.url, "Demo", "a1"), **headers), reply(204))


def posted(rig: PipelineRig, server: ScriptedServer, path: str) -> Seen:
    rig.wait_for(path, 1)
    return next(each for each in server.requests if f"{each.method} {each.path}" == path)


def traces(seen: Seen) -> dict[str, str]:
    return {name: seen.headers[name] for name in TRACE if name in seen.headers}


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("headers", [TRACE, {}], ids=["trace", "none"])
def test_a_trace_is_passed_on_though_nobody_records_it(
    rig: Rigs, server: ScriptedServer, handler: Handler, headers: dict[str, str]
) -> None:
    give(server, headers)
    running = rig(PackPlugin(Command("echo", handler, [OK])))
    result = posted(running, server, RESULT)
    assert json.loads(result.body)["payload"] == headers
    assert traces(result) == headers


@pytest.mark.parametrize("handler", HANDLERS)
def test_the_handler_and_the_result_are_in_the_span_of_the_action(
    rig: Rigs, server: ScriptedServer, collector: Collector, handler: Handler
) -> None:
    give(server, TRACE)
    running = rig(PackPlugin(Command("echo", handler, [OK])), recording(collector))
    result = posted(running, server, RESULT)
    running.close()
    [span] = collector.spans()
    assert (span.trace_id, span.parent_id) == (PARENT[3:35], PARENT[36:52])
    sent = traces(result)
    assert sent["traceparent"].split("-")[1:3] == [span.trace_id, span.span_id]
    assert json.loads(result.body)["payload"] == sent


def test_a_trace_begins_at_a_take_from_a_flyte_that_knows_none(
    rig: Rigs, server: ScriptedServer, collector: Collector
) -> None:
    give(server, {})
    running = rig(PackPlugin(Command("echo", sync, [OK])), recording(collector))
    result = posted(running, server, RESULT)
    running.close()
    [span] = collector.spans()
    assert span.parent_id == ""
    assert traces(result)["traceparent"].split("-")[1:3] == [span.trace_id, span.span_id]


def test_a_command_that_nobody_has_is_a_span_with_an_error(
    rig: Rigs, server: ScriptedServer, collector: Collector
) -> None:
    give(server, TRACE)
    running = rig(PackPlugin(Command("other", sync, [OK])), recording(collector))
    posted(running, server, RESULT)
    running.close()
    [span] = collector.spans()
    assert span.is_error
    assert "has no command 'echo'" in span.problem


def test_an_event_of_an_observer_begins_a_trace(
    rig: Rigs, server: ScriptedServer, collector: Collector
) -> None:
    rang = EventDef("Rang")
    plugin = ObservingPlugin(lambda emit, stopping: emit(rang()), event_defs=[rang])
    running = rig(plugin, recording(collector))
    event = posted(running, server, EVENTS)
    running.close()
    [span] = collector.spans()
    assert span.name == "Demo.Rang"
    assert traces(event)["traceparent"].split("-")[1:3] == [span.trace_id, span.span_id]


def test_an_event_has_no_trace_while_nobody_records(rig: Rigs, server: ScriptedServer) -> None:
    rang = EventDef("Rang")
    plugin = ObservingPlugin(lambda emit, stopping: emit(rang()), event_defs=[rang])
    assert traces(posted(rig(plugin), server, EVENTS)) == {}


def observing_a_request(headers: dict[str, str]) -> ObservingPlugin:
    """It raises an event because of a request that came with these headers."""
    rang = EventDef("Rang")

    def observe(emit: Callable[[Event], None], stopping: threading.Event) -> None:
        with continue_trace(headers):
            emit(rang())
        assert trace_headers() == {}

    return ObservingPlugin(observe, event_defs=[rang])


@pytest.mark.parametrize("headers", [TRACE, {}, {"traceparent": "nonsense"}])
def test_an_event_is_in_the_trace_of_the_request_that_made_it(
    rig: Rigs, server: ScriptedServer, headers: dict[str, str]
) -> None:
    expected = TRACE if headers is TRACE else {}
    assert traces(posted(rig(observing_a_request(headers)), server, EVENTS)) == expected


def test_the_span_of_an_event_is_below_the_request_that_made_it(
    rig: Rigs, server: ScriptedServer, collector: Collector
) -> None:
    running = rig(observing_a_request(TRACE), recording(collector))
    event = posted(running, server, EVENTS)
    running.close()
    [span] = collector.spans()
    assert span.trace_id == TRACE["traceparent"].split("-")[1]
    assert traces(event)["traceparent"].split("-")[1:3] == [span.trace_id, span.span_id]


@pytest.mark.parametrize("idempotent", [True, False])
def test_what_a_restart_makes_of_an_action_is_in_its_trace(
    tmp_path: Path, rig: Rigs, server: ScriptedServer, collector: Collector, idempotent: bool
) -> None:
    journal = Journal(tmp_path / "flyte-host.db", Clock())
    href, step = "v1/packs/Demo/actions/a1/result", StepRun("flow", "step", "e1")
    write_taken(journal, "demo", "Demo", Taken("a1", "echo", b"1", href, step, PARENT))
    journal.close()
    command = Command("echo", sync, [OK], idempotent=idempotent)
    running = rig(PackPlugin(command), recording(collector))
    result = posted(running, server, RESULT)
    running.close()
    [span] = collector.spans()
    assert (span.trace_id, span.parent_id) == (PARENT[3:35], PARENT[36:52])
    assert span.is_error is not idempotent
    assert span.attributes.get("flyte.attempt") == (2 if idempotent else None)
    assert traces(result)["traceparent"][3:35] == PARENT[3:35]


def test_a_result_that_waited_for_flyte_keeps_its_trace(
    rig: Rigs, server: ScriptedServer, collector: Collector
) -> None:
    server.on(RESULT, reply(500), reply(202))
    server.on("GET /v1/audit/flows", reply(200, b'{"flows": []}'))
    give(server, TRACE)
    running = rig(PackPlugin(Command("echo", sync, [OK])), recording(collector))
    running.wait_for(RESULT, 2)
    wait_until(lambda: running.parts.journal.backlog().results == 0, "it is delivered")
    first, second = [traces(each) for each in running.results()]
    assert first == second
    assert first["traceparent"][3:35] == PARENT[3:35]

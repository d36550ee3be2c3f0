"""What becomes a span, below which parent, and what is in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flyte_host import fatal_event
from flyte_host.clock import Clock
from flyte_host.config import TracesConfig
from flyte_host.model import StepRun, Taken
from flyte_host.pipeline.handlers.outcome import Outcomes
from flyte_host.pipeline.journal import OpenAction
from flyte_host.pipeline.tracer import Tracer
from flyte_host.secrets import Scrubber, SecretRef, Secrets
from flyte_host.traceparent import CURRENT, is_sampled, parse_traceparent, trace_id_of
from flyte_host.traces import make_tracer
from tests.support.collector import Collector
from tests.support.host_parts import OK

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OUTCOMES = Outcomes(Scrubber(), Clock())
DONE = OUTCOMES.of("echo", OK(1))


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@contextmanager
def tracer_to(
    collector: Collector, scrubber: Scrubber | None = None, ratio: float = 1
) -> Iterator[Tracer]:
    """All that it recorded has arrived at the end of the block."""
    scrubber = scrubber or Scrubber()
    config = TracesConfig(collector.url, sample_ratio=ratio)
    tracer = make_tracer(config, Secrets({}, scrubber), scrubber)
    yield tracer
    tracer.close(10)


def opened(trace: str = "", step: StepRun | None = None, attempt: int = 1) -> OpenAction:
    taken = Taken("a1", "echo", b"1", "v1/r", step, trace)
    return OpenAction(7, "demo", "Demo", taken, datetime.now(UTC), attempt)


def test_an_action_is_a_span_below_what_it_came_with(collector: Collector) -> None:
    with tracer_to(collector) as tracer:
        begun = tracer.begin(opened(f"{PARENT} vendor=1", StepRun("flow", "step", "e1")))
        tracer.end(begun, DONE)
    [span] = collector.spans()
    assert (span.service, span.name, span.kind) == ("flyte-host", "Demo.echo", "consumer")
    assert (span.trace_id, span.parent_id) == (PARENT[3:35], PARENT[36:52])
    assert span.trace_state == "vendor=1"
    found = parse_traceparent(begun.taken.trace)
    assert found is not None
    assert (found.trace_id, found.span_id, found.state) == (span.trace_id, span.span_id, "vendor=1")
    assert span.attributes == {
        "flyte.pack": "demo", "flyte.command": "echo",
        "flyte.action": "a1", "flyte.flow": "flow", "flyte.step": "step", "flyte.execution": "e1",
        "flyte.event": "Ok",
    }  # fmt: skip
    assert (span.is_error, span.problem) == (False, "")


def test_an_action_without_a_trace_begins_one(collector: Collector) -> None:
    with tracer_to(collector) as tracer:
        begun = tracer.begin(opened())
        tracer.end(begun, DONE)
    [span] = collector.spans()
    assert span.parent_id == ""
    assert trace_id_of(begun.taken.trace) == span.trace_id


def test_an_action_keeps_all_else(collector: Collector) -> None:
    before = opened(PARENT, StepRun("flow", "step", "e1"), attempt=2)
    with tracer_to(collector) as tracer:
        begun = tracer.begin(before)
        tracer.end(begun, DONE)
    assert begun.about == before.about
    assert (begun.number, begun.attempt, begun.taken_at) == (7, 2, before.taken_at)
    assert collector.spans()[0].attributes["flyte.attempt"] == 2


def test_a_fatal_is_an_error_with_the_words_of_the_host(collector: Collector) -> None:
    with tracer_to(collector) as tracer:
        tracer.end(tracer.begin(opened()), OUTCOMES.fatal("it did not finish"))
    [span] = collector.spans()
    assert (span.is_error, span.problem) == (True, "it did not finish")
    assert span.attributes["flyte.event"] == "FATAL"


def test_a_fatal_of_a_handler_does_not_tell_its_payload(collector: Collector) -> None:
    with tracer_to(collector) as tracer:
        tracer.end(tracer.begin(opened()), OUTCOMES.of("echo", fatal_event("password")))
    [span] = collector.spans()
    assert (span.is_error, span.problem) == (True, "")
    assert b"password" not in b"".join(collector.bodies)


def test_an_end_without_a_beginning_is_nothing(collector: Collector) -> None:
    with tracer_to(collector) as tracer:
        tracer.end(opened(PARENT), DONE)
    assert collector.spans() == []


def test_an_event_is_a_span(collector: Collector) -> None:
    with tracer_to(collector) as tracer:
        trace = tracer.raise_event("ticker", "Ticker", "Tick")
    [span] = collector.spans()
    assert (span.name, span.kind, span.parent_id) == ("Ticker.Tick", "producer", "")
    assert trace.startswith(f"00-{span.trace_id}-{span.span_id}-")
    assert span.attributes == {
        "flyte.pack": "ticker", "flyte.event": "Tick",
    }  # fmt: skip


def test_an_event_that_is_raised_in_a_trace_is_below_it(collector: Collector) -> None:
    token = CURRENT.set(PARENT)
    try:
        with tracer_to(collector) as tracer:
            tracer.raise_event("ticker", "Ticker", "Tick")
    finally:
        CURRENT.reset(token)
    [span] = collector.spans()
    assert (span.trace_id, span.parent_id) == (PARENT[3:35], PARENT[36:52])


@pytest.mark.parametrize(
    ("ratio", "trace", "is_recorded"),
    [(0, "", False), (1, "", True), (0, PARENT, True), (1, f"{PARENT[:-2]}00", False)],
)
def test_what_is_recorded_is_decided_where_a_trace_begins(
    collector: Collector, ratio: float, trace: str, is_recorded: bool
) -> None:
    with tracer_to(collector, ratio=ratio) as tracer:
        begun = tracer.begin(opened(trace))
        tracer.end(begun, DONE)
    assert is_sampled(begun.taken.trace) == is_recorded
    assert len(collector.spans()) == int(is_recorded)


def test_names_may_hold_anything(collector: Collector) -> None:
    odd = 'x\0\n"é'
    taken = Taken("a1", odd, b"1", "v1/r", StepRun(odd, odd, "e1"), "")
    with tracer_to(collector) as tracer:
        tracer.end(tracer.begin(OpenAction(1, "demo", odd, taken, datetime.now(UTC), 1)), DONE)
    [span] = collector.spans()
    assert (span.name, span.attributes["flyte.step"]) == (f"{odd}.{odd}", odd)


def test_no_secret_is_in_a_span(collector: Collector) -> None:
    scrubber = Scrubber()
    scrubber.learn("c4n4ry-of-mine")
    secret = "x c4n4ry-of-mine"
    taken = Taken("a1", secret, b"1", "v1/r", StepRun(secret, secret, "e1"), "")
    with tracer_to(collector, scrubber) as tracer:
        begun = tracer.begin(OpenAction(1, secret, secret, taken, datetime.now(UTC), 1))
        tracer.end(begun, Outcomes(scrubber, Clock()).fatal(secret))
        tracer.raise_event(secret, secret, secret)
    action, event = collector.spans()
    assert (action.name, event.name) == ("x ***.x ***", "x ***.x ***")
    assert action.problem == "x ***"
    assert b"c4n4ry" not in b"".join(collector.bodies)


def test_headers_and_service_go_with_it(tmp_path: Path, collector: Collector) -> None:
    (tmp_path / "key").write_text("key-of-mine-1\n", encoding="utf-8")
    config = TracesConfig(
        collector.url, {"x-api-key": SecretRef(file=tmp_path / "key")}, service="hosts"
    )
    scrubber = Scrubber()
    tracer = make_tracer(config, Secrets({}, scrubber), scrubber)
    tracer.raise_event("ticker", "Ticker", "Tick")
    tracer.close(10)
    assert collector.spans()[0].service == "hosts"
    assert collector.server.requests[0].headers["x-api-key"] == "key-of-mine-1"
    assert scrubber.scrub("key-of-mine-1") == "***"

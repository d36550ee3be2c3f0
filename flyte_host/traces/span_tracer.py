"""Actions and events → spans of OpenTelemetry.

Owns their names, attributes and parents; keeps secrets out of them. Must not know how spans
travel.
"""

import logging
import threading
from collections.abc import Mapping
from datetime import datetime

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from flyte_host.metadata import version
from flyte_host.model import FATAL
from flyte_host.pipeline.handlers.outcome import Outcome
from flyte_host.pipeline.journal import OpenAction, with_trace
from flyte_host.pipeline.tracer import Tracer
from flyte_host.secrets import Scrubber
from flyte_host.traceparent import CURRENT, Traceparent, parse_traceparent
from flyte_host.traces.patient_exporter import PatientExporter

SEND_SECONDS = 1.0
"""How long a span waits for others to be sent with."""
MOST_WAITING = 8192
"""Spans that wait to be sent; more are dropped."""
END_SECONDS = 0.05
"""How long the end waits for an exporter that was told to stop trying."""


class SpanTracer(Tracer):
    """Records spans, and passes them to ``exporter`` in a separate thread."""

    def __init__(
        self, service: str, sample_ratio: float, exporter: PatientExporter, scrubber: Scrubber
    ) -> None:
        # It reports every dropped span; the exporter already says why spans are dropped.
        logging.getLogger("opentelemetry.sdk._shared_internal").setLevel(logging.ERROR)
        self._exporter = exporter
        self._scrubber = scrubber
        self._provider = TracerProvider(
            ParentBased(TraceIdRatioBased(sample_ratio)),
            Resource.create({"service.name": service}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter, MOST_WAITING, SEND_SECONDS * 1000)
        )
        self._tracer = self._provider.get_tracer("flyte_host", version("flyte-host"))
        self._open: dict[str, Span] = {}

    def begin(self, opened: OpenAction) -> OpenAction:
        """Put the action into a new span, below the context that it came with."""
        taken = opened.taken
        told = {"pack": opened.pack_key, "command": taken.command}
        if taken.step is not None:
            told |= {"flow": taken.step.flow, "step": taken.step.step}
        name, attributes = self._scrubbed(f"{opened.pack}.{taken.command}", told)
        span = self._tracer.start_span(
            name,
            _context_of(taken.trace),
            SpanKind.CONSUMER,
            {**attributes, **_ids(opened)},
            start_time=_nanoseconds(opened.taken_at) if opened.attempt == 1 else None,
        )
        trace = _trace_of(span)
        self._open[trace] = span
        return with_trace(opened, trace)

    def end(self, opened: OpenAction, outcome: Outcome) -> None:
        """End its span; a FATAL is an error."""
        span = self._open.pop(opened.taken.trace, None)
        if span is None:
            return
        span.set_attribute("flyte.event", self._scrubber.scrub(outcome.event_name))
        if outcome.event_name == FATAL:
            # Only flyte learns the payload of a FATAL that the handler returned.
            span.set_status(Status(StatusCode.ERROR, outcome.problem or None))
        span.end()

    def raise_event(self, pack_key: str, pack: str, event: str) -> str:
        """The context of a span for the event, below the one in which it is raised, if any."""
        told = {"pack": pack_key, "event": event}
        name, attributes = self._scrubbed(f"{pack}.{event}", told)
        context = _context_of(CURRENT.get())
        span = self._tracer.start_span(name, context, SpanKind.PRODUCER, attributes)
        span.end()
        return _trace_of(span)

    def close(self, wait_seconds: float) -> None:
        """Send what waits; what is left after the time is lost."""
        shutdown = threading.Thread(
            target=self._provider.shutdown, name="end of traces", daemon=True
        )
        shutdown.start()
        shutdown.join(wait_seconds)
        self._exporter.shutdown()
        shutdown.join(END_SECONDS)

    def _scrubbed(self, name: str, told: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        """A span's name and attributes, which come from plugins and flows.

        All in one call, which is faster.
        """
        plain = [name, *told.values()]
        texts = self._scrubber.scrub("\0".join(plain)).split("\0")
        if len(texts) != len(plain):  # flyte and its flows may choose any names
            texts = [self._scrubber.scrub(each) for each in plain]
        name, *texts = texts
        return name, {f"flyte.{key}": text for key, text in zip(told, texts, strict=True)}


def _ids(opened: OpenAction) -> dict[str, str | int]:
    step = opened.taken.step
    ids: dict[str, str | int] = {"flyte.action": opened.taken.id}
    if step is not None:
        ids["flyte.execution"] = step.execution
    if opened.attempt > 1:
        ids["flyte.attempt"] = opened.attempt
    return ids


def _context_of(trace: str) -> Context:
    """The parent's context; an empty one, in which a trace begins, if there is none."""
    found = parse_traceparent(trace)
    if found is None:
        return Context()
    parent = SpanContext(
        int(found.trace_id, 16),
        int(found.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(found.flags, 16)),
        trace_state=TraceState.from_header([found.state]) if found.state else None,
    )
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _trace_of(span: Span) -> str:
    own = span.get_span_context()
    state = own.trace_state.to_header() if own.trace_state else ""
    flags = f"{own.trace_flags:02x}"
    return str(Traceparent(f"{own.trace_id:032x}", f"{own.span_id:016x}", flags, state))


def _nanoseconds(time: datetime) -> int:
    return int(time.timestamp() * 1_000_000) * 1000

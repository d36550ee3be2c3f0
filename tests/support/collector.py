"""A collector of traces on loopback: takes OTLP over HTTP, and reads it as OpenTelemetry does."""

import gzip
from dataclasses import dataclass
from typing import Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from flyte_host.testing.waiting import wait_until
from tests.support.scripted_server import Reply, ScriptedServer, reply

PATH = "POST /v1/traces"


@dataclass(frozen=True)
class SeenSpan:
    """A span as it came; ids in hex, ``parent_id`` empty if it has none."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    trace_state: str
    attributes: dict[str, object]
    is_error: bool
    problem: str
    seconds: float


class Collector:
    """Used by ``with``; ``replies`` come in order, and the last one repeats."""

    def __init__(self, *replies: Reply) -> None:
        self.server = ScriptedServer()
        self.server.on(PATH, *(replies or [reply(200)]))

    def __enter__(self) -> Self:
        self.server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__()

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def bodies(self) -> list[bytes]:
        """What came, unpacked."""
        return [
            gzip.decompress(each.body) if each.headers.get("content-encoding") else each.body
            for each in self.server.requests
        ]

    def spans(self) -> list[SeenSpan]:
        """All that came, in the order in which they ended."""
        found = []
        for body in self.bodies:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                told = {each.key: each.value.string_value for each in resource.resource.attributes}
                found += [
                    _seen(told["service.name"], span)
                    for scope in resource.scope_spans
                    for span in scope.spans
                ]
        return found

    def wait_for(self, count: int) -> dict[str, SeenSpan]:
        """At least that many spans, by name."""
        wait_until(lambda: len(self.spans()) >= count, f"{count} spans")
        return {each.name: each for each in self.spans()}


def _seen(service: str, span: Span) -> SeenSpan:
    attributes: dict[str, object] = {
        each.key: getattr(each.value, str(each.value.WhichOneof("value")))
        for each in span.attributes
    }
    return SeenSpan(
        service=service,
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        trace_state=span.trace_state,
        attributes=attributes,
        is_error=span.status.code == Status.STATUS_CODE_ERROR,
        problem=span.status.message,
        seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
    )

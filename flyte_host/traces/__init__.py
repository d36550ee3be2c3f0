"""Spans of actions and events, sent to a collector of traces.

OpenTelemetry is imported only where the configuration has ``[traces]``. ``span_tracer``
makes the spans, ``patient_exporter`` sends them.
"""

from flyte_host.config import TracesConfig
from flyte_host.extras import needs_extra
from flyte_host.pipeline.tracer import Tracer
from flyte_host.secrets import Scrubber, Secrets


def make_tracer(config: TracesConfig | None, secrets: Secrets, scrubber: Scrubber) -> Tracer:
    """The tracer that the configuration asks for; raises FlyteHostError."""
    if config is None:
        return Tracer()
    with needs_extra("otel", "[traces]"):
        from flyte_host.traces.configured_exporter import make_exporter  # noqa: PLC0415
        from flyte_host.traces.span_tracer import SpanTracer  # noqa: PLC0415
    exporter = make_exporter(config, secrets)
    return SpanTracer(config.service, config.sample_ratio, exporter, scrubber)

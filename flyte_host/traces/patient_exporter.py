"""Sends spans, and says once if nothing accepts them.

Owns the log lines about that. Spans that cannot be sent are lost: an action never waits for them.
"""

import logging
import threading
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

log = logging.getLogger(__name__)


class PatientExporter(SpanExporter):
    """Hands all to ``exporter``, which sends to ``url``; one thread at a time."""

    def __init__(self, exporter: SpanExporter, url: str) -> None:
        self._exporter = exporter
        self._url = url
        self._complaints = _Complaints()
        self._lost = 0
        self._is_shut = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Whether they were sent; never raises."""
        if self._is_shut:
            return SpanExportResult.FAILURE
        with self._complaints:
            try:
                result = self._exporter.export(spans)
            except Exception as error:  # its transport's, for instance of a redirect
                self._complaints.last = str(error)
                result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            self._note_success()
        elif not self._is_shut:
            self._note_failure(len(spans))
        return result

    def shutdown(self) -> None:
        """Stop trying; what is being sent may still arrive."""
        if not self._is_shut:
            self._is_shut = True
            with self._complaints:
                self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        return self._exporter.force_flush(timeout_millis)

    def _note_failure(self, spans: int) -> None:
        if not self._lost:
            log.warning(
                "dropping spans until %s accepts them; actions are not delayed: %s",
                self._url,
                self._complaints.last,
            )
        self._lost += spans

    def _note_success(self) -> None:
        if self._lost:
            log.info("%s accepts spans again; dropped: %d", self._url, self._lost)
            self._lost = 0


class _Complaints(logging.Filter):
    """The last thing that OpenTelemetry's exporter logged in a block, kept out of the log.

    It logs every try.
    """

    def __init__(self) -> None:
        super().__init__()
        self.last = "no reason is known"
        self._thread = 0
        self._logger = logging.getLogger(trace_exporter.__name__)

    def __enter__(self) -> None:
        self._thread = threading.get_ident()
        self._logger.addFilter(self)

    def __exit__(self, *_: object) -> None:
        self._logger.removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep what this block's own thread logs; other threads' lines are not touched."""
        if threading.get_ident() != self._thread:
            return True
        self.last = record.getMessage()
        return False

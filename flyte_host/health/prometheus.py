"""``/metrics`` for Prometheus.

Owns the format and what must not be in it; nothing else knows prometheus_client. Must not know
what is measured; that is ``metrics``.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as PrometheusExemplar

from flyte_host.counters import BOUNDS_SECONDS, Exemplar, Histogram
from flyte_host.foreign_code import ForeignCall, Misbehaved
from flyte_host.health.metrics import METRICS, PREFIX, View
from flyte_host.packs import ServedPack
from flyte_host.pipeline.journal import Backlog, Journal
from flyte_host.pipeline.parts import Parts
from flyte_host.secrets import Scrubber
from flyte_host.traceparent import parse_traceparent

JOURNAL_SECONDS = 2.0
"""How long a scrape waits for the journal, whose disk may hang."""

_KINDS: Mapping[str, Any] = {
    "gauge": GaugeMetricFamily,
    "counter": CounterMetricFamily,
    "histogram": HistogramMetricFamily,
}
_FOREIGN = {"pack", "command"}
"""Labels whose values come from plugins: they may contain a secret."""
_BOUNDS = [*map(str, BOUNDS_SECONDS), "+Inf"]


@dataclass(frozen=True, slots=True)
class _Look:
    backlog: Backlog | None
    problem: str
    store_bytes: int | None = None


class Metrics:
    """Safe to use from any thread."""

    def __init__(
        self,
        scrubber: Scrubber,
        clock: Callable[[], float],
        *,
        journal_seconds: float = JOURNAL_SECONDS,
    ) -> None:
        self._journal_seconds = journal_seconds
        self._scrubber = scrubber
        self._clock = clock
        self._attempt: ForeignCall[_Look] | None = None

    def page(
        self, parts: Parts | None, accept: str, store_bytes: Callable[[], int] | None = None
    ) -> tuple[str, bytes]:
        """Content type and body, in the format that the header ``Accept`` asks for.

        ``store_bytes`` tells how large embedded flyte's store is, if there is one.
        """
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        if parts is not None:
            look = self._look(parts.journal, store_bytes)
            view = View(parts, self._clock(), look.backlog, look.problem, look.store_bytes)
            registry.register(_Collected(list(_families(view, self._scrubber))))
        encode, content_type = choose_encoder(accept)
        return content_type, encode(registry)

    def _look(self, journal: Journal, store_bytes: Callable[[], int] | None) -> _Look:
        """One look at a time: scrapes must not pile up behind a hung disk."""
        attempt = self._attempt
        if attempt is None or attempt.ended:
            attempt = self._attempt = ForeignCall(
                lambda: _Look(journal.backlog(), journal.problem(), _size(store_bytes))
            )
        try:
            return attempt.result(self._journal_seconds)
        except Misbehaved as error:
            return _Look(None, str(error))


def _size(store_bytes: Callable[[], int] | None) -> int | None:
    try:
        return None if store_bytes is None else store_bytes()
    except Exception:  # it is being closed, or its disk fails: /ready says why
        return None


class _Collected(Collector):
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


def _families(view: View, scrubber: Scrubber) -> Iterator[Family]:
    shown = _shown(view.parts.served.packs, scrubber)
    for metric in METRICS:
        family = _KINDS[metric.kind](PREFIX + metric.name, metric.meaning, labels=metric.labels)
        for labels, value in metric.samples(view).items():
            named = zip(metric.labels, labels, strict=True)
            texts = [shown.get(each, each) if name in _FOREIGN else each for name, each in named]
            family.add_metric(texts, *_told(value))
        yield family


def _shown(packs: Mapping[str, ServedPack], scrubber: Scrubber) -> dict[str, str]:
    """Names of packs and commands that hold a secret, without it.

    Names that become equal are numbered: a series must not appear twice. There is rarely anything
    to hide, so all names are checked together first.
    """
    names = dict.fromkeys(each for name, pack in packs.items() for each in (name, *pack.commands))
    text = "\n".join(names)
    if scrubber.scrub(text) == text:
        return {}
    seen: Counter[str] = Counter()
    shown = {}
    for name in names:
        told = scrubber.scrub(name)
        seen[told] += 1
        shown[name] = told if seen[told] == 1 else f"{told} ({seen[told]})"
    return shown


def _told(value: float | Histogram) -> list[Any]:
    """The value in the form that its family needs."""
    if not isinstance(value, Histogram):
        return [value]
    counts = zip(_BOUNDS, itertools.accumulate(value.buckets), strict=True)
    buckets = [
        (*bucket, _exemplar(value.exemplars[place])) if place in value.exemplars else bucket
        for place, bucket in enumerate(counts)
    ]
    return [buckets, value.sum]


def _exemplar(exemplar: Exemplar) -> PrometheusExemplar:
    found = parse_traceparent(exemplar.trace)
    ids = {} if found is None else {"trace_id": found.trace_id, "span_id": found.span_id}
    return PrometheusExemplar(ids, exemplar.value)

"""An observer's event → an entry of the journal that the courier brings to flyte.

Owns what may be emitted, and the order of a pack's events. Must not know when observers run.
"""

import logging
import threading
from functools import partial

from flyte_host.client.wire import encode_event
from flyte_host.clock import Clock
from flyte_host.counters import Counters
from flyte_host.hookspecs import Emit
from flyte_host.model import Event
from flyte_host.packs import ServedPack
from flyte_host.pipeline.delivery.deliveries import Deliveries
from flyte_host.pipeline.journal import Journal
from flyte_host.pipeline.tracer import Tracer
from flyte_host.plugins.contribution import check_event
from flyte_host.traceparent import trace_id_of

log = logging.getLogger(__name__)


class Emitter:
    """Safe to use from any thread."""

    def __init__(
        self,
        journal: Journal,
        deliveries: Deliveries,
        clock: Clock,
        counters: Counters,
        tracer: Tracer,
    ) -> None:
        self._journal = journal
        self._deliveries = deliveries
        self._clock = clock
        self._counters = counters
        self._tracer = tracer
        self._turns: dict[str, threading.RLock] = {}

    def emit_for(self, pack: ServedPack) -> Emit:
        """What one run of an observer of the pack calls with each event."""
        return partial(self._emit, pack, set())

    def _emit(self, pack: ServedPack, warned: set[str], event: Event) -> None:
        """Return when the event is in the journal; ``warned`` has the names already logged."""
        body = encode_event(check_event(event), self._clock.now())
        name = event.event_def.name
        if name not in pack.event_names and name not in warned:
            warned.add(name)
            log.warning(
                "raised %s, which it does not declare: flow writers cannot know of it",
                name,
                extra={"pack": pack.pack_key, "event": name},
            )
        # One thread of a pack at a time, so that deliveries have its events in the journal's order.
        # The same thread may enter again: a plugin may listen to the log and emit from there.
        with self._turns.setdefault(pack.pack_key, threading.RLock()):
            self._deliveries.rooms.wait(pack.pack_key)
            trace = self._tracer.raise_event(pack.pack_key, pack.definition.name, name)
            self._deliveries.add(self._journal.emit(pack.pack_key, body, trace))
        self._counters.raised(pack.pack_key)
        fields = {"pack": pack.pack_key, "event": name, "trace": trace_id_of(trace)}
        log.info("raised %s", name, extra=fields)

"""Runs every ``flyte_observe`` in a thread of its own, again when it crashes.

Owns those threads, and what may be emitted. Must not know how events travel.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from functools import partial

from flyte_host.client.wire import encode_event
from flyte_host.clock import Clock
from flyte_host.counters import Counters
from flyte_host.foreign_code import foreign_part, headline
from flyte_host.model import Event
from flyte_host.packs import Observer, ServedPack
from flyte_host.pipeline.courier import Courier
from flyte_host.pipeline.journal import Journal
from flyte_host.pipeline.tracer import Tracer
from flyte_host.plugins.contribution import check_event
from flyte_host.thread_watch import ThreadWatch
from flyte_host.traceparent import trace_id_of

log = logging.getLogger(__name__)

RESTART_SECONDS = 1.0
RESTART_CAP_SECONDS = 60.0


class Observers:
    """All observers of a host."""

    def __init__(
        self,
        packs: Iterable[ServedPack],
        journal: Journal,
        courier: Courier,
        clock: Clock,
        counters: Counters,
        *,
        restart_seconds: float = RESTART_SECONDS,
        restart_cap_seconds: float = RESTART_CAP_SECONDS,
        watch: ThreadWatch | None = None,
        tracer: Tracer,
    ) -> None:
        self._tracer = tracer
        self._journal = journal
        self._courier = courier
        self._clock = clock
        self._counters = counters
        self._restart_seconds = restart_seconds
        self._restart_cap_seconds = restart_cap_seconds
        self._stopping = threading.Event()
        packs = list(packs)
        self._turns = {pack.pack_key: threading.RLock() for pack in packs}
        watch = watch or ThreadWatch()
        self._threads = [
            watch.make_thread(
                partial(self._run, pack, observer),
                f"{observer.plugin} observes {pack.pack_key}",
                runs_again=True,
            )
            for pack in packs
            for observer in pack.observers
        ]

    def start(self) -> None:
        """Start all of them."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask all to return; the rest of the host does not wait for them."""
        self._stopping.set()

    def drain(self, deadline: float) -> list[str]:
        """Wait until the clock's ``deadline``; returns the names of those still running."""
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - self._clock.monotonic()))
        return [thread.name for thread in self._threads if thread.is_alive()]

    def _run(self, pack: ServedPack, observer: Observer) -> None:
        emit = self._emit_for(pack)
        pause = self._restart_seconds
        while not self._stopping.is_set():
            try:
                observer.observe(emit, self._stopping)
            except BaseException as error:
                log.error(
                    "observer of %s raised %s; it starts again in %g s",
                    observer.plugin,
                    headline(error),
                    pause,
                    exc_info=(type(error), error, foreign_part(error.__traceback__)),
                    extra={"pack": pack.pack_key},
                )
            else:
                if not self._stopping.is_set():
                    log.info(
                        "observer of %s returned: it raises no more events",
                        observer.plugin,
                        extra={"pack": pack.pack_key},
                    )
                return
            self._stopping.wait(pause)
            pause = min(self._restart_cap_seconds, pause * 2)

    def _emit_for(self, pack: ServedPack) -> Callable[[Event], None]:
        warned: set[str] = set()

        def emit(event: Event) -> None:
            body = encode_event(check_event(event), self._clock.now())
            name = event.event_def.name
            if name not in pack.event_names and name not in warned:
                warned.add(name)
                log.warning(
                    "raised %s, which it does not declare: flow writers cannot know of it",
                    name,
                    extra={"pack": pack.pack_key, "event": name},
                )
            # One thread of a pack at a time: the journal is there for all packs, in its order.
            with self._turns[pack.pack_key]:
                self._courier.rooms.wait(pack.pack_key)
                trace = self._tracer.raise_event(pack.pack_key, pack.definition.name, name)
                self._courier.add(self._journal.emit(pack.pack_key, body, trace))
            self._counters.raised(pack.pack_key)
            fields = {"pack": pack.pack_key, "event": name, "trace": trace_id_of(trace)}
            log.info("raised %s", name, extra=fields)

        return emit

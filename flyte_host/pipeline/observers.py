"""Runs every ``flyte_observe`` in a thread of its own, again when it crashes.

Owns those threads. Must not know what happens to an event.
"""

import logging
import threading
from collections.abc import Iterable
from functools import partial

from flyte_host.clock import Clock
from flyte_host.foreign_code import foreign_part, headline
from flyte_host.packs import Observer, ServedPack
from flyte_host.pipeline.emitter import Emitter
from flyte_host.thread_watch import ThreadWatch

log = logging.getLogger(__name__)

RESTART_SECONDS = 1.0
RESTART_CAP_SECONDS = 60.0


class Observers:
    """All observers of a host."""

    def __init__(
        self,
        packs: Iterable[ServedPack],
        emitter: Emitter,
        clock: Clock,
        watch: ThreadWatch,
        *,
        restart_seconds: float = RESTART_SECONDS,
        restart_cap_seconds: float = RESTART_CAP_SECONDS,
    ) -> None:
        self._emitter = emitter
        self._clock = clock
        self._restart_seconds = restart_seconds
        self._restart_cap_seconds = restart_cap_seconds
        self._stopping = threading.Event()
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
        emit = self._emitter.emit_for(pack)
        pause = self._restart_seconds
        while not self._stopping.is_set():
            try:
                observer.observe(emit, self._stopping)
            except BaseException as error:
                log.error(
                    "observer of %s failed: %s; it starts again in %g s",
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

"""One ``flyte_observe`` at work, without flyte and without a host.

Owns its thread, what it emitted, and the words for a crash or a failure to stop.
"""

import threading
import time
from typing import Any

import msgspec

from flyte_host.client.wire import encode_event
from flyte_host.clock import utc_now
from flyte_host.foreign_code import foreign_part, headline, place_of_thread
from flyte_host.model import Event
from flyte_host.packs import Observer, ServedPack
from flyte_host.plugins.contribution import check_event
from flyte_host.testing.called import Called
from flyte_host.testing.waiting import PATIENCE_SECONDS
from flyte_host.text import nearest

STOP_SECONDS = 5.0
"""How long an observer may take to return; a stopping host waits less than this."""


class RunningObserver:
    """Runs from its construction to :meth:`stop`; a crash is raised by the next call."""

    def __init__(self, pack: ServedPack, observer: Observer) -> None:
        self._pack = pack
        self._observer = observer
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._events: list[Called] = []
        self._crash: BaseException | None = None
        self._ended = False
        name = f"{pack.definition.name} observes"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def events(self) -> list[Called]:
        """What it has emitted so far."""
        with self._changed:
            return list(self._events)

    def wait_for(self, event: str, timeout_seconds: float = PATIENCE_SECONDS) -> Any:
        """The payload of its first event with that name, once it has come."""
        __tracebackhide__ = True
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            while True:
                for each in self._events:
                    if each.name == event:
                        return each.payload
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    break
                self._changed.wait(left)
        self._raise_crash()
        when = "before it returned" if self._ended else f"within {timeout_seconds:g} s"
        seen = "".join(f"\n  emitted: {each}" for each in self.events) or "; it emitted nothing"
        where = place_of_thread(self._thread)
        raise AssertionError(f"the observer emitted no {event} {when}{where}{seen}")

    def stop(self, timeout_seconds: float = STOP_SECONDS) -> list[Called]:
        """Ask it to return, and wait until it has; returns what it has emitted.

        An AssertionError says where it hangs if it does not return, or what it raised.
        """
        __tracebackhide__ = True
        self._stopping.set()
        self._thread.join(timeout_seconds)
        if self._thread.is_alive():
            raise AssertionError(
                f"the observer did not return within {timeout_seconds:g} s after stopping was set"
                f"{place_of_thread(self._thread)}; it should wait with stopping.wait(seconds)"
            )
        self._raise_crash()
        return self.events

    def _raise_crash(self) -> None:
        """Once: a test that has seen it must not fail of it again at its end."""
        __tracebackhide__ = True
        crash, self._crash = self._crash, None
        if isinstance(crash, AssertionError):
            raise crash
        if crash is not None:
            raise AssertionError(f"the observer raised {headline(crash)}") from crash

    def _run(self) -> None:
        try:
            self._observer.observe(self._emit, self._stopping)
        except BaseException as error:  # a host starts it again; a test must see it
            self._note(error.with_traceback(foreign_part(error.__traceback__)))
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _note(self, crash: BaseException) -> None:
        if self._crash is None:
            self._crash = crash

    def _emit(self, event: Event) -> None:
        """As the host's, which does not check that it is declared; flow writers rely on that."""
        document = msgspec.json.decode(encode_event(check_event(event), utc_now()))
        name = event.event_def.name
        if name not in self._pack.event_names:
            known = sorted(self._pack.event_names)
            problem = AssertionError(
                f"the observer emitted {name}, which its pack does not declare"
                f"{nearest(name, known)}; declared: {', '.join(known) or 'none'}"
            )
            self._note(problem)  # an observer that catches everything must not hide it
            raise problem
        with self._changed:
            self._events.append(Called(name, document["payload"]))
            self._changed.notify_all()

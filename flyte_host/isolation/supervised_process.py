"""A process that is started again when it dies, within a budget.

Owns whether there is one just now, who waits for it, and the words for what happened to it. Must
not know what the process is for; who makes it prepares each new one.
"""

import logging
import threading
import time
from collections.abc import Callable

from flyte_host.foreign_code import Misbehaved
from flyte_host.isolation.child_process import ChildProcess, ProcessEnded
from flyte_host.isolation.restart_budget import RESTARTS, WINDOW_SECONDS, RestartBudget

log = logging.getLogger(__name__)

Spawn = Callable[[Callable[[str], None]], ChildProcess]
"""Makes a process that tells how it ended."""


class SupervisedProcess:
    """There from :meth:`start` to :meth:`close`, but for the pauses after its deaths."""

    def __init__(
        self,
        pack_key: str,
        spawn: Spawn,
        prepare: Callable[[ChildProcess], None],
        *,
        budget: RestartBudget,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._about = {"pack": pack_key}
        self._spawn = spawn
        self._prepare = prepare
        self._budget = budget
        self._clock = clock
        self._changed = threading.Condition()
        self._child: ChildProcess | None = None
        self._starting: ChildProcess | None = None
        self._closed = False
        self._how = ""
        self._starts_at = 0.0
        self._quarantined = False
        self._hurry = threading.Event()
        self._came_up: list[Callable[[], None]] = []
        self.deaths = 0

    @property
    def child(self) -> ChildProcess | None:
        """The process, if there is one now."""
        return self._child

    @property
    def quarantined(self) -> bool:
        """Whether it died so often that it starts again only when the budget allows it."""
        return self._quarantined

    @property
    def trouble(self) -> str:
        """Why there is none now, and when it starts again; empty if there is one."""
        if self._child is not None:
            return ""
        if self._closed:
            return "its process is ended: the host stops"
        seconds = max(0.0, self._starts_at - self._clock())
        words = f"its process ended ({self._how})"
        if self._quarantined:
            words += (
                f", more than {RESTARTS} times within {WINDOW_SECONDS:g} s: it is in quarantine"
            )
        return f"{words}; it starts again in {seconds:.0f} s"

    def start(self) -> None:
        """Start the first one, prepared; raises Misbehaved."""
        try:
            self._launch()
        except ProcessEnded as error:
            raise Misbehaved(f"{error} while the plugin was loaded") from error

    def when_up(self, call: Callable[[], None]) -> None:
        """Have ``call`` called whenever there is one again."""
        self._came_up.append(call)

    def start_now(self) -> None:
        """Do not wait any longer with a restart that is due later."""
        self._hurry.set()

    def kill(self, why: str) -> None:
        """End the one that runs; another one starts as after a death of its own."""
        child = self._child
        if child is not None:
            log.error("its process is killed: %s", why, extra=self._about)
            child.kill()

    def up(self) -> ChildProcess:
        """The process, once it runs again; raises Misbehaved in quarantine and after the close."""
        with self._changed:
            while self._child is None:
                if self._closed or self._quarantined:
                    raise Misbehaved(self.trouble)
                self._changed.wait()
            return self._child

    def up_until(self, stopping: threading.Event) -> ChildProcess | None:
        """The process, however long that takes; None if ``stopping`` was set, see :meth:`wake`."""
        with self._changed:
            while self._child is None and not self._closed and not stopping.is_set():
                self._changed.wait()
            return None if stopping.is_set() else self._child

    def wake(self) -> None:
        """Have those look again who wait for a process."""
        with self._changed:
            self._changed.notify_all()

    def hang_up(self) -> list[ChildProcess]:
        """Have it end for good; returns at once, with what is about to end."""
        with self._changed:
            self._closed = True
            children = [each for each in (self._child, self._starting) if each is not None]
            self._changed.notify_all()
        self._hurry.set()
        for child in children:
            child.hang_up()
        return children

    def close(self) -> None:
        """End it for good."""
        for child in self.hang_up():
            child.close()

    def _launch(self) -> None:
        child = self._spawn(self._died)
        self._starting = child
        if self._closed:
            child.hang_up()
        try:
            self._prepare(child)
            self._adopt(child)
        except BaseException:
            child.close()
            raise
        finally:
            self._starting = None

    def _adopt(self, child: ChildProcess) -> None:
        with self._changed:
            if child.how is not None:
                raise ProcessEnded(child.how, asked=True)
            self._child, self._quarantined = child, False
            self._changed.notify_all()

    def _died(self, how: str) -> None:
        """Called before those hear of it who wait for an answer; returns at once."""
        with self._changed:
            if self._child is None or self._child.how is None:
                return  # it was still being prepared: who waits for that hears of it
            self._child = None
            self._changed.notify_all()
            if self._closed:
                return
            self._plan(how)
        self._tell()  # without the lock: who listens to the log may be a plugin
        threading.Thread(target=self._restart, name="restart", daemon=True).start()

    def _restart(self) -> None:
        while not self._restarted():
            pass

    def _restarted(self) -> bool:
        """Wait, then try once; whether that is over."""
        if not self._is_closed():
            self._hurry.wait(max(0.0, self._starts_at - self._clock()))
        if self._is_closed():
            return True
        try:
            self._launch()
        except Misbehaved as error:
            if self._is_closed():
                return True
            self._plan(error.how if isinstance(error, ProcessEnded) else str(error))
            self._tell()
            return False
        log.warning("its process runs again", extra=self._about)
        for call in self._came_up:
            call()
        return True

    def _is_closed(self) -> bool:
        return self._closed

    def _plan(self, how: str) -> None:
        self._hurry.clear()  # who was in a hurry before had no pause to skip
        self.deaths += 1
        pause, self._quarantined = self._budget.died(self._clock())
        self._how, self._starts_at = how, self._clock() + pause

    def _tell(self) -> None:
        log.error("%s", self.trouble, extra=self._about)

"""A process that is started again when it dies, within a budget.

Owns whether there is one right now, and the threads that wait for it. Must not know what the
process is for: its introduction does.
"""

import logging
import threading
from collections.abc import Mapping

from flyte_host.foreign_code import Misbehaved, headline
from flyte_host.isolation.child_process import ChildProcess
from flyte_host.isolation.introduction import Introduction
from flyte_host.isolation.next_start import NextStart
from flyte_host.isolation.open_requests import ProcessEnded
from flyte_host.thread_watch import lasting_thread

log = logging.getLogger(__name__)


class SupervisedProcess:
    """Runs from :meth:`start` to :meth:`close`, except for the pauses after its deaths."""

    def __init__(
        self,
        introduction: Introduction,
        environ: Mapping[str, str],
        next_start: NextStart,
    ) -> None:
        self._introduction = introduction
        self._environ = environ
        self._next_start = next_start
        self._changed = threading.Condition()
        self._child: ChildProcess | None = None
        self._starting: ChildProcess | None = None
        self._stopped = False

    @property
    def child(self) -> ChildProcess | None:
        """The process, if there is one now."""
        return self._child

    @property
    def quarantined(self) -> bool:
        """Whether it has died too often, and starts again only when the budget allows it."""
        return self._next_start.quarantined

    @property
    def deaths(self) -> int:
        """How often it has died, or could not be started again."""
        return self._next_start.deaths

    @property
    def restarts_in_seconds(self) -> float:
        """How long until the next start; 0 while it runs."""
        return 0.0 if self._child is not None else self._next_start.in_seconds

    @property
    def problem(self) -> str:
        """Why there is no process now, and when it starts again; empty if there is one."""
        if self._child is not None:
            return ""
        if self._stopped:
            return "its process has ended: the host is stopping"
        return self._next_start.problem

    def start(self) -> None:
        """Start the first one, and introduce it; raises Misbehaved."""
        try:
            self._launch()
        except ProcessEnded as error:
            raise Misbehaved(f"{error} while the plugin was loaded") from error
        self._start_keeper()

    def start_now(self) -> None:
        """Skip the pause before a restart that is due later."""
        self._next_start.set_now()

    def kill(self, problem: str) -> None:
        """End the one that runs; another starts, as after any death."""
        child = self._child
        if child is not None:
            self._log_error(f"its process is killed: {problem}")
            child.kill()

    def wait_for_child(self) -> ChildProcess:
        """The process, once it runs again; raises Misbehaved in quarantine and after the stop."""
        if (child := self._child) is not None:
            return child
        with self._changed:
            while self._child is None:
                if self._stopped or self._next_start.quarantined:
                    raise Misbehaved(self.problem)
                self._changed.wait()
            return self._child

    def wait_for_child_unless(self, stopping: threading.Event) -> ChildProcess | None:
        """The process, however long that takes; None once ``stopping`` is set, see :meth:`wake`."""
        with self._changed:
            while self._child is None and not self._stopped and not stopping.is_set():
                self._changed.wait()
            return None if stopping.is_set() else self._child

    def wake(self) -> None:
        """Make every waiting thread look again."""
        with self._changed:
            self._changed.notify_all()

    def stop(self) -> list[ChildProcess]:
        """Have it end for good; returns at once, with the process that is about to end."""
        with self._changed:
            self._stopped = True
            children = [each for each in (self._child, self._starting) if each is not None]
            self._changed.notify_all()
        self._next_start.end_pause()
        for child in children:
            child.stop()
        return children

    def close(self) -> None:
        """End it for good."""
        for child in self.stop():
            child.close()

    def _start_keeper(self) -> None:
        """Start it now: at a death there may be no room for another thread."""
        pack_key = self._introduction.pack_key
        name = f"process of {pack_key}: starts it again"
        try:
            lasting_thread(self._keep, name).start()
        except RuntimeError as error:
            self.close()
            raise Misbehaved(f"its process cannot be watched: {error}") from error

    def _launch(self) -> None:
        child = ChildProcess(self._introduction.pack_key, self._environ)
        child.start()
        self._starting = child
        if self._stopped:
            child.stop()
        try:
            self._introduction.give(child)
            self._adopt(child)
        except BaseException:
            child.close()
            raise
        finally:
            self._starting = None

    def _adopt(self, child: ChildProcess) -> None:
        with self._changed:
            self._child = child
            self._next_start.lift_quarantine()
            self._changed.notify_all()
        # Calls at once if it has died already.
        child.ended.add_done_callback(lambda ended: self._bury(ended.result()))

    def _bury(self, problem: str) -> None:
        """Plan the next start, before unanswered requests fail."""
        with self._changed:
            self._child = None
            self._changed.notify_all()
            if self._stopped:
                return
            self._next_start.plan(problem)
        self._log_error(self.problem)  # without the lock: a plugin may have a handler for the log

    def _keep(self) -> None:
        """Start it again after each death, until the stop."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._child is None or self._stopped)
            while not self._try_restart():
                pass
            if self._is_stopped():
                return

    def _try_restart(self) -> bool:
        """Wait, then try once; returns whether nothing is left to do."""
        if not self._is_stopped():
            self._next_start.wait()
        if self._is_stopped():
            return True
        try:
            self._launch()
        except BaseException as error:  # without another try the pack would be away forever
            if self._is_stopped():
                return True
            problem = error.problem if isinstance(error, ProcessEnded) else headline(error)
            self._next_start.plan(problem)
            self._log_error(self.problem)
            return False
        pack_key = self._introduction.pack_key
        log.warning("%s: its process is running again", pack_key, extra={"pack": pack_key})
        return True

    def _is_stopped(self) -> bool:
        return self._stopped

    def _log_error(self, text: str) -> None:
        pack_key = self._introduction.pack_key
        log.error("%s: %s", pack_key, text, extra={"pack": pack_key})

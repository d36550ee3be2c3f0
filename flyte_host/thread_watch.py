"""Watches the threads without which a host cannot go on.

Owns what happens when such a thread ends unexpectedly: it runs again where that can help, and
otherwise it tells the host to stop. Must not know what a thread does.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")
Run = Callable[[], object]

TIMES = 100
"""How often a thread runs again: one that always fails must not fill the log."""


class ThreadWatch:
    """Makes threads and knows which were lost; safe to use from any thread.

    ``whose`` says what cannot go on without them.
    """

    def __init__(self, whose: str = "the host") -> None:
        self._whose = whose
        self._lock = threading.Lock()
        self._living: set[threading.Thread] = set()
        self._lost: dict[str, str] = {}
        self._tell: Run = _nothing

    @property
    def problem(self) -> str:
        """Why the host cannot go on: the threads it lost, in words; empty while it has them all."""
        with self._lock:
            return "; ".join(self._lost.values())

    @property
    def lost(self) -> list[str]:
        """The names of the threads that ended and cannot be replaced."""
        with self._lock:
            return list(self._lost)

    @property
    def living(self) -> list[str]:
        """The names of the watched threads that run."""
        with self._lock:
            return [each.name for each in self._living]

    def when_lost(self, tell: Run) -> None:
        """Call ``tell`` at each loss, and now if there was one already."""
        self._tell = tell
        if self.lost:
            tell()

    def make_thread(self, run: Run, name: str, *, runs_again: bool = False) -> threading.Thread:
        """A daemon, not started yet. It may end by returning; else it runs again, or it is lost."""
        return threading.Thread(
            target=self._run, args=(run, name, runs_again), name=name, daemon=True
        )

    def lose(self, name: str, error: BaseException | None) -> None:
        """Note that a thread was lost; without ``error``, nobody knows how."""
        how = "" if error is None else f" by {_words(error)}"
        problem = f"thread {name!r} was ended{how}: {self._whose} cannot go on"
        with self._lock:
            if name in self._lost:
                return
            self._lost[name] = problem
        log.critical("%s; stopping, so that a supervisor restarts it", problem, exc_info=error)
        self._tell()

    def _run(self, run: Run, name: str, runs_again: bool) -> None:
        thread = threading.current_thread()
        with self._lock:
            self._living.add(thread)
        try:
            if runs_again:
                run_again(run, name)
            else:
                run()
        except BaseException as error:
            self.lose(name, error)
        finally:
            with self._lock:
                self._living.discard(thread)


def lasting_thread(run: Run, name: str) -> threading.Thread:
    """A daemon that runs again when something ends it, not started yet; nobody watches it."""
    return threading.Thread(target=run_again, args=(run, name), name=name, daemon=True)


def run_again(run: Run, name: str, times: int = TIMES) -> None:
    """Call ``run`` until it returns, again at most ``times``; raises what the last call raised."""
    for _ in range(times):
        try:
            run()
        except BaseException as error:
            log.error(
                "thread %r was ended by %s: restarting it", name, _words(error), exc_info=error
            )
        else:
            return
    run()


class WatchedExecutor(ThreadPoolExecutor):
    """A pool whose threads run again, whatever ends them.

    Python's own pool never replaces a thread: calls would wait for it forever. This is nominally a
    ThreadPoolExecutor, since asyncio takes no other.
    """

    def __init__(self, threads: int, name: str, watch: ThreadWatch) -> None:
        super().__init__(threads, name)
        self._calls: SimpleQueue[Run | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._is_closed = False
        self._watch = watch
        self._spare = [f"{name} {number}" for number in range(threads, 0, -1)]
        self._started: list[threading.Thread] = []

    def submit(self, call: Callable[..., T], /, *args: Any, **more: Any) -> Future[T]:
        """Have it called in one of the threads."""
        future: Future[T] = Future()
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the pool is closed")
            if not self._idle.acquire(blocking=False) and self._spare:
                self._start_one()
        self._calls.put(lambda: _fulfill(future, partial(call, *args, **more)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads once all calls have been made."""
        super().shutdown(wait, cancel_futures=cancel_futures)
        with self._lock:
            self._is_closed = True
        for _ in self._started:
            self._calls.put(None)
        for thread in self._started if wait else ():
            thread.join()

    def _start_one(self) -> None:
        # A new one for each try: Python 3.13 does not start a thread that it once could not start.
        thread = self._watch.make_thread(self._work, self._spare[-1], runs_again=True)
        try:
            thread.start()
        except RuntimeError:  # no thread can be started now
            if not self._started:
                raise
        else:
            self._spare.pop()
            self._started.append(thread)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            self._idle.release()


def _fulfill(future: Future[T], call: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except BaseException as error:
        future.set_exception(error)


def _words(error: BaseException) -> str:
    """What was raised; nothing of it is called, since it may be a plugin's."""
    return type(error).__name__


def _nothing() -> None:
    """The default: tell nobody."""

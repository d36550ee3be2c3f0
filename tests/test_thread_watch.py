"""What ends a thread is seen: it runs again, or somebody is told that it is lost."""

import sys
import threading
from collections.abc import Callable

import pytest

from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from flyte_host.thread_watch import TIMES, ThreadWatch, WatchedExecutor, run_again


def ended(watch: ThreadWatch, run: Callable[[], None], name: str = "worker", **more: bool) -> None:
    thread = watch.make_thread(run, name, **more)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


def exhaust() -> None:
    raise MemoryError


def test_a_thread_that_returns_is_not_lost() -> None:
    watch = ThreadWatch()
    seen: list[list[str]] = []
    ended(watch, lambda: seen.append(watch.living))
    assert seen == [["worker"]]
    assert (watch.living, watch.lost, watch.problem) == ([], [], "")


@pytest.mark.parametrize(("run", "how"), [(sys.exit, "SystemExit"), (exhaust, "MemoryError")])
def test_a_lost_thread_is_told_once(
    caplog: pytest.LogCaptureFixture, run: Callable[[], None], how: str
) -> None:
    watch, told = ThreadWatch(), threading.Semaphore(0)
    watch.when_lost(told.release)
    ended(watch, run)
    ended(watch, run)
    problem = f"thread 'worker' was ended by {how}: the host cannot go on"
    assert (watch.lost, watch.problem, watch.living) == (["worker"], problem, [])
    assert caplog.messages == [f"{problem}; it stops, so that a supervisor starts it again"]
    assert told.acquire(blocking=False)
    assert not told.acquire(blocking=False)


def test_who_asks_late_is_told_at_once() -> None:
    watch, told = ThreadWatch(), threading.Event()
    ended(watch, sys.exit)
    watch.when_lost(told.set)
    assert told.is_set()


def test_a_thread_may_run_again(caplog: pytest.LogCaptureFixture) -> None:
    watch = ThreadWatch()
    runs: list[Callable[[], object]] = [sys.exit, exhaust, int]

    def run() -> None:
        runs.pop(0)()

    ended(watch, run, "timer", runs_again=True)
    assert (runs, watch.lost) == ([], [])
    assert caplog.messages == [
        "thread 'timer' was ended by SystemExit: it runs again",
        "thread 'timer' was ended by MemoryError: it runs again",
    ]


def test_a_thread_that_only_fails_is_lost() -> None:
    watch = ThreadWatch()
    ended(watch, exhaust, runs_again=True)
    assert watch.lost == ["worker"]


def test_it_does_not_fail_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(MemoryError):
        run_again(exhaust, "log")
    assert len(caplog.messages) == TIMES


def test_a_pool_tells_that_a_thread_is_gone() -> None:
    watch = ThreadWatch()
    with WatchedExecutor(1, "answers", watch) as pool:
        assert pool.submit(str, 5).result(PATIENCE_SECONDS) == "5"
        assert not watch.lost
        # Python's pool takes an object that it cannot call for a reason to end the thread.
        pool._work_queue.put(5)  # type: ignore[arg-type]
        wait_until(lambda: not pool._members[0].is_alive(), "its thread is gone")
        pool.submit(str, 5)
    assert watch.problem == "thread 'answers' was ended: the host cannot go on"

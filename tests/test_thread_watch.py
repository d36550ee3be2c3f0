"""The end of a thread is noticed: it runs again, or its loss is reported."""

import sys
import threading
from collections.abc import Callable

import pytest

from flyte_host.testing.waiting import PATIENCE_SECONDS
from flyte_host.thread_watch import TIMES, ThreadWatch, WatchedExecutor, run_again
from tests.support.ended_thread import end_thread
from tests.support.scarcity import no_threads


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
    assert caplog.messages == [f"{problem}; stopping, so that a supervisor restarts it"]
    assert told.acquire(blocking=False)
    assert not told.acquire(blocking=False)


def test_a_late_caller_is_called_at_once() -> None:
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
        "thread 'timer' was ended by SystemExit: restarting it",
        "thread 'timer' was ended by MemoryError: restarting it",
    ]


def test_a_thread_that_only_fails_is_lost() -> None:
    watch = ThreadWatch()
    ended(watch, exhaust, runs_again=True)
    assert watch.lost == ["worker"]


def test_it_does_not_fail_forever(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(MemoryError):
        run_again(exhaust, "log")
    assert len(caplog.messages) == TIMES


def test_a_pool_goes_on_when_something_ends_a_thread(caplog: pytest.LogCaptureFixture) -> None:
    watch = ThreadWatch()
    with WatchedExecutor(1, "answers", watch) as pool:
        thread = pool.submit(threading.current_thread).result(PATIENCE_SECONDS)
        end_thread(thread)
        pool.submit(str)  # it has the thread look, and may be lost with it
        assert pool.submit(str, 5).result(PATIENCE_SECONDS) == "5"
        assert pool.submit(threading.current_thread).result(PATIENCE_SECONDS) is thread
        assert watch.living == ["answers 1"]
    assert caplog.messages == ["thread 'answers 1' was ended by SystemExit: restarting it"]
    assert (watch.living, watch.lost) == ([], [])


def test_a_pool_has_as_many_threads_as_it_was_given() -> None:
    watch, go_on, arrived = ThreadWatch(), threading.Event(), threading.Semaphore(0)

    def wait() -> bool:
        arrived.release()
        return go_on.wait(PATIENCE_SECONDS)

    with WatchedExecutor(3, "answers", watch) as pool:
        waiting = [pool.submit(wait) for _ in range(4)]
        for _ in range(3):
            assert arrived.acquire(timeout=PATIENCE_SECONDS)
        assert sorted(watch.living) == ["answers 1", "answers 2", "answers 3"]
        assert waiting[3].cancel()
        go_on.set()
        assert all(each.result(PATIENCE_SECONDS) for each in waiting[:3])
    with pytest.raises(RuntimeError, match="the pool is closed"):
        pool.submit(int)


@pytest.mark.parametrize("error", [ValueError, SystemExit, MemoryError])
def test_what_a_call_raises_goes_to_the_one_who_asked(error: type[BaseException]) -> None:
    def fail() -> None:
        raise error("so")

    with WatchedExecutor(1, "answers", ThreadWatch()) as pool:
        with pytest.raises(error, match="so"):
            pool.submit(fail).result(PATIENCE_SECONDS)
        assert pool.submit(int).result(PATIENCE_SECONDS) == 0


def test_a_pool_makes_do_with_the_threads_that_it_has() -> None:
    with WatchedExecutor(2, "answers", ThreadWatch()) as pool:
        with no_threads(), pytest.raises(RuntimeError, match="can't start"):
            pool.submit(int)
        held = threading.Event()
        first = pool.submit(held.wait, PATIENCE_SECONDS)
        with no_threads():
            second = pool.submit(int)
        held.set()
        assert first.result(PATIENCE_SECONDS)
        assert second.result(PATIENCE_SECONDS) == 0

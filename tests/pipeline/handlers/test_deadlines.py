"""One thread calls back at the right time, in the right order, and not after a cancel."""

import threading
import weakref
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from flyte_host.clock import Clock
from flyte_host.pipeline.handlers.deadlines import Deadlines
from flyte_host.testing.waiting import PATIENCE_SECONDS
from flyte_host.thread_watch import ThreadWatch


def started(clock: Clock | None = None) -> Deadlines:
    made = Deadlines(clock or Clock(), ThreadWatch())
    made.start()
    return made


@pytest.fixture
def deadlines() -> Iterator[Deadlines]:
    made = started()
    yield made
    made.close()
    assert not made.thread.is_alive()


class Held:
    """Keeps the thread of the deadlines busy until the test has arranged what comes next."""

    def __init__(self, deadlines: Deadlines) -> None:
        self._entered = threading.Event()
        self._release = threading.Event()
        deadlines.after(0, self._hold)
        assert self._entered.wait(PATIENCE_SECONDS)

    def _hold(self) -> None:
        self._entered.set()
        assert self._release.wait(PATIENCE_SECONDS)

    def release(self) -> None:
        self._release.set()


def test_deadlines_come_in_the_order_of_their_times(deadlines: Deadlines) -> None:
    held = Held(deadlines)
    order: list[str] = []
    last = threading.Event()
    deadlines.after(0.03, lambda: order.append("third"))
    deadlines.after(0.03, last.set)
    deadlines.after(0.01, lambda: order.append("first"))
    deadlines.after(0.02, lambda: order.append("second"))
    held.release()
    assert last.wait(PATIENCE_SECONDS)
    assert order == ["first", "second", "third"]


def test_deadlines_of_one_moment_come_in_the_order_of_their_making() -> None:
    deadlines = started(Clock(monotonic=lambda: 100.0))
    held = Held(deadlines)
    order: list[int] = []
    last = threading.Event()
    for number in range(20):
        deadlines.after(0, partial(order.append, number))
    deadlines.after(0, last.set)
    held.release()
    assert last.wait(PATIENCE_SECONDS)
    deadlines.close()
    assert order == list(range(20))


def test_an_earlier_deadline_overtakes_the_one_that_is_waited_for(deadlines: Deadlines) -> None:
    early = threading.Event()
    deadlines.after(3600, lambda: None)
    deadlines.after(0.01, early.set)
    assert early.wait(PATIENCE_SECONDS)


def test_a_deadline_in_the_past_comes_at_once(deadlines: Deadlines) -> None:
    called = threading.Event()
    deadlines.after(-5, called.set)
    assert called.wait(PATIENCE_SECONDS)


def test_a_cancelled_deadline_does_not_come(deadlines: Deadlines) -> None:
    held = Held(deadlines)
    called: list[str] = []
    last = threading.Event()
    cancel = deadlines.after(0.01, lambda: called.append("cancelled"))
    deadlines.after(0.02, last.set)
    cancel()
    cancel()
    held.release()
    assert last.wait(PATIENCE_SECONDS)
    assert called == []


def test_a_deadline_that_is_cancelled_while_it_is_waited_for_does_not_come(
    deadlines: Deadlines,
) -> None:
    called: list[str] = []
    last = threading.Event()
    cancel = deadlines.after(0.2, lambda: called.append("cancelled"))
    deadlines.after(0.25, last.set)
    cancel()
    assert last.wait(PATIENCE_SECONDS)
    assert called == []


def test_cancel_after_the_deadline_is_harmless(deadlines: Deadlines) -> None:
    called = threading.Event()
    cancel = deadlines.after(0, called.set)
    assert called.wait(PATIENCE_SECONDS)
    cancel()


def test_close_forgets_what_is_still_to_come() -> None:
    deadlines = started()
    called: list[str] = []
    deadlines.after(0.05, lambda: called.append("too late"))
    deadlines.after(3600, lambda: called.append("much too late"))
    deadlines.close()
    deadlines.after(0, lambda: called.append("after the end"))
    deadlines.close()
    assert not deadlines.thread.is_alive()
    assert called == []


def test_a_callback_that_fails_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ValueError

    deadlines, called = started(), threading.Event()
    deadlines.after(0, fail)
    deadlines.after(0, called.set)
    assert called.wait(PATIENCE_SECONDS)
    deadlines.close()
    assert "internal error while enforcing a deadline" in caplog.text


def test_deadlines_that_are_all_cancelled_leave_nothing_behind(deadlines: Deadlines) -> None:
    """Most are: their handlers end in time."""
    held = Held(deadlines)
    kept: list[weakref.ref[object]] = []

    def cancel_one() -> None:
        marker = type("Marker", (), {"__call__": lambda self: None})()
        kept.append(weakref.ref(marker))
        deadlines.after(3600, marker)()

    for _ in range(1000):
        cancel_one()
    held.release()
    assert not any(each() for each in kept)


def test_deadlines_can_be_given_as_a_time_of_day() -> None:
    noon = datetime(2026, 1, 2, 12, tzinfo=UTC)
    deadlines, called = started(Clock(now=lambda: noon)), threading.Event()
    deadlines.at(noon + timedelta(milliseconds=5), called.set)
    assert called.wait(PATIENCE_SECONDS)
    deadlines.close()

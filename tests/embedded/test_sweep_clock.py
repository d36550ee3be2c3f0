"""The time by which old things are removed: a clock that jumps ahead is not believed at once."""

from datetime import timedelta
from typing import Any

import pytest

from flyte_host.embedded.sweep_clock import HOLD_SECONDS, SLACK, SweepClock


def test_it_follows_the_clock(clock: Any) -> None:
    sweep_clock = SweepClock(clock.clock, None)
    for _ in range(3):
        clock.pass_(days=400)
        assert sweep_clock.now() == clock.time
    clock.jump(seconds=SLACK.total_seconds())
    assert sweep_clock.now() == clock.time
    clock.jump(days=-3)
    assert sweep_clock.now() == clock.time


def test_a_machine_that_was_suspended_is_believed(
    clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sweep_clock = SweepClock(clock.clock, None)
    clock.suspend(days=3)
    assert sweep_clock.now() == clock.time
    assert caplog.messages == []


def test_a_jump_ahead_is_believed_after_a_day(clock: Any, caplog: pytest.LogCaptureFixture) -> None:
    sweep_clock = SweepClock(clock.clock, None)
    before = clock.time
    clock.jump(days=365)
    for _ in range(3):
        assert sweep_clock.now() == before
        clock.pass_(seconds=HOLD_SECONDS / 4)
    clock.pass_(seconds=HOLD_SECONDS / 4)
    assert sweep_clock.now() == clock.time
    assert len(caplog.messages) == 1


def test_a_jump_that_is_taken_back_is_forgotten(clock: Any) -> None:
    sweep_clock = SweepClock(clock.clock, None)
    clock.jump(days=365)
    sweep_clock.now()
    clock.pass_(seconds=HOLD_SECONDS / 2)
    clock.jump(days=-365)
    assert sweep_clock.now() == clock.time
    clock.jump(days=365)
    before = clock.time - timedelta(days=365)
    assert sweep_clock.now() == before
    clock.pass_(seconds=HOLD_SECONDS / 2)
    assert sweep_clock.now() == before


def test_a_start_long_after_the_last_change_is_a_jump(clock: Any) -> None:
    """A machine that boots with a wrong date looks the same."""
    last_known = clock.time
    clock.jump(days=2)
    sweep_clock = SweepClock(clock.clock, last_known)
    assert sweep_clock.now() == last_known
    clock.pass_(seconds=HOLD_SECONDS)
    assert sweep_clock.now() == clock.time

"""When the next call makes sense, told by a clock that only the test moves."""

import logging
import random
import threading
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyte_host.client.outage import PROBE_SECONDS, RETRY_AFTER_CAP_SECONDS, Outage
from flyte_host.clock import Clock
from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.hand_clock import HandClock

PROBE, ANOTHER = object(), object()


class Largest(random.Random):
    """Draws the largest number every time, so that pauses are their ceilings."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Smallest(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return a


def outage_at(hand: HandClock, draws: random.Random | None = None, **settings: Any) -> Outage:
    return Outage(replace(hand.clock, rng=draws or Largest()), **settings)


def test_closed_admits_everybody() -> None:
    outage = Outage(Clock())
    assert [outage.admit(PROBE), outage.admit(PROBE)] == [0.0, 0.0]
    assert (outage.since, outage.reason, outage.failures) == (None, "", 0)


def test_a_success_while_closed_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    outage = Outage(Clock())
    outage.succeeded()
    assert (outage.since, caplog.messages) == (None, [])


def test_a_failure_opens_it() -> None:
    clock = HandClock()
    outage = outage_at(clock)
    assert outage.failed("connection refused") == 0.5
    assert (outage.since, outage.reason, outage.failures) == (1000.0, "connection refused", 1)
    assert outage.admit(PROBE) == pytest.approx(0.5 + 0.5 + 0.05)


def test_an_early_caller_gets_some_jitter_on_top_of_the_rest() -> None:
    clock = HandClock()
    early = outage_at(clock, Smallest())
    early.failed("x", 10.0)
    clock.seconds += 4
    assert early.admit(PROBE) == 6.0
    late = outage_at(clock, Largest())
    late.failed("x", 10.0)
    assert 10.0 < late.admit(PROBE) <= 10.0 + 0.55


def test_one_probe_at_a_time() -> None:
    clock = HandClock()
    outage = outage_at(clock)
    clock.seconds += outage.failed("x")
    assert outage.admit(PROBE) == 0.0
    assert outage.admit(PROBE) == pytest.approx(0.5 + 0.55)
    assert outage.admit(ANOTHER) > 0


@pytest.mark.parametrize(
    ("failures", "ceiling"), [(1, 0.5), (2, 1.0), (3, 2.0), (4, 2.0), (2000, 2.0)]
)
def test_the_pause_doubles_up_to_its_cap(failures: int, ceiling: float) -> None:
    clock = HandClock()
    outage = outage_at(clock)
    pause = outage.failed("x")
    for _ in range(failures - 1):
        clock.seconds += pause
        assert outage.admit(PROBE) == 0.0
        pause = outage.failed("x", caller=PROBE)
    assert (pause, outage.failures) == (ceiling, failures)


def test_base_and_cap_are_settings() -> None:
    clock = HandClock()
    outage = outage_at(clock, base_seconds=2.0, cap_seconds=3.0)
    assert outage.failed("x") == 2.0
    clock.seconds += 2
    assert outage.admit(PROBE) == 0.0
    assert outage.failed("x", caller=PROBE) == 3.0


def test_full_jitter_can_mean_at_once() -> None:
    outage = outage_at(HandClock(), Smallest())
    assert outage.failed("x") == 0.0
    assert outage.admit(PROBE) == 0.0


def test_calls_that_were_under_way_do_not_lengthen_the_pause() -> None:
    clock = HandClock()
    outage = outage_at(clock)
    outage.failed("first")
    clock.seconds += 0.1
    assert [outage.failed("second"), outage.failed("third")] == pytest.approx([0.4, 0.4])
    assert (outage.failures, outage.reason) == (1, "third")


def test_a_late_failure_of_another_call_does_not_end_the_probe() -> None:
    clock = HandClock()
    outage = outage_at(clock)
    clock.seconds += outage.failed("x")
    assert outage.admit(PROBE) == 0.0
    assert outage.failed("late") == 0.0
    assert outage.failures == 1
    assert outage.admit(ANOTHER) > 0
    assert outage.failed("probe", caller=PROBE) == 1.0
    assert outage.failures == 2


def test_a_wish_of_the_server_is_granted() -> None:
    clock = HandClock()
    outage = outage_at(clock)
    assert outage.failed("503", 7.0) == 7.0
    clock.seconds += 6.9
    assert outage.admit(PROBE) > 0
    clock.seconds += 0.2
    assert outage.admit(PROBE) == 0.0


def test_a_shorter_wish_does_not_shorten_the_pause() -> None:
    assert outage_at(HandClock()).failed("503", 0.1) == 0.5


def test_a_wish_of_a_call_that_was_under_way_counts_too() -> None:
    outage = outage_at(HandClock())
    outage.failed("x")
    assert outage.failed("429", 20.0) == 20.0
    assert outage.failed("429", 3.0) == 20.0


def test_no_wish_is_granted_beyond_five_minutes() -> None:
    assert outage_at(HandClock()).failed("503", 1e300) == RETRY_AFTER_CAP_SECONDS == 300.0


@pytest.mark.parametrize("who", ["probe", "another"])
def test_any_success_closes_it(who: str) -> None:
    clock = HandClock()
    outage = outage_at(clock)
    clock.seconds += outage.failed("x")
    if who == "probe":
        assert outage.admit(PROBE) == 0.0
    outage.succeeded()
    assert (outage.since, outage.reason, outage.failures) == (None, "", 0)
    assert [outage.admit(PROBE), outage.admit(ANOTHER)] == [0.0, 0.0]
    assert outage.failed("again") == 0.5


def test_a_probe_that_never_reports_is_given_up() -> None:
    clock = HandClock()
    outage = outage_at(clock)
    clock.seconds += outage.failed("x")
    assert outage.admit(ANOTHER) == 0.0
    clock.seconds += PROBE_SECONDS - 0.01
    assert outage.admit(PROBE) > 0
    clock.seconds += 0.02
    assert outage.admit(PROBE) == 0.0
    assert outage.admit(ANOTHER) > 0


def test_a_probe_that_ends_without_a_report_makes_room_for_another() -> None:
    clock = HandClock()
    outage = outage_at(clock)
    clock.seconds += outage.failed("x")
    assert outage.admit(PROBE) == 0.0
    outage.leave(ANOTHER)
    assert outage.admit(ANOTHER) > 0
    outage.leave(PROBE)
    assert outage.admit(ANOTHER) == 0.0


def fail_for(outage: Outage, clock: HandClock, seconds: float) -> None:
    """A probe every ten seconds, each without luck."""
    end = clock.seconds + seconds
    while clock.seconds < end:
        clock.seconds += 10.0
        outage.admit(PROBE)
        outage.failed("connection refused by flyte:80", caller=PROBE)


def test_the_log_says_when_it_begins_how_it_goes_on_and_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    clock = HandClock()
    outage = outage_at(clock, cap_seconds=5.0)
    outage.failed("connection refused by flyte:80")
    fail_for(outage, clock, 20 * 60)
    outage.succeeded()
    refused = "connection refused by flyte:80; next try in"
    assert caplog.messages == [
        f"flyte is away: {refused} 0.5 s",
        f"flyte has been away for 1 min 0 s: {refused} 5.0 s",
        f"flyte has been away for 3 min 0 s: {refused} 5.0 s",
        f"flyte has been away for 7 min 0 s: {refused} 5.0 s",
        f"flyte has been away for 15 min 0 s: {refused} 5.0 s",
        "flyte is back after 20 min 0 s; failed attempts: 121",
    ]
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 5 + ["INFO"]
    assert {record.name for record in caplog.records} == {"flyte_host.client.outage"}


def test_reminders_come_every_half_hour_in_the_end(caplog: pytest.LogCaptureFixture) -> None:
    clock = HandClock()
    outage = outage_at(clock, cap_seconds=5.0)
    outage.failed("x")
    fail_for(outage, clock, 4 * 3600)
    lengths = [message.partition(":")[0] for message in caplog.messages[5:]]
    assert lengths == [f"flyte has been away for {31 + 30 * n} min 0 s" for n in range(7)]


def test_a_short_outage_is_told_in_seconds(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = HandClock()
    outage = outage_at(clock)
    outage.failed("x")
    clock.seconds += 3
    outage.succeeded()
    assert caplog.messages[-1] == "flyte is back after 3 s; failed attempts: 1"


def test_one_broken_connection_is_not_worth_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = HandClock()
    outage = outage_at(clock)
    outage.failed("reset", broke_off=True)
    assert outage.since is not None
    outage.succeeded()
    assert caplog.messages == []


def test_a_second_failure_makes_a_broken_connection_an_outage(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    clock = HandClock()
    outage = outage_at(clock)
    clock.seconds += outage.failed("reset", broke_off=True)
    assert outage.admit(PROBE) == 0.0
    clock.seconds += outage.failed("reset", broke_off=True, caller=PROBE)
    clock.seconds += 1.5
    outage.succeeded()
    assert caplog.messages == [
        "flyte is away: reset; next try in 1.0 s",
        "flyte is back after 3 s; failed attempts: 2",
    ]


def test_connections_that_keep_breaking_are_an_outage(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = HandClock()
    outage = outage_at(clock)
    for seconds in (70, 70, 10):
        clock.seconds += seconds
        outage.failed("reset", broke_off=True)
        outage.succeeded()
    assert caplog.messages == ["flyte is away: reset; next try in 0.5 s"]


def test_an_outage_tells_when_the_next_call_may_go_out() -> None:
    clock = HandClock()
    outage = outage_at(clock)
    assert outage.next_try_at() == 0
    assert outage.failed("x") == 0.5
    assert outage.next_try_at() == 1000.5
    clock.seconds += 0.5
    assert outage.next_try_at() == 1000.5  # asking is not trying
    assert outage.admit(PROBE) == 0.0
    assert outage.next_try_at() == 1000.5 + PROBE_SECONDS
    assert outage.failed("x", caller=PROBE) == 1.0
    assert outage.next_try_at() == 1001.5
    outage.succeeded()
    assert outage.next_try_at() == 0


def test_an_outage_names_the_server_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    outage = Outage(replace(HandClock().clock, rng=Smallest()), name="the mirror")
    outage.failed("x")
    outage.succeeded()
    assert caplog.messages == [
        "the mirror is away: x; next try in 0.0 s",
        "the mirror is back after 0 s; failed attempts: 1",
    ]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["admit", "fail", "fail with a wish", "succeed", "leave", "die"]),
        st.sampled_from([0.0, 0.01, 0.3, 1.0, 8.0, 40.0]),
    ),
    max_size=60,
)


@given(STEPS, st.integers(0, 2**32))
def test_never_two_probes_and_none_before_its_time(
    steps: list[tuple[str, float]], seed: int
) -> None:
    clock = HandClock()
    outage = outage_at(clock, random.Random(seed))
    probe_since: float | None = None
    not_before = 0.0
    for step, pause in steps:
        clock.seconds += pause
        probing = probe_since is not None and clock.seconds < probe_since + PROBE_SECONDS
        if step == "admit":
            is_open, wait = outage.since is not None, outage.admit(PROBE)
            assert 0.0 <= wait <= 30.0 + 3.5 + 40.0
            if is_open and wait == 0.0:
                assert not probing
                assert clock.seconds >= not_before
                probe_since = clock.seconds
        elif step.startswith("fail"):
            wish_seconds = 40.0 if "wish" in step else None
            not_before = clock.seconds + outage.failed("x", wish_seconds, caller=PROBE)
            probe_since = None
        elif step == "succeed":
            outage.succeeded()
            probe_since = None
        elif step == "leave":
            outage.leave(PROBE)
            probe_since = None
        else:  # the prober dies without a word
            continue
        assert (outage.since is None) == (outage.failures == 0)


def test_of_many_threads_one_is_the_probe() -> None:
    clock = HandClock()
    outage = outage_at(clock)
    clock.seconds += outage.failed("x")
    barrier, admitted = threading.Barrier(8), []

    def ask() -> None:
        barrier.wait(PATIENCE_SECONDS)
        admitted.append(outage.admit(object()))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(admitted)[:2] == [0.0, pytest.approx(1.05)]

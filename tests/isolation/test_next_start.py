from flyte_host.clock import Clock
from flyte_host.isolation.next_start import NextStart
from flyte_host.isolation.restart_budget import RestartBudget

NOW = 100.0


def make_next_start() -> NextStart:
    return NextStart(RestartBudget(), Clock(monotonic=lambda: NOW))


def test_a_death_is_told_with_the_pause_before_the_next_start() -> None:
    start = make_next_start()
    start.plan("exit code 3")
    assert start.problem == "its process ended (exit code 3); it starts again in 1 s"
    assert (start.deaths, start.in_seconds) == (1, 1.0)


def test_a_start_that_is_hurried_is_due_now() -> None:
    start = make_next_start()
    start.plan("exit code 3")
    start.set_now()
    assert start.in_seconds == 0.0
    start.wait()  # returns at once


def test_a_death_too_many_is_a_quarantine_until_it_runs_again() -> None:
    start = make_next_start()
    for _ in range(6):
        start.plan("signal 11, SIGSEGV")
    assert start.quarantined
    assert start.problem == (
        "its process ended (signal 11, SIGSEGV), more than 5 times within 600 s: quarantined; "
        "it starts again in 600 s"
    )
    start.lift_quarantine()
    assert not start.quarantined

"""Whether somebody who does something is back soon."""

import threading

from flyte_host.pipeline.schedule.busy_workers import (
    BACK_SECONDS,
    QUICK_DISK_SECONDS,
    BusyWorkers,
)

SOON = BACK_SECONDS / 10
LONG = BACK_SECONDS * 100


def test_nobody_is_waited_for_while_nobody_works() -> None:
    workers = BusyWorkers()
    assert workers.patience_seconds(0.0) == 0
    workers.go(0.0)
    workers.come_back(SOON)
    assert workers.patience_seconds(SOON) == 0


def test_a_job_waits_for_a_worker_while_quick_ones_are_away() -> None:
    workers = BusyWorkers()
    workers.go(0.0)
    assert workers.patience_seconds(SOON) == BACK_SECONDS
    assert workers.patience_seconds(BACK_SECONDS) == 0  # it is not a quick one


def test_one_that_just_went_counts_beside_one_that_is_stuck() -> None:
    workers = BusyWorkers()
    stuck = threading.Thread(target=workers.go, args=(0.0,))
    stuck.start()
    stuck.join()
    workers.go(LONG)
    assert workers.patience_seconds(LONG + SOON) == BACK_SECONDS


def test_no_job_waits_for_a_worker_while_work_takes_long() -> None:
    workers = BusyWorkers()
    now = 0.0
    workers.go(now)
    now += LONG
    workers.come_back(now)
    workers.go(now)
    assert workers.patience_seconds(now) == 0
    for _ in range(100):
        now += SOON
        workers.come_back(now)
        workers.go(now)
    assert workers.patience_seconds(now) == BACK_SECONDS


def test_a_disk_is_quick_though_most_waits_for_it_end_late() -> None:
    """Most of what they took was the wait for an interpreter that others kept busy."""
    workers = BusyWorkers()
    for _ in range(100):
        workers.note_disk_wait(QUICK_DISK_SECONDS / 5)
        workers.note_disk_wait(QUICK_DISK_SECONDS * 5)
        workers.note_disk_wait(QUICK_DISK_SECONDS * 5)
    assert not workers.is_disk_slow


def test_a_disk_that_became_slow_is_slow_until_it_is_quick_again() -> None:
    workers = BusyWorkers()
    for seconds, is_slow in ((0.008, True), (0.0001, False), (0.008, True)):
        for _ in range(200):
            workers.note_disk_wait(seconds)
        assert workers.is_disk_slow == is_slow

"""When an idle worker is called for what waits."""

import threading

from flyte_host.clock import Clock
from flyte_host.pipeline.schedule.busy_workers import BACK_SECONDS
from flyte_host.pipeline.schedule.timetable import Timetable


def table_with_job() -> Timetable:
    """A job waits since 0.0."""
    table = Timetable(Clock(), linger_seconds=1.0)
    table.jobs.add(lambda: None, 0.0)
    return table


def test_an_idle_worker_comes_at_once_while_nobody_works() -> None:
    assert table_with_job().wake_at(0.0) == 0.0


def test_no_idle_worker_comes_while_quick_ones_keep_coming_back() -> None:
    """However long the job has waited: they do as much as there is time for."""
    table, now = table_with_job(), 100 * BACK_SECONDS
    table.busy_workers.go(now)
    assert table.wake_at(now) == now + BACK_SECONDS


def test_an_idle_worker_comes_once_they_stay_away() -> None:
    table, now = table_with_job(), 100 * BACK_SECONDS
    for at in (now, now + BACK_SECONDS / 2):
        worker = threading.Thread(target=table.busy_workers.go, args=(at,))
        worker.start()
        worker.join()
    assert table.wake_at(at) == at + BACK_SECONDS
    assert table.wake_at(at + BACK_SECONDS) == 0.0

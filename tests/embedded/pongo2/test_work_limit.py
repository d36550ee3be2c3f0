"""How long a thread may compute, on clocks that the test moves."""

from flyte_host.embedded.pongo2.work_limit import WorkClock, WorkLimit


class HandWork:
    """A thread that works while the test says so; ``reads`` counts looks at its CPU time."""

    def __init__(self) -> None:
        self.work = self.wall = 0.0
        self.reads = 0
        self.limit = WorkLimit(3.0, WorkClock(self._read_work, lambda: self.wall))

    def _read_work(self) -> float:
        self.reads += 1
        return self.work

    def compute(self, seconds: float) -> None:
        self.work += seconds
        self.wall += seconds

    def wait(self, seconds: float) -> None:
        self.wall += seconds


def test_work_is_over_after_so_many_seconds() -> None:
    thread = HandWork()
    thread.compute(3.0)
    assert not thread.limit.is_over()
    thread.compute(0.1)
    assert thread.limit.is_over()


def test_time_without_work_does_not_count() -> None:
    thread = HandWork()
    thread.wait(60.0)
    assert not thread.limit.is_over()
    thread.compute(2.9)
    thread.wait(60.0)
    assert not thread.limit.is_over()
    thread.compute(0.2)
    assert thread.limit.is_over()


def test_work_is_measured_only_when_that_much_time_has_passed() -> None:
    thread = HandWork()
    for _ in range(100):
        thread.compute(0.02)
        assert not thread.limit.is_over()
    assert thread.reads == 1
    thread.wait(1.0)
    assert not thread.limit.is_over()
    assert thread.reads == 2


def test_work_of_another_thread_counts() -> None:
    thread = HandWork()
    thread.limit.charge(2.0)
    thread.compute(1.1)
    assert thread.limit.is_over()

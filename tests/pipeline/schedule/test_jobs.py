"""In which order workers do what is to be done besides turns."""

import math

from flyte_host.pipeline.schedule.busy_workers import BACK_SECONDS
from flyte_host.pipeline.schedule.jobs import Chore, Jobs


def named(name: str, done: list[str]) -> Chore:
    return lambda: done.append(name)


def drain(jobs: Jobs, done: list[str], now: float = 0.0, *, is_quick_due: bool = False) -> None:
    while (job := jobs.take(now, is_quick_due=is_quick_due)) is not None:
        assert callable(job)
        job()


def test_jobs_come_in_their_order_and_the_chore_last() -> None:
    jobs, done = Jobs(), list[str]()
    jobs.add_chore(named("chore", done), 0.0)
    assert jobs.add(named("first", done), 0.0)
    assert not jobs.add(named("second", done), 0.0)
    drain(jobs, done)
    assert done == ["first", "second", "chore"]
    assert jobs.since() == math.inf


def test_one_chore_is_for_all() -> None:
    jobs, done = Jobs(), list[str]()
    jobs.add_chore(named("chore", done), 0.0)
    assert jobs.has_chore
    jobs.add_chore(named("another", done), 0.0)
    drain(jobs, done)
    assert done == ["chore"]
    assert not jobs.has_chore


def test_a_chore_waits_for_a_quick_take_that_gives_it_more_to_do() -> None:
    jobs, done = Jobs(), list[str]()
    jobs.add_chore(named("chore", done), 0.0)
    drain(jobs, done, is_quick_due=True)
    assert done == []
    drain(jobs, done, is_quick_due=False)
    assert done == ["chore"]


def test_a_chore_that_is_late_comes_before_everything() -> None:
    jobs, done = Jobs(), list[str]()
    jobs.add_chore(named("chore", done), 0.0)
    jobs.add(named("job", done), 0.0)
    drain(jobs, done, BACK_SECONDS, is_quick_due=True)
    assert done == ["chore", "job"]


def test_no_second_chore_starts_while_one_is_under_way() -> None:
    jobs, done = Jobs(), list[str]()
    jobs.add_chore(named("first", done), 0.0)
    drain(jobs, done)
    jobs.add_chore(named("next", done), 1.0)
    assert jobs.has_chore
    assert jobs.since() == math.inf
    drain(jobs, done, 2.0)
    assert done == ["first"]
    jobs.end_chore()
    assert jobs.since() == 1.0
    drain(jobs, done, 2.0)
    assert done == ["first", "next"]

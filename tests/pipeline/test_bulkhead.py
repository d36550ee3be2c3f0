"""The slots of a pack are counted right, in every order of events and from many threads."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from flyte_host.pipeline.bulkhead import Bulkhead, Load
from flyte_host.testing.waiting import PATIENCE_SECONDS


def test_no_more_than_the_limit_run_at_once() -> None:
    bulkhead = Bulkhead(2)
    assert [bulkhead.reserve() for _ in range(3)] == [True, True, False]
    assert bulkhead.load() == Load(2, 2, 0)
    assert bulkhead.release() == Load(2, 1, 0)
    assert bulkhead.reserve()


def test_a_stuck_handler_leaves_its_slot_to_others() -> None:
    bulkhead = Bulkhead(2)
    bulkhead.reserve()
    load = bulkhead.expired()
    assert (load, load.quarantined) == (Load(2, 0, 1), False)
    assert [bulkhead.reserve() for _ in range(3)] == [True, True, False]


def test_as_many_stuck_handlers_as_slots_quarantine_the_pack_until_one_ends() -> None:
    bulkhead = Bulkhead(1)
    bulkhead.reserve()
    assert bulkhead.expired().quarantined
    assert not bulkhead.reserve()
    load = bulkhead.unstuck()
    assert (load, load.quarantined) == (Load(1, 0, 0), False)
    assert bulkhead.reserve()


@given(st.integers(1, 3), st.lists(st.sampled_from(["reserve", "release", "expired", "unstuck"])))
def test_the_counts_follow_a_simple_model(limit: int, steps: list[str]) -> None:
    bulkhead = Bulkhead(limit)
    running = stuck = 0
    for step in steps:
        if step == "reserve":
            free = running < limit and stuck < limit
            assert bulkhead.reserve() is free
            running += free
        elif step == "unstuck" and stuck:
            stuck -= 1
            bulkhead.unstuck()
        elif step in {"release", "expired"} and running:
            running -= 1
            stuck += step == "expired"
            getattr(bulkhead, step)()
        assert bulkhead.load() == Load(limit, running, stuck)


def test_many_threads_never_get_more_slots_than_there_are() -> None:
    bulkhead = Bulkhead(5)
    start = threading.Barrier(20)
    taken: list[bool] = []

    def take() -> None:
        start.wait(PATIENCE_SECONDS)
        taken.append(bulkhead.reserve())

    threads = [threading.Thread(target=take) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert sorted(taken) == [False] * 15 + [True] * 5

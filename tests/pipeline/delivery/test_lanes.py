"""What waits for delivery keeps its order, and nothing that is retried is overlooked."""

import time

from flyte_host.pipeline.delivery.lanes import Lanes
from flyte_host.pipeline.journal import Kind, Owed


def event(number: int, pack_key: str = "demo") -> Owed:
    return Owed(Kind.EVENT, pack_key, number)


def result(number: int, pack_key: str = "demo") -> Owed:
    return Owed(Kind.RESULT, pack_key, number)


def begin(lanes: Lanes, now: float = 0) -> Owed:
    assert lanes.next_due(now) == now
    return lanes.begin()


def order(lanes: Lanes, now: float = 0) -> list[tuple[str, Kind, int]]:
    """All that is due, each delivered at once."""
    found = []
    while lanes.next_due(now) is not None:
        owed = begin(lanes, now)
        found.append((owed.pack_key, owed.kind, owed.number))
        lanes.done(owed)
    return found


def test_events_of_a_pack_come_in_turn_results_as_they_are_due() -> None:
    lanes = Lanes()
    for each in (event(1), event(2), result(7), event(3, "other"), result(8)):
        lanes.add(each)
    assert len(lanes) == 5
    assert begin(lanes) == event(1)
    assert [begin(lanes).number for _ in range(3)] == [7, 3, 8]
    assert lanes.next_due(0) is None  # the second event waits for the first
    lanes.again(event(1), 9)
    assert lanes.next_due(0) == 9
    assert begin(lanes, 9) == event(1)
    lanes.done(event(1))
    assert begin(lanes) == event(2)


def test_packs_and_kinds_take_turns() -> None:
    lanes = Lanes()
    for number in range(4):
        lanes.add(result(number))
    for each in (result(9, "other"), event(1), event(2), event(7, "third"), result(8, "other")):
        lanes.add(each)
    assert order(lanes) == [
        ("demo", Kind.RESULT, 0),
        ("other", Kind.RESULT, 9),
        ("demo", Kind.EVENT, 1),
        ("third", Kind.EVENT, 7),
        ("demo", Kind.RESULT, 1),
        ("other", Kind.RESULT, 8),
        ("demo", Kind.EVENT, 2),
        ("demo", Kind.RESULT, 2),
        ("demo", Kind.RESULT, 3),
    ]


def test_what_is_due_again_comes_behind_what_is_due_already() -> None:
    lanes = Lanes()
    for number in range(3):
        lanes.add(result(number))
    first, second = begin(lanes), begin(lanes)
    lanes.again(first, 7)
    lanes.again(second, 6)
    assert [each[2] for each in order(lanes, 8)] == [2, 1, 0]


def test_a_step_costs_as_little_with_many_as_with_few() -> None:
    """A hundred times as many lanes, each retried once: not much more than a hundred times."""

    def seconds(count: int) -> float:
        lanes = Lanes()
        for number in range(count):
            lanes.add(result(number))
        began = time.process_time()
        for _ in range(count):
            lanes.again(begin(lanes), 1)
        order(lanes, 1)
        return time.process_time() - began

    assert min(seconds(20_000) for _ in range(2)) < 500 * max(seconds(200) for _ in range(5))


def test_what_is_in_no_lane_is_taken_up() -> None:
    lanes = Lanes()
    lanes.add(event(2))
    lanes.take_up([result(1), event(1), event(2)])
    assert len(lanes) == 3
    assert sorted(order(lanes)) == [
        ("demo", Kind.EVENT, 1),
        ("demo", Kind.EVENT, 2),
        ("demo", Kind.RESULT, 1),
    ]
    assert len(lanes) == 0


def test_a_head_under_way_may_be_waiting_again() -> None:
    """Parked and retried while its delivery ends: it is checked once more, not twice more."""
    lanes = Lanes()
    lanes.add(result(1))
    owed = begin(lanes)
    lanes.take_up([result(1)])
    lanes.take_up([result(1)])
    assert len(lanes) == 1
    lanes.done(owed)
    assert order(lanes) == [("demo", Kind.RESULT, 1)]


def test_a_result_under_way_is_not_due_and_is_there_once() -> None:
    lanes = Lanes()
    assert lanes.add_under_way(result(1))
    assert not lanes.add_under_way(result(1))
    assert lanes.next_due(0) is None
    assert (len(lanes), lanes.waiting("demo")) == (1, 1)
    lanes.again(result(1), 5)
    assert begin(lanes, 5) == result(1)
    lanes.done(result(1))
    assert not lanes
    assert lanes.waiting("demo") == 0


def test_what_waits_is_counted_by_kind_with_its_highest_number() -> None:
    lanes = Lanes()
    assert lanes.by_kind() == {Kind.RESULT: (0, 0), Kind.EVENT: (0, 0)}
    for each in (result(4), result(9), event(3), event(1, "other")):
        lanes.add(each)
    assert lanes.by_kind() == {Kind.RESULT: (2, 9), Kind.EVENT: (2, 3)}
    assert (lanes.events("demo"), lanes.waiting("demo")) == (1, 3)

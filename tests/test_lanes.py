"""What waits for delivery keeps its order, and nothing that is retried is overlooked."""

from flyte_host.courier.lanes import Lane, Lanes
from flyte_host.journal import Delivery, Kind

EVENTS = Lane(Kind.EVENT, "demo")


def event(number: int, instance: str = "demo") -> Delivery:
    return Delivery(Kind.EVENT, number, instance, b"")


def result(number: int) -> Delivery:
    return Delivery(Kind.RESULT, number, "demo", b"")


def order(lanes: Lanes) -> list[tuple[Kind, int]]:
    """All that is due, each delivered at once."""
    found = []
    while lanes.next_due() is not None:
        lane, number = lanes.begin()
        found.append((lane.kind, number))
        lanes.done(lane, 0)
    return found


def test_events_of_a_pack_come_one_after_the_other_results_as_they_are_due() -> None:
    lanes = Lanes()
    for each in (event(1), event(2), result(7), event(3, "other"), result(8)):
        lanes.add(each, 0)
    assert len(lanes) == 5
    assert lanes.begin() == (EVENTS, 1)
    assert [lanes.begin()[1] for _ in range(3)] == [7, 3, 8]
    assert lanes.next_due() is None  # the second event waits for the first
    lanes.again(EVENTS, 9)
    assert lanes.next_due() == 9
    assert lanes.begin() == (EVENTS, 1)
    lanes.done(EVENTS, 10)
    assert lanes.begin() == (EVENTS, 2)


def test_what_is_in_no_lane_is_taken_up() -> None:
    lanes = Lanes()
    lanes.add(event(2), 0)
    lanes.take_up([result(1), event(1), event(2)], 0)
    assert len(lanes) == 3
    assert sorted(order(lanes)) == [(Kind.EVENT, 1), (Kind.EVENT, 2), (Kind.RESULT, 1)]
    assert len(lanes) == 0


def test_a_head_under_way_may_be_waiting_again() -> None:
    """Parked and retried while its delivery ends: it is looked at once more, not twice more."""
    lanes = Lanes()
    lanes.add(result(1), 0)
    lane, _ = lanes.begin()
    lanes.take_up([result(1)], 0)
    lanes.take_up([result(1)], 0)
    assert len(lanes) == 1
    lanes.done(lane, 0)
    assert order(lanes) == [(Kind.RESULT, 1)]

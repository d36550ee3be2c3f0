"""One line says when all that waited through an outage has arrived."""

from flyte_host.pipeline.delivery.arrears import Arrears
from flyte_host.pipeline.delivery.lanes import Lanes
from flyte_host.pipeline.journal import Kind, Owed


def result(number: int) -> Owed:
    return Owed(Kind.RESULT, "demo", number)


def event(number: int) -> Owed:
    return Owed(Kind.EVENT, "demo", number)


def arrears_of(*waiting: Owed) -> Arrears:
    """Those that waited when flyte was back."""
    lanes = Lanes()
    for each in waiting:
        lanes.add(each)
    arrears = Arrears(lanes)
    arrears.begin()
    assert arrears.end()
    return arrears


def test_the_last_of_those_that_waited_ends_them() -> None:
    arrears = arrears_of(result(4), result(9), event(3))
    assert not arrears.remove(result(4), arrived=True)
    assert not arrears.remove(event(3), arrived=True)
    assert arrears.remove(result(9), arrived=True) == "2 results and 1 event"
    assert not arrears.remove(result(1), arrived=True)


def test_what_came_later_does_not_count() -> None:
    arrears = arrears_of(result(9))
    assert not arrears.remove(result(10), arrived=True)
    assert not arrears.remove(event(1), arrived=True)
    assert arrears.remove(result(9), arrived=True) == "1 result"


def test_what_was_parked_has_not_arrived() -> None:
    arrears = arrears_of(result(9), event(1))
    assert not arrears.remove(result(9), arrived=False)
    assert arrears.remove(event(1), arrived=True) == "1 event"


def test_when_all_were_parked_nothing_has_arrived() -> None:
    arrears = arrears_of(result(9))
    assert arrears.remove(result(9), arrived=False) == ""
    assert arrears.remove(result(9), arrived=True) == ""


def test_without_an_outage_there_are_none() -> None:
    lanes = Lanes()
    lanes.add(result(1))
    arrears = Arrears(lanes)
    assert not arrears.end()
    assert arrears.remove(result(1), arrived=True) == ""


def test_a_second_outage_before_all_have_arrived_adds_none() -> None:
    lanes = Lanes()
    lanes.add(result(1))
    arrears = Arrears(lanes)
    arrears.begin()
    assert arrears.end()
    lanes.add(result(2))
    arrears.begin()
    assert arrears.end()
    assert not arrears.remove(result(2), arrived=True)
    assert arrears.remove(result(1), arrived=True) == "1 result"


def test_the_next_outage_is_counted_afresh() -> None:
    lanes = Lanes()
    lanes.add(result(1))
    arrears = Arrears(lanes)
    arrears.begin()
    arrears.end()
    arrears.remove(result(1), arrived=True)
    lanes.done(result(1))
    lanes.add(event(1))
    arrears.begin()
    arrears.end()
    assert arrears.remove(event(1), arrived=True) == "1 event"

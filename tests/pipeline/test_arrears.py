"""One line says when all that waited through an outage has arrived."""

from flyte_host.pipeline.arrears import Arrears
from flyte_host.pipeline.journal import Kind, Owed


def result(number: int) -> Owed:
    return Owed(Kind.RESULT, "demo", number)


def event(number: int) -> Owed:
    return Owed(Kind.EVENT, "demo", number)


def test_the_last_of_those_that_waited_ends_them() -> None:
    arrears = Arrears({Kind.RESULT: (2, 9), Kind.EVENT: (1, 3)})
    assert not arrears.remove(result(4), arrived=True)
    assert not arrears.remove(event(3), arrived=True)
    assert arrears.remove(result(9), arrived=True)
    assert arrears.describe() == "2 results and 1 event"
    assert not arrears.remove(result(1), arrived=True)


def test_what_came_later_does_not_count() -> None:
    arrears = Arrears({Kind.RESULT: (1, 9), Kind.EVENT: (0, 0)})
    assert not arrears.remove(result(10), arrived=True)
    assert not arrears.remove(event(1), arrived=True)
    assert arrears.remove(result(9), arrived=True)
    assert arrears.describe() == "1 result"


def test_what_was_parked_has_not_arrived() -> None:
    arrears = Arrears({Kind.RESULT: (1, 9), Kind.EVENT: (1, 1)})
    assert not arrears.remove(result(9), arrived=False)
    assert [arrears.has_arrived] == [False]
    assert arrears.remove(event(1), arrived=True)
    assert [arrears.has_arrived] == [True]
    assert arrears.describe() == "1 event"

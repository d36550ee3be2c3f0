"""A pack whose events pile up raises no more until some are gone."""

import threading
from collections.abc import Iterator

import pytest

from flyte_host.pipeline.delivery.event_rooms import EventRooms
from flyte_host.pipeline.delivery.lanes import Lanes
from flyte_host.pipeline.journal import Kind, Owed
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until


class Landing:
    """Rooms for ``most`` events, and threads that wait for one more."""

    def __init__(self, most: int) -> None:
        self.lock = threading.Lock()
        self.lanes = Lanes()
        self.rooms = EventRooms(self.lanes, self.lock, most_events=most)
        self.waiting: list[threading.Thread] = []

    def add(self, numbers: range) -> None:
        with self.lock:
            for number in numbers:
                self.lanes.add(Owed(Kind.EVENT, "demo", number))

    def deliver(self, number: int) -> None:
        with self.lock:
            assert self.lanes.next_due(0) == 0
            self.lanes.done(self.lanes.begin())
            assert self.lanes.events("demo") == number
            self.rooms.left("demo")

    def wait(self) -> threading.Thread:
        thread = threading.Thread(target=self.rooms.wait, args=["demo"], daemon=True)
        thread.start()
        self.waiting.append(thread)
        return thread

    def lift(self) -> None:
        with self.lock:
            self.rooms.lift()
        for thread in self.waiting:
            thread.join(PATIENCE_SECONDS)


@pytest.fixture
def landing() -> Iterator[Landing]:
    made = Landing(50)
    yield made
    made.lift()


def test_a_pack_with_room_does_not_wait(landing: Landing, caplog: pytest.LogCaptureFixture) -> None:
    landing.add(range(49))
    landing.rooms.wait("demo")
    landing.add(range(49, 60))
    landing.rooms.wait("other")
    assert not caplog.messages


def test_a_pack_at_its_limit_waits_for_a_tenth_of_it(
    landing: Landing, caplog: pytest.LogCaptureFixture
) -> None:
    """Not for one place after the other, each with a line in the log."""
    landing.add(range(50))
    waiting = landing.wait()
    words = "50 events of pack demo wait for flyte: it can raise no more until some are delivered"
    wait_until(lambda: caplog.messages == [words], "it says that it waits")
    for left in range(49, 44, -1):
        landing.deliver(left)
    waiting.join(0.05)
    assert waiting.is_alive()
    landing.deliver(44)
    waiting.join(PATIENCE_SECONDS)
    assert not waiting.is_alive()


def test_all_that_wait_go_on_when_there_is_room(landing: Landing) -> None:
    landing.add(range(50))
    waiting = [landing.wait() for _ in range(3)]
    for left in range(49, 43, -1):
        landing.deliver(left)
    for thread in waiting:
        thread.join(PATIENCE_SECONDS)
    assert not any(thread.is_alive() for thread in waiting)


def test_a_limit_of_one_is_one() -> None:
    landing = Landing(1)
    landing.rooms.wait("demo")
    landing.add(range(1))
    waiting = landing.wait()
    landing.deliver(0)
    waiting.join(PATIENCE_SECONDS)
    assert not waiting.is_alive()


def test_nobody_waits_once_the_limit_is_lifted(landing: Landing) -> None:
    landing.add(range(50))
    waiting = landing.wait()
    landing.lift()
    assert not waiting.is_alive()
    landing.rooms.wait("demo")

"""The first value counts, and nobody is kept who was told of it."""

import gc
import threading
import weakref

import pytest

from flyte_host.once import Once
from flyte_host.testing.waiting import PATIENCE_SECONDS


class OnceListener:
    def __init__(self, once: Once[int]) -> None:
        self.once = once
        self.heard: list[int] = []
        once.when_set(self.heard.append)
        once.when_set(self.hear)

    def hear(self, number: int) -> None:
        self.heard.append(number)


def test_the_first_value_is_told_once_to_all_and_later_ones_are_dropped() -> None:
    once = Once[int]()
    listener = OnceListener(once)
    assert (once.is_set, listener.heard) == (False, [])
    assert once.set(1)
    assert not once.set(2)
    assert (once.is_set, listener.heard, once.wait(0)) == (True, [1, 1], 1)


def test_a_late_caller_is_called_at_once() -> None:
    once = Once[int]()
    once.set(1)
    assert OnceListener(once).heard == [1, 1]


def test_a_value_is_waited_for() -> None:
    once = Once[int]()
    with pytest.raises(TimeoutError):
        once.wait(0)
    threading.Thread(target=once.set, args=(1,), daemon=True).start()
    assert once.wait(PATIENCE_SECONDS) == 1


def test_a_callback_is_freed_without_a_search_for_garbage() -> None:
    listener = OnceListener(Once())
    freed = weakref.ref(listener)
    listener.once.set(1)
    gc.disable()
    try:
        del listener
        assert freed() is None
    finally:
        gc.enable()

"""A value that comes once, and who waits for it.

Each action has several of these. A ``concurrent.futures.Future`` keeps the callbacks that it has
called, which know the action: so its input and result would stay until Python looks for garbage.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """Safe to use from any thread; callbacks run in the one that sets the value."""

    __slots__ = ("_callbacks", "_lock", "_value", "is_set")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: tuple[Callable[[T], object], ...] = ()
        self._value: T
        self.is_set = False

    def set(self, value: T) -> bool:
        """Whether this value came first; a later one is dropped."""
        with self._lock:
            if self.is_set:
                return False
            self._value, self.is_set = value, True
            callbacks, self._callbacks = self._callbacks, ()
        for each in callbacks:
            each(value)
        return True

    def when_set(self, call: Callable[[T], object]) -> None:
        """Call it with the value, now if that is there."""
        with self._lock:
            if not self.is_set:
                self._callbacks += (call,)
                return
        call(self._value)

    def wait(self, seconds: float | None = None) -> T:
        """Wait for the value, blocking; raises TimeoutError."""
        if not self.is_set:
            event = threading.Event()
            self.when_set(lambda _: event.set())
            if not event.wait(seconds):
                raise TimeoutError
        return self._value

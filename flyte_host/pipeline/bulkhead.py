"""The slots of one pack: how many of its actions may run at once, and when it is quarantined.

Owns the counting. Must not know what runs in a slot.
"""

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """A pack's slots at one moment; ``stuck`` handlers run on past their time-out."""

    limit: int
    running: int
    stuck: int

    @property
    def quarantined(self) -> bool:
        """So many handlers are stuck that the pack gets no more actions until some of them end."""
        return self.stuck >= self.limit


class Bulkhead:
    """Safe to use from any thread."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._running = 0
        self._stuck = 0

    def reserve(self) -> bool:
        """Take a slot, if there is one and the pack is not quarantined."""
        with self._lock:
            if self._running >= self._limit or self._stuck >= self._limit:
                return False
            self._running += 1
            return True

    def release(self) -> Load:
        """Give a slot back."""
        with self._lock:
            self._running -= 1
            return self._load()

    def expired(self) -> Load:
        """A handler passed its time-out: its slot is free, its thread is not."""
        with self._lock:
            self._running -= 1
            self._stuck += 1
            return self._load()

    def unstuck(self) -> Load:
        """A handler ended after its time-out."""
        with self._lock:
            self._stuck -= 1
            return self._load()

    def load(self) -> Load:
        """What is in the slots now."""
        with self._lock:
            return self._load()

    def _load(self) -> Load:
        return Load(self._limit, self._running, self._stuck)

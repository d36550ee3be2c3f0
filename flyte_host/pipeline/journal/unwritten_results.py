"""Results that are in memory only, because the journal could not be written.

Owns the list. Must not know the file. It stays short: nothing is taken while the journal cannot be
written, so there are about as many as the packs have slots.
"""

import threading

from flyte_host.pipeline.journal.entries import OpenAction


class UnwrittenResults:
    """Safe to use from any thread; the first in is the first to be written."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bodies: dict[OpenAction, bytes] = {}

    def __len__(self) -> int:
        return len(self._bodies)

    def of(self, pack_key: str) -> int:
        """How many are of that pack."""
        with self._lock:
            return sum(opened.pack_key == pack_key for opened in self._bodies)

    def keep(self, opened: OpenAction, body: bytes) -> None:
        """Put the result behind all others, where it may have been already."""
        with self._lock:
            self._bodies.pop(opened, None)
            self._bodies[opened] = body

    def first(self) -> tuple[OpenAction, bytes] | None:
        """The next result to be written; None if there is none."""
        with self._lock:
            return next(iter(self._bodies.items()), None)

    def remove(self, opened: OpenAction) -> None:
        """Forget the result: the file has it."""
        with self._lock:
            self._bodies.pop(opened, None)

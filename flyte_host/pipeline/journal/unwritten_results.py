"""Results that are in memory only, because the journal cannot be written at the moment.

Owns the list. Must not know the file. It stays short: nothing is taken while it is not empty, so
there are at most as many as the packs have slots.
"""

import threading
from collections.abc import Callable

from flyte_host.pipeline.journal.entries import OpenAction


class UnwrittenResults:
    """Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bodies: dict[OpenAction, bytes] = {}

    def __len__(self) -> int:
        return len(self._bodies)

    def keep(self, opened: OpenAction, body: bytes) -> None:
        """Keep the result until :meth:`write_all` gets rid of it."""
        with self._lock:
            self._bodies[opened] = body

    def write_all(self, write: Callable[[dict[OpenAction, bytes]], None]) -> None:
        """Give all of them to ``write``, and keep them if it fails."""
        with self._lock:
            bodies = dict(self._bodies)
        if bodies:
            write(bodies)
            with self._lock:
                for opened in bodies:
                    self._bodies.pop(opened, None)

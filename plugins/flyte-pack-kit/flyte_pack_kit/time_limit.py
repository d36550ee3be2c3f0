"""Ends a conversation when its time is up, however slowly the other side talks.

A timeout of the socket alone would begin again with each byte.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Self


class TimeLimit:
    """Cuts off the connections that it covers; use as a context manager."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._covered: list[Callable[[], socket.socket | None]] = []
        self._timer = threading.Timer(seconds, self._cut_off)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    @property
    def is_over(self) -> bool:
        """Whether the time is up: what was cut off may look complete."""
        return time.monotonic() >= self._ends_at

    def left_seconds(self) -> float:
        """The rest of the time, for a timeout: never 0, which sockets take for none."""
        return max(0.001, self._ends_at - time.monotonic())

    def covers(self, find_socket: Callable[[], socket.socket | None]) -> None:
        """Cut this connection off as well. Its socket may come later, and change with TLS."""
        with self._lock:
            self._covered.append(find_socket)
        if self.is_over:
            self._cut_off()

    def _cut_off(self) -> None:
        with self._lock:
            for find_socket in self._covered:
                connection = find_socket()
                if connection is not None:
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)

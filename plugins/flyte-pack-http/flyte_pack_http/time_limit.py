"""Ends a request when its time is up, however slowly the other side talks.

A timeout of the socket alone would begin again with each byte.
"""

import contextlib
import socket
import threading
import time
from typing import Self


class TimeLimit:
    """Cuts off the connections that it covers; use as a context manager."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends_at = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._covered: list[socket.socket] = []
        self._is_over = False
        self._timer = threading.Timer(seconds, self._cut_off)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            for each in self._covered:
                each.close()
            self._covered.clear()

    def left_seconds(self) -> float:
        """What is left of the time, and a moment more to say what failed."""
        return max(0.001, self._ends_at - time.monotonic())

    def covers(self, connection: socket.socket) -> None:
        """Cut this connection off as well. TLS takes the socket over, so a copy is kept."""
        with self._lock:
            self._covered.append(connection.dup())
        if self._is_over:
            self._cut_off()

    def check(self) -> None:
        """Raises TimeoutError if it is over: what was cut off may look complete."""
        if self._is_over:
            raise TimeoutError("cut off")

    def words(self, told: str) -> str:
        """What failed, and whether the time was up."""
        over = f"no end after {self._seconds:g} s: "
        return over + told if self._is_over else told

    def _cut_off(self) -> None:
        self._is_over = True
        with self._lock:
            for each in self._covered:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

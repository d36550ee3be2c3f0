"""What lets one thread have many requests under way.

Nobody blocks on an answer: a request is begun, and some thread *looks* for all of them. The
pipeline's ``lookout`` makes sure that one looks while any is under way. Must not know what is
asked.
"""

from collections.abc import Callable
from typing import Protocol

import requests

from flyte_host.wait import Wait


class NetworkRequest(Wait, Protocol):
    """One request. ``begin`` sends it, or what comes before, in this thread, and never fails."""

    def response(self) -> requests.Response:
        """The answer, once it is over; raises an error of requests or of the operating system."""
        ...


class Network(Protocol):
    """Safe in any thread."""

    @property
    def under_way(self) -> int:
        """How many requests have been begun and are not over; needs no lock."""
        ...

    def carries(self, request: requests.PreparedRequest) -> bool:
        """Whether it can; another request needs a thread."""
        ...

    def make(
        self,
        request: requests.PreparedRequest,
        timeout: tuple[float, float | None],
        send: Callable[[], requests.Response],
    ) -> NetworkRequest:
        """The request, which has not begun; the timeout is for connecting, and for all of it.

        ``send`` is for a caller that blocks.
        """
        ...

    def look(self, seconds: float) -> bool:
        """Block until there is something to attend to (True), an interrupt, or time is up."""
        ...

    def attend(self) -> None:
        """Do what can be done without blocking, and wake those whose requests are over."""
        ...

    def interrupt(self) -> None:
        """Let the thread that looks return; if none does, the next one that begins to."""
        ...

    def close(self) -> None:
        """Drop all connections: requests under way, and those begun later, fail."""
        ...

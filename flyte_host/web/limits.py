"""What clients may use of a server: time, connections and memory."""

import resource
from dataclasses import dataclass, replace
from typing import Self

SHARE = 5
"""A server's connections take this part of the descriptors; a process has up to four servers."""


@dataclass(frozen=True, slots=True)
class Limits:
    """``idle_seconds`` is longer than any usual pause between two polls.

    At most ``unfinished`` connections may be in the middle of a request, and answers that nobody
    reads may take ``unread_bytes`` in all; beyond either, the oldest is closed. A client reads
    ``answer_bytes`` of an answer in ``answer_seconds``, and sends at most ``pipelined`` requests
    before it has an answer.
    """

    head_seconds: float = 10.0
    body_seconds: float = 60.0
    idle_seconds: float = 120.0
    answer_seconds: float = 30.0
    answer_bytes: int = 256 * 1024
    connections: int = 1500
    unfinished: int = 192
    unread_bytes: int = 32 * 1024 * 1024
    pipelined: int = 16

    def within_descriptors(self) -> Self:
        """The same with fewer connections, if this process may not open many files.

        Else clients that keep connections open leave none for other servers, such as that of the
        health pages.
        """
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if most == resource.RLIM_INFINITY:
            return self
        return replace(self, connections=min(self.connections, most // SHARE))

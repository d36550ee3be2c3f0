"""What a child process was asked and has not answered yet.

Owns the numbers of requests, and refuses new ones once the process has ended. Must not know how
they are sent.
"""

import itertools
import threading

from flyte_host.foreign_code import Misbehaved
from flyte_host.hookspecs import Emit
from flyte_host.isolation import messages as say
from flyte_host.once import Once


class ProcessEnded(Misbehaved):
    """The process ended; ``problem`` says how, in the words of ``LaunchedProcess``."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"its process ended ({problem})")
        self.problem = problem


class Request:
    """What a child was asked; ``response`` is its answer, or ProcessEnded.

    ``place`` is where its handler is, as `` (at file:line: code)``, once that is known.
    """

    __slots__ = ("emit", "number", "place", "response")

    def __init__(self, number: int, pid: int, emit: Emit | None) -> None:
        self.number = number
        self.emit = emit
        self.place = f" (in process {pid})"
        self.response = Once[say.Response | ProcessEnded]()

    def result(self, limit_seconds: float | None = None) -> say.Response:
        """Wait for the answer; raises ProcessEnded, and TimeoutError."""
        response = self.response.wait(limit_seconds)
        if isinstance(response, ProcessEnded):
            raise response
        return response


class OpenRequests:
    """Those of one process; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(say.UNANSWERED + 1)
        self._requests: dict[int, Request] = {}
        self._problem = ""

    def add(self, pid: int, emit: Emit | None) -> Request:
        """Add one; raises ProcessEnded after :meth:`close`."""
        with self._lock:
            if self._problem:
                raise ProcessEnded(self._problem)
            request = Request(next(self._numbers), pid, emit)
            self._requests[request.number] = request
            return request

    def find(self, number: int) -> Request | None:
        """The request with that number, until :meth:`remove`."""
        with self._lock:
            return self._requests.get(number)

    def remove(self, number: int) -> Request | None:
        """Forget the request: its answer is there, or nobody waits for that any longer."""
        with self._lock:
            return self._requests.pop(number, None)

    def close(self, problem: str) -> list[Request]:
        """The process has ended: add none from here on. Returns those it did not answer."""
        with self._lock:
            self._problem = problem
            return list(self._requests.values())

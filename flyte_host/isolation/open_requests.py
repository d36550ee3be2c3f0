"""What a child process was asked and has not answered yet.

Owns the numbers of requests, and refuses new ones once the process has ended. Must not know how
they are sent.
"""

import itertools
import threading

from flyte_host.foreign_code import Misbehaved
from flyte_host.hookspecs import Emit
from flyte_host.isolation import messages as say


class ProcessEnded(Misbehaved):
    """The process ended; ``problem`` says how, in the words of ``child_process.how_it_ended``."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"its process ended ({problem})")
        self.problem = problem


class Request:
    """What a child was asked, until it answers; one thread asks, one hears the answer.

    ``place`` is where its handler is, as `` (at file:line: code)``, once that is known.
    """

    __slots__ = ("_answered", "_problem", "_response", "emit", "number", "place")

    def __init__(self, number: int, pid: int, emit: Emit | None) -> None:
        self.number = number
        self.emit = emit
        self.place = f" (in process {pid})"
        self._response: say.Response | None = None
        self._problem = ""
        self._answered = threading.Lock()  # a Future costs more than everything else here
        self._answered.acquire()

    def response(self, limit_seconds: float | None = None) -> say.Response | None:
        """Wait for the answer; None if it takes longer than the limit. Raises ProcessEnded."""
        if not self._answered.acquire(timeout=-1 if limit_seconds is None else limit_seconds):
            return None
        if self._response is None:
            raise ProcessEnded(self._problem)
        return self._response

    def receive(self, message: say.Message) -> None:
        """Note what the child says about it; the first response counts."""
        if isinstance(message, say.HandlerLate):
            self.place = message.place
        elif self._response is None and isinstance(message, say.Response):
            self._response = message
            self._answered.release()

    def fail(self, problem: str) -> None:
        """Note that the process ended; the request fails unless it has its answer."""
        if self._response is None:
            self._problem = problem
            self._answered.release()


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
        """The request with that number, while somebody waits for its answer."""
        with self._lock:
            return self._requests.get(number)

    def remove(self, request: Request) -> None:
        """Forget it: nobody waits for it any longer."""
        with self._lock:
            self._requests.pop(request.number, None)

    def close(self, problem: str) -> list[Request]:
        """The process has ended: add none from here on. Returns those it did not answer."""
        with self._lock:
            self._problem = problem
            return list(self._requests.values())

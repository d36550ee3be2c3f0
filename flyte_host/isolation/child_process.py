"""One process with one plugin in it: its start, what is asked of it, its end.

Owns the threads that listen to it, and passes on the messages that they hear. Must not know
hooks or what happens to a pack whose process ended.
"""

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from flyte_host.foreign_code import Misbehaved
from flyte_host.hookspecs import Emit
from flyte_host.isolation import messages as say
from flyte_host.isolation.launched_process import END_SECONDS, launch
from flyte_host.isolation.open_requests import OpenRequests, ProcessEnded, Request
from flyte_host.log_output import logger_for_others
from flyte_host.model import EncodedEvent, EventDef
from flyte_host.traceparent import within_trace

log = logging.getLogger(__name__)

T = TypeVar("T", bound=say.Message)


class ChildProcess:
    """Runs from :meth:`start` to :meth:`close`, or until it dies.

    ``ended`` gets the words for its end before its unanswered requests fail.
    """

    def __init__(self, pack_key: str, environ: Mapping[str, str]) -> None:
        self._pack_key = pack_key
        self._environ = environ
        self._requests = OpenRequests()
        self._emits: queue.SimpleQueue[tuple[int, say.EmitEvent] | None] = queue.SimpleQueue()
        self.ended: Future[str] = Future()

    def start(self) -> None:
        """Start it; raises Misbehaved."""
        self._process = launch(self._pack_key, self._environ)
        self._channel = self._process.channel
        try:
            self._start_threads()
        except RuntimeError as error:
            self._abandon()
            raise Misbehaved(f"its process cannot be watched: {error}") from error

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def send_request(self, message: say.Message, emit: Emit | None = None) -> Request:
        """Ask for something, to be answered later; raises ProcessEnded if the child is gone.

        ``emit`` gets the events that an observer raises for this request.
        """
        request = self._requests.add(self.pid, emit)
        self._send(request.number, message)
        return request

    def response_to(self, request: Request, limit_seconds: float | None = None) -> say.Response:
        """Wait for it; raises ProcessEnded, and Misbehaved if it takes longer than the limit."""
        try:
            return request.result(limit_seconds)
        except TimeoutError:
            self._requests.remove(request.number)
            problem = f"its process {self.pid} did not answer within {limit_seconds:g} s"
            raise Misbehaved(problem) from None

    def ask(
        self,
        message: say.Message,
        kind: type[T],
        limit_seconds: float | None = None,
        emit: Emit | None = None,
    ) -> T:
        """Send a request and wait for its answer; raises Misbehaved, such as ProcessEnded."""
        return expect(kind, self.response_to(self.send_request(message, emit), limit_seconds))

    def stop_observers(self) -> None:
        """Have its observers return; nothing happens if the process has ended."""
        self._send(say.UNANSWERED, say.StopObservers())

    def stop(self) -> None:
        """Hang up, so that it ends; returns at once."""
        self._channel.stop()

    def kill(self) -> None:
        """End it at once, as if it had died."""
        self._process.kill()

    def close(self) -> None:
        """End it, if need be with SIGKILL."""
        self.stop()
        if self._reader is not threading.current_thread():
            self._reader.join(2 * END_SECONDS)

    def _send(self, number: int, message: say.Message) -> None:
        with suppress(OSError):  # the reader finds out how it ended
            self._channel.send(number, message)

    def _start_threads(self) -> None:
        """First the thread that closes the output, last the one that frees everything else."""
        try:
            self._start_thread(self._log_output, "reads what it writes")
        except RuntimeError:
            self._process.close_output()
            raise
        self._start_thread(self._wait, "waits for its end")
        self._start_thread(self._emit_events, "takes its events")
        self._reader = self._start_thread(self._read, "reads what it says")

    def _abandon(self) -> None:
        """Without a reader: end the process, and what its other threads wait for."""
        self._process.kill()
        self._process.wait()
        self._free()

    def _start_thread(self, target: Callable[[], None], what: str) -> threading.Thread:
        def run() -> None:
            try:
                target()
            except BaseException:
                log.exception(
                    "internal error in the thread that %s; killing the process of %s",
                    what,
                    self._pack_key,
                    extra={"pack": self._pack_key},
                )
                self.kill()

        thread = threading.Thread(
            target=run, name=f"process of {self._pack_key}: {what}", daemon=True
        )
        thread.start()
        return thread

    def _read(self) -> None:
        problem = ""
        try:
            for number, message in self._channel:
                self._receive(number, message)
        except say.BadFrame as error:
            problem = f"it was killed: {error}"
        except BaseException as error:  # callers must hear of the end
            log.exception(
                "internal error with an answer of the process of %s",
                self._pack_key,
                extra={"pack": self._pack_key},
            )
            problem = f"it was killed: the host failed to read it: {type(error).__name__}"
        problem = self._process.how_it_ended(problem)
        unanswered = self._requests.close(problem)
        self.ended.set_result(problem)
        for each in unanswered:
            each.response.set(ProcessEnded(problem))
        self._free()

    def _free(self) -> None:
        self._emits.put(None)
        self._process.free()

    def _wait(self) -> None:
        """Hang up once it ends: programs that it forked may keep its end of the channel open."""
        self._process.wait()
        self._channel.stop()

    def _receive(self, number: int, message: say.Message) -> None:
        if isinstance(message, say.LogLine):
            _log(message)
        elif isinstance(message, say.EmitEvent):
            self._emits.put((number, message))
        elif isinstance(message, say.HandlerLate):
            if (request := self._requests.find(number)) is not None:
                request.place = message.place
        elif (
            isinstance(message, say.Response)
            and (request := self._requests.remove(number)) is not None
        ):
            request.response.set(message)

    def _emit_events(self) -> None:
        """In a separate thread: events may have to wait for room in the journal."""
        while (emitted := self._emits.get()) is not None:
            number, message = emitted
            self._send(number, say.EventEmitted(self._emit(message)))

    def _emit(self, message: say.EmitEvent) -> str:
        """Emit it for the observer; the problem, or nothing."""
        request = self._requests.find(message.observer)
        if request is None or request.emit is None:
            return "its observer has returned"
        try:
            with within_trace(message.trace):
                request.emit(EncodedEvent(EventDef(message.event), body=message.body))
        except Exception as error:
            return str(error).encode(errors="backslashreplace").decode()
        return ""

    def _log_output(self) -> None:
        for line in self._process.lines():
            if line:
                log.warning("%s wrote: %s", self._pack_key, line, extra={"pack": self._pack_key})
        self._process.close_output()


def expect(kind: type[T], response: say.Message) -> T:
    """The response, if it is of that kind; raises Misbehaved."""
    if isinstance(response, say.RequestFailed):
        raise Misbehaved(response.problem)
    if not isinstance(response, kind):
        found = type(response).__name__
        raise Misbehaved(f"its process answered {found}, expected {kind.__name__}")
    return response


def _log(line: say.LogLine) -> None:
    logger = logger_for_others(line.logger)
    if logger.isEnabledFor(line.level):
        record = logger.makeRecord(
            line.logger, line.level, "", 0, "%s", (line.text,), None, extra=line.fields
        )
        record.exc_text = line.traceback or None
        logger.handle(record)

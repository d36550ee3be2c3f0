"""One process with one plugin in it: its start, what is asked of it, its end.

Owns the operating system's side of a child, and the threads that listen to it. Must not know hooks
or what happens to a pack whose process ended.
"""

import logging
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import IO, TypeVar

from flyte_host import forks
from flyte_host.foreign_code import Misbehaved
from flyte_host.hookspecs import Emit
from flyte_host.isolation import messages as say
from flyte_host.isolation.open_requests import OpenRequests, ProcessEnded, Request
from flyte_host.log_output import logger_for_others
from flyte_host.model import EncodedEvent, EventDef
from flyte_host.traceparent import within_trace

log = logging.getLogger(__name__)

T = TypeVar("T", bound=say.Message)

MODULE = "flyte_host.plugin_server"
"""What the child runs, as ``python -m``: a name, since it belongs to a layer above this one."""
END_SECONDS = 0.2
"""How long a child may take to end after the host hung up."""
LONGEST_LINE = 10_000


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
        self._process, self._lifeline, self._channel = _start_process(self._pack_key, self._environ)
        self._output: IO[bytes] = self._process.stdout  # type: ignore[assignment]  # it is a pipe
        self._owned = [self._lifeline, self._channel.descriptor]
        for each in self._owned:
            forks.own_descriptor(each)
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
            self._output.close()
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
        problem = how_it_ended(self._process, problem)
        unanswered = self._requests.close(problem)
        self.ended.set_result(problem)
        for each in unanswered:
            each.response.set(ProcessEnded(problem))
        self._free()

    def _free(self) -> None:
        self._emits.put(None)
        for descriptor in self._owned:
            forks.disown_descriptor(descriptor)
        self._channel.close()
        os.close(self._lifeline)

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
        while line := self._output.readline(LONGEST_LINE):
            text = line.decode(errors="backslashreplace").rstrip()
            if text:
                log.warning("%s wrote: %s", self._pack_key, text, extra={"pack": self._pack_key})
        self._output.close()


def expect(kind: type[T], response: say.Message) -> T:
    """The response, if it is of that kind; raises Misbehaved."""
    if isinstance(response, say.RequestFailed):
        raise Misbehaved(response.problem)
    if not isinstance(response, kind):
        found = type(response).__name__
        raise Misbehaved(f"its process answered {found}, expected {kind.__name__}")
    return response


def how_it_ended(process: "subprocess.Popen[bytes]", problem: str = "") -> str:
    """``signal 11, SIGSEGV``, ``exit code 3``, or the ``problem`` for which it is killed now."""
    try:
        if problem:
            process.kill()
        code = process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()  # it hung up and went on: it can no longer be asked for anything
        code = process.wait()
    if problem:
        return problem
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else "unknown"
    return f"signal {-code}, {name}"


def _start_process(
    pack_key: str, environ: Mapping[str, str]
) -> tuple["subprocess.Popen[bytes]", int, say.Channel]:
    """The process, the lifeline that it ends with, and the connection to it.

    The lifeline is a pipe in which nothing is ever written: when the host is gone, however it went,
    the kernel signals the child, even if an extension keeps the child's interpreter busy.
    """
    ours, theirs = socket.socketpair()
    for each in (ours, theirs):
        each.settimeout(None)  # a plugin of this process may have set another default
    try:
        reads, lifeline = os.pipe()
    except OSError:  # no descriptor is left
        ours.close()
        theirs.close()
        raise
    with theirs:
        try:
            process = subprocess.Popen(  # noqa: S603  this interpreter, no shell
                [sys.executable, "-P", "-m", MODULE,
                 str(theirs.fileno()), str(reads), pack_key],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno(), reads], env=dict(environ),
            )  # fmt: skip
        except OSError as error:
            ours.close()
            os.close(lifeline)
            raise Misbehaved(f"its process cannot be started: {error}") from error
        finally:
            os.close(reads)
    return process, lifeline, say.Channel(ours)


def _log(line: say.LogLine) -> None:
    logger = logger_for_others(line.logger)
    if logger.isEnabledFor(line.level):
        record = logger.makeRecord(
            line.logger, line.level, "", 0, "%s", (line.text,), None, extra=line.fields
        )
        record.exc_text = line.traceback or None
        logger.handle(record)

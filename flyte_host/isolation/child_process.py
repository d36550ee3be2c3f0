"""One process with one plugin in it: its start, what is asked of it, its end.

Owns the operating system's side of a child and the answers that are awaited. Must not know hooks
nor what becomes of a pack whose process ended; that is ``isolation``.
"""

import itertools
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
from concurrent.futures import TimeoutError as Unanswered
from contextlib import suppress
from typing import IO

from flyte_host.foreign_code import Misbehaved
from flyte_host.isolation.messages import (
    Answer,
    BadFrame,
    Channel,
    Emit,
    Emitted,
    Late,
    Logged,
    Message,
)

log = logging.getLogger(__name__)

MODULE = "flyte_host.isolation.child"
"""What the child runs, as ``python -m``; a name, since it knows layers above this one."""
END_SECONDS = 0.2
"""How long a child may take to end by itself once the host hung up."""
LONGEST_LINE = 10_000


class ProcessEnded(Misbehaved):
    """The process ended, in the words of :func:`how_it_ended`; ``asked``: while it was to answer.

    Without it the process never heard the question.
    """

    def __init__(self, how: str, *, asked: bool) -> None:
        super().__init__(f"its process ended ({how})")
        self.how = how
        self.asked = asked


class ChildProcess:
    """Runs from its making to :meth:`close`, or until it dies, which ``ended`` hears first."""

    def __init__(
        self,
        pack_key: str,
        environ: Mapping[str, str],
        *,
        emitted: Callable[[Emit], None],
        ended: Callable[[str], None],
    ) -> None:
        self._instance = pack_key
        self._emitted = emitted
        self._ended = ended
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._awaited: dict[int, Future[Answer]] = {}
        self._places: dict[int, str] = {}
        self._how: str | None = None
        self._emits: queue.SimpleQueue[Emit | None] = queue.SimpleQueue()
        self._process, self._lifeline, self._channel = _started(pack_key, environ)
        self._reader = self._thread(self._read, "reads what it says")
        self._thread(self._wait, "waits for its end")
        self._thread(self._hear_output, "reads what it writes")
        self._thread(self._take_emits, "takes its events")

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def how(self) -> str | None:
        """How it ended; None while it runs."""
        return self._how

    def ask(
        self,
        question: Callable[[int], Message],
        limit_seconds: float | None = None,
        numbered: Callable[[int], None] = lambda _: None,
    ) -> Answer:
        """The answer to the question that is made with a number, which ``numbered`` hears.

        Raises ProcessEnded, and Misbehaved if there is none within ``limit_seconds``.
        """
        awaited: Future[Answer] = Future()
        with self._lock:
            if self._how is not None:
                raise ProcessEnded(self._how, asked=False)
            number = next(self._numbers)
            self._awaited[number] = awaited
        numbered(number)
        try:
            self.tell(question(number))
            return awaited.result(limit_seconds)
        except Unanswered:
            raise Misbehaved(
                f"its process {self.pid} did not answer within {limit_seconds:g} s"
            ) from None
        finally:
            with self._lock:
                self._awaited.pop(number, None)
                self._places.pop(number, None)

    def tell(self, message: Message) -> None:
        """Send what needs no answer; a process that ended does not hear it."""
        with suppress(OSError):  # the reader finds out how it ended
            self._channel.send(message)

    def place(self, number: int) -> str:
        """`` (at file:line: code)`` for a handler past its time-out, as far as the child said."""
        return self._places.get(number, f" (in process {self.pid})")

    def hang_up(self) -> None:
        """Have it end; returns at once."""
        self._channel.close()

    def kill(self) -> None:
        """End it at once, as if it had died."""
        self._process.kill()

    def close(self) -> None:
        """End it, if need be with SIGKILL."""
        self.hang_up()
        if self._reader is not threading.current_thread():
            self._reader.join(2 * END_SECONDS)

    def _thread(self, target: Callable[[], None], what: str) -> threading.Thread:
        name = f"process of {self._instance}: {what}"
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        return thread

    def _read(self) -> None:
        problem = ""
        try:
            for message in self._channel:
                self._received(message)
        except BadFrame as error:
            problem = f"it was killed: {error}"
        how = how_it_ended(self._process, problem)
        with self._lock:
            self._how = how
            awaited = list(self._awaited.values())
        self._ended(how)
        for each in awaited:
            if not each.done():
                each.set_exception(ProcessEnded(how, asked=True))
        self._emits.put(None)
        self._channel.release()
        os.close(self._lifeline)

    def _wait(self) -> None:
        """What it forked may keep its end of the channel open for long."""
        self._process.wait()
        self._channel.close()

    def _received(self, message: object) -> None:
        if isinstance(message, Logged):
            _log(message)
        elif isinstance(message, Emit):
            self._emits.put(message)
        elif isinstance(message, Late):
            self._places[message.number] = message.place
        elif isinstance(message, Answer):
            with self._lock:
                awaited = self._awaited.get(message.number)
            if awaited is not None and not awaited.done():
                awaited.set_result(message)

    def _take_emits(self) -> None:
        """Events may have to wait for room in the journal; nothing else of the child does."""
        while (emit := self._emits.get()) is not None:
            problem = ""
            try:
                self._emitted(emit)
            except Exception as error:
                problem = str(error).encode(errors="backslashreplace").decode()
            self.tell(Emitted(emit.number, problem))

    def _hear_output(self) -> None:
        output: IO[bytes] = self._process.stdout  # type: ignore[assignment]  # it is a pipe
        while line := output.readline(LONGEST_LINE):
            text = line.decode(errors="backslashreplace").rstrip()
            if text:
                log.warning("wrote: %s", text, extra={"pack": self._instance})
        output.close()


def how_it_ended(process: "subprocess.Popen[bytes]", problem: str = "") -> str:
    """``signal 11, SIGSEGV``, ``exit code 3`` or the ``problem`` for which it is killed now."""
    try:
        if problem:
            process.kill()
        code = process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()  # it hung up and went on: nothing can be asked of it any more
        code = process.wait()
    if problem:
        return problem
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else "unknown"
    return f"signal {-code}, {name}"


def _started(
    pack_key: str, environ: Mapping[str, str]
) -> tuple["subprocess.Popen[bytes]", int, Channel]:
    """The process, the lifeline that it ends with, and the connection to it.

    The lifeline is a pipe in which nothing is ever written: when this process is gone, however it
    went, the kernel ends the child, also one whose interpreter is kept by an extension.
    """
    ours, theirs = socket.socketpair()
    reads, lifeline = os.pipe()
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
    return process, lifeline, Channel(ours)


def _log(message: Logged) -> None:
    logger = logging.getLogger(message.logger)
    if logger.isEnabledFor(message.level):
        record = logger.makeRecord(
            message.logger, message.level, "", 0, "%s", (message.text,), None, extra=message.fields
        )
        record.exc_text = message.traceback or None
        logger.handle(record)

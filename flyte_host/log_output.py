"""The way of a log line from the thread that logs it to the stream.

Owns the host's loggers, the queue and the threads behind it, so that a stream that nobody reads, or
a plugin that reconfigures logging, affects no other part of the host. Must not know the look of a
line or what is logged.
"""

import contextlib
import copy
import itertools
import logging
import os
import queue
import select
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, TextIO

from flyte_host.forks import process_id
from flyte_host.log_fields import add_current
from flyte_host.text import counted
from flyte_host.thread_watch import run_again

NAME = "flyte_host"
LIBRARIES = (
    "asyncio", "concurrent", "mcp", "opentelemetry", "psycopg", "py.warnings", "urllib3", "uvicorn",
    "watchfiles",
)  # fmt: skip
"""What else logs in threads of the host."""
LARGEST_QUEUE = 5_000
"""Lines that wait for the stream; more are dropped and counted."""
LARGEST_BATCH = 100
LONGEST_MESSAGE = 20_000
GATHER_SECONDS = 0.02
"""How long lines gather after some were written: waking for each costs more."""
LISTENER_QUEUE = 1_000
"""Lines of the host that wait for the handlers of plugins; more are dropped."""
POLL_MILLISECONDS = 1_000
LEVELS = {
    each: logging.getLevelName(each)
    for each in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)
}
"""Their names, as they were before a plugin could change them."""
_STARTED_AT = time.time()

log = logging.getLogger(__name__)


class HostLogger(logging.Logger):
    """A logger of the host, which writes to the output even if logging is reconfigured.

    ``disabled``, levels, filters and ``logging.disable`` can be set by any plugin, so none of them
    counts here.
    """

    output: ClassVar["LogOutput"]

    @property
    def disabled(self) -> bool:
        return False

    @disabled.setter
    def disabled(self, value: bool) -> None:  # noqa: ARG002
        """``dictConfig`` disables every logger that it does not name.

        A logger that was made as one of the host's needs its own value once it is an ordinary
        one again.
        """
        self.__dict__["disabled"] = False

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802
        return level >= self.output.level

    def getEffectiveLevel(self) -> int:  # noqa: N802
        return self.output.level

    def findCaller(  # noqa: N802
        self,
        stack_info: bool = False,  # noqa: ARG002
        stacklevel: int = 1,  # noqa: ARG002
    ) -> tuple[str, int, str, str | None]:
        """Skip it: no format of ours shows the line, and finding it is a quarter of the cost."""
        return self.name, 0, "", None

    def makeRecord(  # noqa: N802, PLR0917
        self,
        name: str,
        level: int,
        fn: str,  # noqa: ARG002
        lno: int,  # noqa: ARG002
        msg: object,
        args: Any,
        exc_info: Any,
        func: str | None = None,  # noqa: ARG002
        extra: Mapping[str, object] | None = None,
        sinfo: str | None = None,
    ) -> logging.LogRecord:
        """Make a record without what no line shows, which is most of its cost.

        A factory that a plugin has set is not asked: it may raise.
        """
        created, thread = time.time(), threading.current_thread()
        record = logging.LogRecord.__new__(logging.LogRecord)
        record.__dict__ = {
            "name": name, "msg": msg, "args": args, "levelno": level,
            "levelname": LEVELS.get(level, "INFO"), "pathname": name, "filename": name,
            "module": name, "lineno": 0, "funcName": "", "exc_info": exc_info, "exc_text": None,
            "stack_info": sinfo, "created": created, "msecs": created % 1 * 1000,
            "relativeCreated": (created - _STARTED_AT) * 1000, "thread": thread.ident,
            "threadName": thread.name, "processName": "MainProcess", "process": process_id(),
            **(extra or {}),
        }  # fmt: skip
        return record

    def handle(self, record: logging.LogRecord) -> None:
        self.output.put(record)


class LibraryLogger(HostLogger):
    """A logger of a library that the host uses; plugins, which may use it too, set its level."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802
        return level >= self.getEffectiveLevel()

    def getEffectiveLevel(self) -> int:  # noqa: N802
        return logging.Logger.getEffectiveLevel(self)


class PluginLogHandler(logging.Handler):
    """The root logger's handler: what plugins and libraries log goes to the same output."""

    def __init__(self, output: "LogOutput") -> None:
        super().__init__()
        self._output = output

    def handle(self, record: logging.LogRecord) -> bool:
        """Without the lock of a handler: the output needs none. Others may hear the record too."""
        copied = copy.copy(record)
        add_current(copied)
        copied.was_heard = True
        self._output.put(copied)
        return True


class LogOutput:
    """Writes lines in its own thread, from :meth:`start` to :meth:`close`.

    While it runs, every logger of the host is a :class:`HostLogger`, and those of its libraries are
    a kind of it. Handlers that plugins add are given their records in another thread: they may
    block or raise.
    """

    current: ClassVar["LogOutput | None"] = None

    def __init__(self, formatter: logging.Formatter, level: int, stream: TextIO) -> None:
        self.level = level
        self._formatter = formatter
        self._target = _own_descriptor(stream) or stream
        self._queue: queue.SimpleQueue[logging.LogRecord | threading.Event | None]
        self._queue = queue.SimpleQueue()
        self._listeners = _Listeners()
        self._drops = itertools.count(1)
        self._dropped = 0
        self._reported = 0
        self._forked = False
        self._hurry = threading.Event()
        self._handler = PluginLogHandler(self)
        self._thread = threading.Thread(
            target=run_again, args=(self._run, "log"), name="log", daemon=True
        )

    @property
    def dropped(self) -> int:
        """How many lines were dropped so far."""
        return self._dropped

    def start(self) -> None:
        """Take over from the output before, if there is one."""
        if LogOutput.current is not None:
            LogOutput.current.close()
        LogOutput.current = HostLogger.output = self
        self.attach()
        self._thread.start()

    def attach(self) -> bool:
        """Make the host's loggers, and the root logger, write here; whether that was needed."""
        root = logging.getLogger()
        detached = self._handler not in root.handlers
        if detached:
            root.addHandler(self._handler)
        root.manager.loggerClass = _LoggerOfName
        for logger in _known_loggers():
            if type(logger) is logging.Logger and (kind := _kind_of(logger.name)):
                logger.__class__ = kind
        return detached

    def restore(self, enabled: Iterable[logging.Logger]) -> bool:
        """Undo what a plugin did to the loggers of others; whether there was anything to undo."""
        silenced = [logger for logger in enabled if logger.disabled]
        for logger in silenced:
            logger.disabled = False
        return self.attach() or bool(silenced)

    def put(self, record: logging.LogRecord) -> None:
        """Have it written; never blocks nor raises, and costs only the message's formatting."""
        if self._queue.qsize() >= LARGEST_QUEUE:
            self._dropped = next(self._drops)
            return
        record.msg, record.args = _message(record), None
        if self._forked:
            self._write([record])
        else:
            self._queue.put(record)

    def flush(self, seconds: float) -> bool:
        """Wait until all lines so far are written; False if that takes longer."""
        if self._forked or not self._thread.is_alive():
            return True
        mark = threading.Event()
        self._queue.put(mark)
        self._hurry.set()
        return mark.wait(seconds)

    def close(self, seconds: float = 1.0) -> None:
        """Write what waits, for at most ``seconds``, and leave logging as it was."""
        self.flush(seconds)
        self._queue.put(None)
        self._hurry.set()
        self._listeners.close()
        root = logging.getLogger()
        root.removeHandler(self._handler)
        root.manager.loggerClass = None
        for logger in _known_loggers():
            if isinstance(logger, HostLogger):
                logger.__class__ = logging.Logger  # type: ignore[assignment]  # what it was
        LogOutput.current = None

    def _run(self) -> None:
        records: list[logging.LogRecord] = []
        while True:
            item = self._queue.get()
            if isinstance(item, logging.LogRecord):
                records.append(item)
                if len(records) < LARGEST_BATCH and not self._queue.empty():
                    continue
            self._write(records)
            records = []
            if item is None:
                return
            if isinstance(item, threading.Event):
                item.set()
            self._report_drops()
            if self._queue.empty() and self._hurry.wait(GATHER_SECONDS):
                self._hurry.clear()

    def _write(self, records: list[logging.LogRecord]) -> None:
        lines = [self._format(record) + "\n" for record in records]
        if lines:
            _write(self._target, "".join(lines))
        if not self._forked:
            self._listeners.put(records, self._handler)

    def _format(self, record: logging.LogRecord) -> str:
        try:
            return self._formatter.format(record)
        except Exception as error:  # an exception's __str__ may be a plugin's
            return f"a line of {record.name} cannot be formatted: {type(error).__name__}"

    def _report_drops(self) -> None:
        count = self._dropped - self._reported
        if count and self._queue.qsize() < LARGEST_QUEUE // 2:
            self._reported = self._dropped
            lines = counted(count, "log line")
            log.warning("dropped %s: the log is read too slowly", lines)

    @staticmethod
    def _after_fork_in_child() -> None:
        """There is no writer: write directly, as any process does."""
        if LogOutput.current is not None:
            LogOutput.current._forked = True  # noqa: SLF001
            LogOutput.current._queue = queue.SimpleQueue()  # noqa: SLF001


os.register_at_fork(after_in_child=LogOutput._after_fork_in_child)  # noqa: SLF001


class _Listeners:
    """Hands the host's records to handlers that plugins added, in a thread made when needed."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[logging.Handler, logging.LogRecord] | None]
        self._queue = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._blamed: set[int] = set()

    def put(self, records: Iterable[logging.LogRecord], own: logging.Handler) -> None:
        """Only what was logged in the host's threads: these handlers have heard the rest."""
        wanted: dict[tuple[str, int], list[logging.Handler]] = {}
        for record in records:
            if getattr(record, "was_heard", False):
                continue
            kind = record.name, record.levelno
            if kind not in wanted:
                wanted[kind] = [each for each in _listeners_to(*kind) if each is not own]
            for handler in wanted[kind]:
                if self._queue.qsize() < LISTENER_QUEUE:
                    self._start()
                    self._queue.put((handler, record))

    def close(self) -> None:
        self._queue.put(None)

    def _start(self) -> None:
        if self._thread is None:
            name = "log listeners"
            self._thread = threading.Thread(
                target=run_again, args=(self._run, name), name=name, daemon=True
            )
            self._thread.start()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            handler, record = item
            try:
                handler.handle(record)
            except BaseException as error:
                if id(handler) not in self._blamed:  # its next line would be about this one
                    self._blamed.add(id(handler))
                    name = type(handler).__qualname__
                    log.warning("log handler %s raised %s", name, type(error).__name__)


class _LoggerOfName(logging.Logger):
    """Makes a :class:`HostLogger` for the host's names, and what it should be for others."""

    def __new__(cls, name: str, level: int = logging.NOTSET) -> logging.Logger:  # type: ignore[misc]
        kind = _kind_of(name) or logging.getLoggerClass()
        return kind(name, level)


def logger_for_others(name: str) -> logging.Logger:
    """For what another process logged under ``name``; no plugin's handler runs in this thread."""
    return logging.getLogger(name) if LogOutput.current is None else HostLogger(name)


def enabled_loggers() -> list[logging.Logger]:
    """All loggers that are not disabled, those of plugins among them."""
    return [each for each in _known_loggers() if not each.disabled]


def _kind_of(name: str) -> type[HostLogger] | None:
    if _is_below(name, NAME):
        return HostLogger
    return LibraryLogger if any(_is_below(name, each) for each in LIBRARIES) else None


def _is_below(name: str, top: str) -> bool:
    return name == top or name.startswith(f"{top}.")


def _known_loggers() -> list[logging.Logger]:
    known = list(logging.getLogger().manager.loggerDict.values())
    return [each for each in known if isinstance(each, logging.Logger)]


def _listeners_to(name: str, level: int) -> Iterator[logging.Handler]:
    """The handlers that would get such a record if its logger was an ordinary one."""
    nearest = _nearest(name)
    if level < logging.Logger.getEffectiveLevel(nearest):
        return
    logger: logging.Logger | None = nearest
    while logger is not None:
        yield from (each for each in list(logger.handlers) if level >= each.level)
        logger = logger.parent if logger.propagate else None


def _nearest(name: str) -> logging.Logger:
    """The logger of that name, or the one above it."""
    # Not by getLogger, which waits for anybody who configures logging.
    root = logging.getLogger()
    while name:
        found = root.manager.loggerDict.get(name)
        if isinstance(found, logging.Logger):
            return found
        name = name.rpartition(".")[0]
    return root


def _message(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except Exception as error:
        text = f"{record.msg!r} does not fit its arguments: {type(error).__name__}"
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]} …"


def _own_descriptor(stream: TextIO) -> "_Descriptor | None":
    """A second descriptor of what ``stream`` writes to; None if it is in memory, or closed."""
    try:
        return _Descriptor(os.dup(stream.fileno()))
    except (OSError, ValueError, AttributeError):
        return None


class _Descriptor:
    """Nobody else can close it: lines would then go to whatever gets its number, even a client."""

    def __init__(self, number: int) -> None:
        self.number = number
        weakref.finalize(self, os.close, number)


def _write(target: "_Descriptor | TextIO", text: str) -> None:
    """All of it, without a lock that others need: a write may wait for its reader for good."""
    with contextlib.suppress(OSError, ValueError):  # its reader is gone, or it is closed
        if isinstance(target, _Descriptor):
            _write_bytes(target.number, text.encode(errors="backslashreplace"))
        else:
            target.write(text)
            target.flush()


def _write_bytes(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # a program that shares it made it non-blocking
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.poll(POLL_MILLISECONDS)

"""Writes the log in a thread of its own.

Owns the queue, what is dropped when it is full, and which loggers write here.
"""

import itertools
import logging
import os
import queue
import threading
from collections.abc import Iterable
from typing import ClassVar, TextIO

from flyte_host.log_output.host_logger import (
    HostLogger,
    LoggerOfName,
    PluginLogHandler,
    kind_of,
    known_loggers,
)
from flyte_host.log_output.log_listeners import LogListeners
from flyte_host.log_output.log_stream import LogStream
from flyte_host.text import counted
from flyte_host.thread_watch import lasting_thread

LARGEST_QUEUE = 5_000
"""Lines that wait for the stream; more are dropped and counted."""
LARGEST_BATCH = 100
LONGEST_MESSAGE = 20_000
GATHER_SECONDS = 0.02
"""How long lines gather after some were written: waking for each costs more."""

log = logging.getLogger(__name__)


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
        self._stream = LogStream(stream)
        self._queue: queue.SimpleQueue[logging.LogRecord | threading.Event | None]
        self._queue = queue.SimpleQueue()
        self._listeners = LogListeners()
        self._drops = itertools.count(1)
        self._dropped = 0
        self._reported = 0
        self._forked = False
        self._hurry = threading.Event()
        self._handler = PluginLogHandler(self)
        self._thread = lasting_thread(self._run, "log")

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
        root.manager.loggerClass = LoggerOfName
        for logger in known_loggers():
            kind = kind_of(logger.name)
            # A library may have made a class of logger for itself.
            if kind is HostLogger or (kind and type(logger) is logging.Logger):
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

    def flush_to_all(self, seconds: float) -> bool:
        """The same, and wait as long for the handlers of plugins, which may block."""
        return self.flush(seconds) and (self._forked or self._listeners.flush(seconds))

    def close(self, seconds: float = 1.0) -> None:
        """Write what waits, for at most ``seconds``, and leave logging as it was.

        Handlers of plugins have as long for what they have not heard yet.
        """
        self.flush(seconds)
        self._queue.put(None)
        self._hurry.set()
        self._listeners.close(seconds)
        root = logging.getLogger()
        root.removeHandler(self._handler)
        root.manager.loggerClass = None
        for logger in known_loggers():
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
            self._stream.write("".join(lines))
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


def logger_for_others(name: str) -> logging.Logger:
    """For what another process logged under ``name``; no plugin's handler runs in this thread."""
    return logging.getLogger(name) if LogOutput.current is None else HostLogger(name)


def _message(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except Exception as error:
        text = f"{record.msg!r} does not fit its arguments: {type(error).__name__}"
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]} …"

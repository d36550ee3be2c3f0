"""Handlers that plugins added, which hear what the host logs.

Owns the thread in which they run: they may block or raise. Must not know what the host's own output
is.
"""

import logging
import queue
import threading
from collections.abc import Iterable, Iterator

from flyte_host.thread_watch import lasting_thread

LISTENER_QUEUE = 1_000
"""Lines of the host that wait for the handlers of plugins; more are dropped."""

log = logging.getLogger(__name__)

_Heard = tuple[logging.Handler, logging.LogRecord]


class LogListeners:
    """Passes the host's records to them, in a thread that is made when it is needed."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[_Heard | threading.Event | None]
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

    def flush(self, seconds: float) -> bool:
        """Wait until they have heard all so far; False if that takes longer."""
        thread = self._thread
        if thread is None or not thread.is_alive() or thread is threading.current_thread():
            return True
        mark = threading.Event()
        self._queue.put(mark)
        return mark.wait(seconds)

    def close(self, seconds: float) -> None:
        """Let them hear the rest, for at most ``seconds``."""
        self.flush(seconds)
        self._queue.put(None)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = lasting_thread(self._run, "log listeners")
            self._thread.start()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
                continue
            handler, record = item
            try:
                handler.handle(record)
            except BaseException as error:
                if id(handler) not in self._blamed:  # its next line would be about this one
                    self._blamed.add(id(handler))
                    name = type(handler).__qualname__
                    log.warning("log handler %s raised %s", name, type(error).__name__)


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

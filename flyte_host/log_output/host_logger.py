"""The host's loggers, which no plugin can silence, and how plugins' lines come to the same output.

Owns which loggers are the host's or of its libraries. Must not know what happens to a record.
"""

import copy
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from flyte_host.forks import process_id
from flyte_host.log_fields import add_current

NAME = "flyte_host"
LIBRARIES = (
    "asyncio", "concurrent", "mcp", "opentelemetry", "psycopg", "py.warnings", "urllib3", "uvicorn",
    "watchfiles",
)  # fmt: skip
"""What else logs in threads of the host."""
LEVELS = {
    each: logging.getLevelName(each)
    for each in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)
}
"""Their names, as they were before a plugin could change them."""
_STARTED_AT = time.time()


class RecordSink(Protocol):
    """Where records go; it takes those of ``level`` and above from the host."""

    level: int

    def put(self, record: logging.LogRecord) -> None:
        """Have it written; never blocks nor raises."""


class HostLogger(logging.Logger):
    """A logger of the host, which writes to the output even if logging is reconfigured.

    ``disabled``, levels, filters and ``logging.disable`` can be set by any plugin, so none of them
    counts here.
    """

    output: ClassVar["RecordSink"]

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


class LoggerOfName(logging.Logger):
    """Makes a :class:`HostLogger` for the host's names, and what it should be for others."""

    def __new__(cls, name: str, level: int = logging.NOTSET) -> logging.Logger:  # type: ignore[misc]
        kind = kind_of(name) or logging.getLoggerClass()
        return kind(name, level)


class PluginLogHandler(logging.Handler):
    """The root logger's handler: what plugins and libraries log goes to the same output."""

    def __init__(self, output: RecordSink) -> None:
        super().__init__()
        self._output = output

    def handle(self, record: logging.LogRecord) -> bool:
        """Without the lock of a handler: the output needs none. Others may hear the record too."""
        copied = copy.copy(record)
        add_current(copied)
        copied.was_heard = True
        self._output.put(copied)
        return True


def enabled_loggers() -> list[logging.Logger]:
    """All loggers that are not disabled, those of plugins among them."""
    return [each for each in known_loggers() if not each.disabled]


def known_loggers() -> list[logging.Logger]:
    """All that there are now."""
    known = list(logging.getLogger().manager.loggerDict.values())
    return [each for each in known if isinstance(each, logging.Logger)]


def kind_of(name: str) -> type[HostLogger] | None:
    """What a logger of this name has to be; None if it is neither the host's nor a library's."""
    if _is_below(name, NAME):
        return HostLogger
    return LibraryLogger if any(_is_below(name, each) for each in LIBRARIES) else None


def _is_below(name: str, top: str) -> bool:
    return name == top or name.startswith(f"{top}.")

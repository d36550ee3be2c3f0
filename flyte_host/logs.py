"""The look of log lines: for people (``text``) and for machines (``json``).

Owns the two formats, that no line shows a secret, and that no text of others looks like a line.
The fields ``pack``, ``command`` and ``action`` come with each record.
"""

import atexit
import json
import logging
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

from flyte_host.log_output import LogOutput
from flyte_host.secrets import Scrubber
from flyte_host.text import escape_controls, escape_in_json

log = logging.getLogger(__name__)

FIELDS = ("pack", "command", "action")
FLUSH_SECONDS = 1.0
"""How long the end of a process waits for the reader of its log."""


class TextFormatter(logging.Formatter):
    """``22:41:07 INFO    shell    Shell → Output  [6b04b44c]``."""

    def __init__(self, scrubber: Scrubber) -> None:
        super().__init__()
        self._scrubber = scrubber
        self._time = 0, ""

    def format(self, record: logging.LogRecord) -> str:
        pack = str(getattr(record, "pack", "-"))
        action = getattr(record, "action", "")
        message = record.getMessage().rstrip("\n")
        line = f"{self._time_of(record)} {record.levelname:<8} {pack:<10} {message}"
        if action:
            line += f"  [{action}]"
        lines = [escape_controls(self._scrubber.scrub(line))]
        lines += _traceback_lines(self._scrubber.scrub(_traceback(self, record)))
        return "\n".join(lines)

    def _time_of(self, record: logging.LogRecord) -> str:
        """Many lines are of the same second, and it is half of what a line costs."""
        second, text = self._time
        if second != int(record.created):
            second = int(record.created)
            text = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
            self._time = second, text
        return text


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, logger, message, and pack, command, action where known."""

    def __init__(self, scrubber: Scrubber) -> None:
        super().__init__()
        self._scrubber = scrubber

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._scrubber.scrub(record.getMessage()),
        }
        for name in FIELDS:
            if value := getattr(record, name, ""):
                fields[name] = self._scrubber.scrub(str(value))
        if traceback := _traceback(self, record):
            fields["exception"] = self._scrubber.scrub(traceback)
        return escape_in_json(json.dumps(fields, ensure_ascii=False))


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """The exception of the record, or that of another process, which comes as text."""
    if record.exc_info:
        return formatter.formatException(record.exc_info)
    return record.exc_text or ""


def _traceback_lines(traceback: str) -> Iterator[str]:
    """Its lines, none of which looks like a line of the log: only those begin with a digit."""
    for line in traceback.split("\n") if traceback else ():
        yield ("    " if line[:1].isdigit() else "") + escape_controls(line)


def configure(form: str, level: str, scrubber: Scrubber, stream: TextIO | None = None) -> LogOutput:
    """Send what the host and its plugins log to ``stream`` (stderr), until the process ends."""
    formatter = JsonFormatter(scrubber) if form == "json" else TextFormatter(scrubber)
    root = logging.getLogger()
    root.handlers.clear()
    root.setLevel(level.upper())
    # The libraries' own lines are about connections, which the host reports in its own words.
    for name in ("urllib3", "uvicorn", "asyncio"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    output = LogOutput(formatter, root.level, stream or sys.stderr)
    output.start()
    atexit.register(output.flush, FLUSH_SECONDS)
    return output


def flush(seconds: float = FLUSH_SECONDS) -> None:
    """Wait until the lines so far are written, but no longer than ``seconds``."""
    if LogOutput.current is not None:
        LogOutput.current.flush(seconds)


def log_uncaught() -> None:
    """Log what Python would write to stderr past every formatter, in the whole process.

    That is, warnings and uncaught exceptions: in threads that plugins started, in
    ``__del__``, in the main thread.
    """
    logging.captureWarnings(True)
    threading.excepthook = _log_uncaught_in_thread
    sys.unraisablehook = _log_unraisable
    sys.excepthook = _log_internal_error


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is SystemExit:  # ends its thread, as Python has it
        return
    name = "a thread" if args.thread is None else f"the thread {args.thread.name!r}"
    found = None if args.exc_value is None else (args.exc_type, args.exc_value, args.exc_traceback)
    log.error("uncaught exception in %s", name, exc_info=found)


def _log_unraisable(args: "sys.UnraisableHookArgs") -> None:
    found = None if args.exc_value is None else (args.exc_type, args.exc_value, args.exc_traceback)
    log.error("uncaught exception in a destructor or callback", exc_info=found)


def _log_internal_error(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    log.critical("internal error (please report this)", exc_info=(kind, error, trace))

"""The look of log lines: for people (``text``) and for machines (``json``).

Owns the two formats. No line shows a secret, and no text of others looks like a line.
What a line is about comes with its record: see ``log_fields``.
"""

import atexit
import json
import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Any, TextIO

from flyte_host.log_fields import NUMBERS, TEXTS
from flyte_host.log_output import LogOutput
from flyte_host.secrets import Scrubber
from flyte_host.terminal import shows_colour
from flyte_host.text import escape_controls, escape_in_json

log = logging.getLogger(__name__)

FLUSH_SECONDS = 1.0
"""How long the end of a process waits for the reader of its log."""
LONGEST_ID = 12
ID_END = 8
"""flyte's ids begin with a time; their end tells apart those of one moment."""
DIM = "2"
COLOURS = {"DEBUG": DIM, "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}
"""For levels: codes of ECMA-48, which every terminal with colours knows."""


class TextFormatter(logging.Formatter):
    """``22:41:07 INFO    shell      Shell → Output  [heartbeat.measure …7e1fbb16 0.012 s]``.

    A line with the date comes first, and again when another day has begun.
    """

    def __init__(self, scrubber: Scrubber, *, colour: bool = False) -> None:
        super().__init__()
        self._scrubber = scrubber
        self._colour = colour
        self._day: date | None = None
        self._second, self._moment, self._time = 0, datetime.fromtimestamp(0, UTC), ""

    def format(self, record: logging.LogRecord) -> str:
        self._read_clock(record)
        message = record.getMessage().rstrip("\n")
        pack = str(getattr(record, "pack", "-"))
        end = self._end(record.__dict__, message)
        name = escape_controls(str(record.levelname))  # plugins may name levels
        level = self._painted(f"{name:<7}", COLOURS.get(name, ""))
        line = f"{self._time} {level} {self._clean(f'{pack:<10} {message}')}"
        lines = [*self._new_day(self._moment), line + self._painted(end, DIM)]
        if traceback := _traceback(self, record):
            lines += _traceback_lines(self._scrubber.scrub(traceback))
        return "\n".join(lines)

    def _read_clock(self, record: logging.LogRecord) -> None:
        """Kept for a second: many lines share one, and its text is half of a line's cost."""
        if self._second != int(record.created):
            self._second = int(record.created)
            self._moment = datetime.fromtimestamp(self._second, UTC).astimezone()
            self._time = self._painted(f"{self._moment:%H:%M:%S}", DIM)

    def _end(self, fields: Mapping[str, Any], message: str) -> str:
        """What the line is about, unless its message says so."""
        words = []
        if (flow := fields.get("flow")) and str(flow) not in message:
            step = fields.get("step")
            words.append(self._clean(f"{flow}.{step}" if step else str(flow)))
        if identity := fields.get("action") or fields.get("execution"):
            words.append(_short(self._clean(str(identity))))
        if isinstance(seconds := fields.get("duration_seconds"), float):
            words.append(f"{seconds:.3g} s")
        return f"  [{' '.join(words)}]" if words else ""

    def _new_day(self, time: datetime) -> Iterator[str]:
        if time.date() != self._day:
            self._day = time.date()
            yield self._painted(f"on {time:%Y-%m-%d}, UTC{time.isoformat()[-6:]}", DIM)

    def _clean(self, text: str) -> str:
        return escape_controls(self._scrubber.scrub(text))

    def _painted(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colour and colour and text else text


def _short(identity: str) -> str:
    return identity if len(identity) <= LONGEST_ID else f"…{identity[-ID_END:]}"


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, logger, message, and what the line is about."""

    def __init__(self, scrubber: Scrubber) -> None:
        super().__init__()
        self._scrubber = scrubber

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, str | float] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": str(record.levelname).lower(),
            "logger": record.name,
            "message": self._scrubber.scrub(record.getMessage()),
        }
        for name in TEXTS:
            if value := getattr(record, name, ""):
                fields[name] = self._scrubber.scrub(str(value))
        for name in NUMBERS:
            if isinstance(value := getattr(record, name, None), float):
                fields[name] = round(value, 6)
        if traceback := _traceback(self, record):
            fields["exception"] = self._scrubber.scrub(traceback)
        return escape_in_json(json.dumps(fields, ensure_ascii=False))


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """The exception of the record, or that of another process, which comes as text."""
    if record.exc_info:
        return formatter.formatException(record.exc_info)
    return record.exc_text or ""


def _traceback_lines(traceback: str) -> Iterator[str]:
    """Its lines, indented: only lines of the log begin with a digit."""
    for line in traceback.split("\n"):
        yield ("    " if line[:1].isdigit() else "") + escape_controls(line)


def configure(
    form: str,
    level: str,
    scrubber: Scrubber,
    stream: TextIO | None = None,
    *,
    formatter: logging.Formatter | None = None,
) -> LogOutput:
    """Send what the host and its plugins log to ``stream`` (stderr), until the process ends.

    ``formatter`` is used instead of that of ``form``.
    """
    stream = stream or sys.stderr
    if formatter is None:
        text = TextFormatter(scrubber, colour=shows_colour(stream))
        formatter = JsonFormatter(scrubber) if form == "json" else text
    root = logging.getLogger()
    root.handlers.clear()
    root.setLevel(level.upper())
    # The libraries' own lines are about connections, which the host reports in its own words.
    for name in ("asyncio", "mcp", "urllib3", "uvicorn", "watchfiles"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    output = LogOutput(formatter, root.level, stream)
    output.start()
    atexit.register(output.flush_to_all, FLUSH_SECONDS)
    return output


def flush(seconds: float = FLUSH_SECONDS) -> None:
    """Wait until the lines so far are written, but no longer than ``seconds``."""
    if LogOutput.current is not None:
        LogOutput.current.flush(seconds)


def flush_to_all(seconds: float = FLUSH_SECONDS) -> None:
    """At the end of the process: the same, and wait as long for the log handlers of plugins."""
    if LogOutput.current is not None:
        LogOutput.current.flush_to_all(seconds)


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

"""The look of log lines: for people (``text``) and for machines (``json``).

Owns the two formats and that no line shows a secret. Must not know who logs what; the fields
``pack``, ``command`` and ``action`` come with each record.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

from flyte_host.config.secrets import Scrubber

FIELDS = ("pack", "command", "action")


class TextFormatter(logging.Formatter):
    """``22:41:07 INFO    shell    Shell → Output  [6b04b44c]``."""

    def __init__(self, scrubber: Scrubber) -> None:
        super().__init__()
        self._scrubber = scrubber

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).astimezone()
        pack = str(getattr(record, "pack", "-"))
        action = getattr(record, "action", "")
        line = f"{time:%Y-%m-%d %H:%M:%S} {record.levelname:<8} {pack:<10} {record.getMessage()}"
        if action:
            line += f"  [{action}]"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return self._scrubber.scrub(line)


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
        if record.exc_info:
            fields["exception"] = self._scrubber.scrub(self.formatException(record.exc_info))
        return json.dumps(fields, ensure_ascii=False)


def configure(
    form: str, level: str, scrubber: Scrubber, stream: TextIO | None = None
) -> logging.Handler:
    """Send what the host and its plugins log to ``stream`` (stderr); returns the handler."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(scrubber) if form == "json" else TextFormatter(scrubber))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # The libraries' own lines tell of connections, which the host tells in its own words.
    for name in ("urllib3", "waitress", "werkzeug"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    return handler

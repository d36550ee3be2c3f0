"""A handler for the log of a plugin's process.

Owns how a record becomes a message. The host knows the secrets, the format and where lines go.
"""

import logging
import traceback

from flyte_host.isolation import messages as say
from flyte_host.log_fields import TEXTS, add_current
from flyte_host.text import printable


class LogForwarder(logging.Handler):
    """Sends log records to the host."""

    def __init__(self, channel: say.Channel, pack_key: str) -> None:
        super().__init__()
        self._channel = channel
        self._pack_key = pack_key

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text, raised = record.getMessage(), ""
            if record.exc_info and record.exc_info[0] is not None:
                raised = "".join(traceback.format_exception(*record.exc_info)).rstrip()
            add_current(record)
            given = {name: str(getattr(record, name, "")) for name in TEXTS}
            fields = {"pack": self._pack_key} | {
                name: value for name, value in given.items() if value
            }
            line = say.LogLine(
                record.name, record.levelno, printable(text), printable(raised), fields
            )
            self._channel.send(say.UNANSWERED, line)
        except OSError:  # the host is gone
            return
        except Exception:
            self.handleError(record)

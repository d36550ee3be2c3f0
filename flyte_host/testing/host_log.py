"""What the host logs while a test runs, and what handlers raised.

Owns the record of it. Changes no level and no other handler: it records what pytest shows of a
failed test.
"""

import logging
import threading

LOGGER = "flyte_host"
MOST_LINES = 20
"""How many of the last lines are shown: a host that cannot reach flyte repeats itself."""


class HostLog(logging.Handler):
    """Listens from :meth:`open` to :meth:`close`; safe to use from any thread."""

    def __init__(self) -> None:
        super().__init__()
        self._guard = threading.Lock()
        self._records: list[logging.LogRecord] = []

    def open(self) -> "HostLog":
        """Begin to listen."""
        logging.getLogger(LOGGER).addHandler(self)
        return self

    def close(self) -> None:
        """Stop listening, and forget what was raised."""
        logging.getLogger(LOGGER).removeHandler(self)
        with self._guard:
            self._records.clear()
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what was logged."""
        with self._guard:
            self._records.append(record)

    def lines(self, action_id: str = "") -> list[str]:
        """The last lines, or those about one action."""
        found = [each for each in self._kept() if action_id in {"", _action_of(each)}]
        return [f"{each.levelname} {each.getMessage()}" for each in found[-MOST_LINES:]]

    def error_of(self, action_id: str) -> BaseException | None:
        """The exception of an action's handler, with the frames of its own code."""
        for record in reversed(self._kept()):
            if _action_of(record) == action_id and record.exc_info and record.exc_info[1]:
                return record.exc_info[1].with_traceback(record.exc_info[2])
        return None

    def _kept(self) -> list[logging.LogRecord]:
        with self._guard:
            return list(self._records)


def _action_of(record: logging.LogRecord) -> str:
    return str(getattr(record, "action", ""))

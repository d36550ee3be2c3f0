"""What a log line is about: its fields, beside the message.

Owns their names, and what all lines that a handler logs are about. Must not know how lines look.
"""

import logging
from collections.abc import Mapping
from contextvars import ContextVar

TEXTS = ("pack", "command", "action", "flow", "step", "execution", "event", "trace")
NUMBERS = ("duration_seconds",)
FIELDS = (*TEXTS, *NUMBERS)

CURRENT: ContextVar[Mapping[str, str]] = ContextVar("what lines are about", default={})  # noqa: B039
"""Set in each handler's context; its tasks and callbacks inherit it."""


def add_current(record: logging.LogRecord) -> None:
    """Add the fields of the handler that logs the record; fields that it sets itself stay."""
    for name, value in CURRENT.get().items():
        record.__dict__.setdefault(name, value)

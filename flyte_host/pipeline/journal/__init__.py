"""What the host owes flyte, on disk: taken → result → delivered or parked, and events.

Owns the SQLite file; no other package of the host knows SQL. Must not know why something is
delivered or parked. ``writing`` is the journal of a running host, ``visiting`` what people do with
the file meanwhile, ``entries`` the words of both; ``opening``, ``file``, ``schema`` and
``retention`` are the file's beginning, use, shape and size.
"""

from flyte_host.pipeline.journal.editor import Editor
from flyte_host.pipeline.journal.entries import (
    Contents,
    Counts,
    Delivery,
    Entry,
    Kind,
    OpenAction,
    State,
    entry_name,
    parse_name,
)
from flyte_host.pipeline.journal.journal import EntryGone, Journal
from flyte_host.pipeline.journal.open import JournalClosed, JournalError
from flyte_host.pipeline.journal.retention import Retention
from flyte_host.pipeline.journal.schema import SCHEMA_VERSION

__all__ = [
    "SCHEMA_VERSION",
    "Contents",
    "Counts",
    "Delivery",
    "Editor",
    "Entry",
    "EntryGone",
    "Journal",
    "JournalClosed",
    "JournalError",
    "Kind",
    "OpenAction",
    "Retention",
    "State",
    "entry_name",
    "parse_name",
]

"""What the host owes flyte, on disk: taken → result → delivered or parked, and events.

Owns the SQLite file; nothing else in the pipeline knows SQL. Must not know why something is
delivered or parked. ``journal`` is what a running host does with it, ``editor`` what people do,
``entries`` the words of both, and ``adoption`` the way from one file to another. ``connection`` is
the open file, with ``file_lock``, ``group_commit`` and ``open`` below it; ``schema`` and
``retention`` are the file's shape and size, ``statements`` what is written for every action, and
``queries`` what the host reads.
"""

from flyte_host.pipeline.journal.adoption import Adoption, adopt
from flyte_host.pipeline.journal.editor import Editor
from flyte_host.pipeline.journal.entries import (
    Backlog,
    Contents,
    Delivery,
    Entry,
    Kind,
    OpenAction,
    Owed,
    State,
    entry_name,
    parse_name,
    with_trace,
)
from flyte_host.pipeline.journal.errors import EntryGone, JournalClosed, JournalError
from flyte_host.pipeline.journal.group_commit import Write
from flyte_host.pipeline.journal.journal import Journal
from flyte_host.pipeline.journal.retention import Retention
from flyte_host.pipeline.journal.schema import SCHEMA_VERSION

__all__ = [
    "SCHEMA_VERSION",
    "Adoption",
    "Backlog",
    "Contents",
    "Delivery",
    "Editor",
    "Entry",
    "EntryGone",
    "Journal",
    "JournalClosed",
    "JournalError",
    "Kind",
    "OpenAction",
    "Owed",
    "Retention",
    "State",
    "Write",
    "adopt",
    "entry_name",
    "parse_name",
    "with_trace",
]

"""The journal of a host that never comes back, taken over by another one.

Owns the move of what is open from file to file. Must not know what happens to it: the next start of
a host on the second file continues with all of it.

A kill or a power cut must neither lose nor double an entry. SQLite commits to two files at once
only in its oldest mode, with a rollback journal, so both files leave their write-ahead logs for the
move. A host sets that mode again when it starts.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from flyte_host.pipeline.journal.errors import JournalError, unusable
from flyte_host.pipeline.journal.file_lock import FileLock
from flyte_host.pipeline.journal.open import open_for_host

_ACTION = (
    "instance, pack, id, command, input, result_href, taken_at, attempt, state, result, replaced,"
    " reason, changed_at, step, trace"
)
_EVENT = "instance, body, state, reason, changed_at, trace"
# Number 0 is the host's probe; what is delivered is history, and stays.
_OPEN_ACTIONS = "source.action WHERE number > 0 AND state <> 'delivered'"


@dataclass(frozen=True, slots=True)
class Adoption:
    """How much has changed its journal."""

    actions: int
    events: int


def adopt(source: Path, target: Path) -> Adoption:
    """Move what is open in ``source`` to ``target``, all of it or nothing; raises JournalError.

    No host may run on either file. An older ``source`` is brought up to date, and a ``target`` that
    is not there is made.
    """
    if not source.exists():
        raise JournalError(f"journal {source}: there is none; expected the [host] state of a host")
    if target.exists() and source.samefile(target):
        raise JournalError(
            f"journal {source}: this configuration's own; expected that of another host"
        )
    with ExitStack() as locks:
        for path in (source, target):
            locks.callback(_lock(path).close)
        for path in (source, target):
            open_for_host(path).close()  # checks the file, and brings it up to date
        with _both(source, target) as db:
            return _move(db)


def _lock(path: Path) -> FileLock:
    try:
        return FileLock(path)
    except JournalError as error:
        if not isinstance(error.__cause__, BlockingIOError):
            raise
        raise JournalError(
            f"journal {path}: a flyte-host uses it; stop that one, and adopt again"
        ) from error


@contextmanager
def _both(source: Path, target: Path) -> Iterator[sqlite3.Connection]:
    """One transaction on both files."""
    db = sqlite3.connect(target, isolation_level=None)
    try:
        db.execute("ATTACH DATABASE ? AS source", (str(source),))
        for name in ("main", "source"):
            db.execute(f"PRAGMA {name}.journal_mode = DELETE")
            db.execute(f"PRAGMA {name}.synchronous = FULL")
        db.execute("BEGIN EXCLUSIVE")
        yield db
        db.execute("COMMIT")
    except sqlite3.Error as error:
        raise unusable(target, error) from error
    finally:
        db.close()  # takes back what has not been committed


def _move(db: sqlite3.Connection) -> Adoption:
    actions = db.execute(
        f"INSERT INTO main.action ({_ACTION}) SELECT {_ACTION} FROM {_OPEN_ACTIONS} "  # noqa: S608
        "ORDER BY number"
    ).rowcount
    events = db.execute(
        f"INSERT INTO main.event ({_EVENT}) SELECT {_EVENT} FROM source.event "  # noqa: S608
        "ORDER BY number"
    ).rowcount
    db.execute(f"DELETE FROM {_OPEN_ACTIONS}")  # noqa: S608
    db.execute("DELETE FROM source.event")
    return Adoption(actions, events)

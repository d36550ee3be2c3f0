"""The journal's file while a host has it open.

Owns the connections, and whether the file can be written at all. Must not know what the entries
mean.
"""

import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from flyte_host.pipeline.journal.errors import JournalClosed, JournalError, unusable
from flyte_host.pipeline.journal.file_lock import FileLock
from flyte_host.pipeline.journal.group_commit import (
    GroupCommit,
    Meanwhile,
    Statement,
    WriteFailed,
)
from flyte_host.pipeline.journal.open import (
    identity,
    index_of,
    log_of,
    open_for_host,
    open_for_reading,
)
from flyte_host.wait import Steps

log = logging.getLogger(__name__)

_T = TypeVar("_T")
Query = Callable[[sqlite3.Connection], _T]
"""Runs in a transaction. It must not log: a plugin that listens may write to the journal."""

PROBE_BYTES = 65_536
"""How much must fit before the journal accepts anything again: more than most actions need."""

# No action has number 0.
_PROBE = (
    "INSERT OR REPLACE INTO action (number, instance, pack, id, command, input, result_href,"
    " taken_at, state, changed_at)"
    " VALUES (0, '', '', '', '', zeroblob(?), '', '', 'delivered', '')"
)
_PROBE_BACK = "DELETE FROM action WHERE number = 0"

# fsync also writes the file's times, which are not needed. Some systems have no fdatasync.
flush = getattr(os, "fdatasync", os.fsync)


class Connection:
    """Safe to use from any thread. Readers wait for no writer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = log_of(path)
        self._closed = False
        self._problem = ""
        self._problem_lock = threading.Lock()
        self._reader_lock = threading.Lock()
        self._parts = ExitStack()  # closed in reverse: the lock last
        try:
            self._open()
        except BaseException:
            self._parts.close()
            raise

    def _open(self) -> None:
        self._parts.callback(FileLock(self._path).close)
        db = open_for_host(self._path)
        self._parts.callback(db.close)
        try:
            log_descriptor = os.open(self._log, os.O_RDWR | os.O_CLOEXEC)
            self._parts.callback(os.close, log_descriptor)
            self._reader = open_for_reading(self._path)
        except (OSError, sqlite3.Error) as error:
            raise unusable(self._path, error) from error
        self._commits = GroupCommit(db, lambda: flush(log_descriptor))
        self._parts.callback(self._commits.close)
        self._parts.callback(self._reader.close)
        # Looked at before each take.
        self._places = [os.fspath(each) for each in (self._path, self._log, index_of(self._path))]
        self._identity = identity(self._places)
        self._version = 0
        self._probe()
        self.changed_by_others()

    def close(self) -> None:
        """Close the file and let another host have it."""
        self._closed = True
        with self._reader_lock:
            self._parts.close()

    def problem(self) -> str:
        """Why nothing new can be accepted now; empty if it can, as far as is known.

        After a failed write every call tries a small one, so the journal is used again as soon as
        it can be.
        """
        try:
            if self._closed:
                raise self._stopped()
            self._check_place()
            if self._problem:
                self._probe()
        except JournalError as error:
            return str(error)
        return ""

    def changed_by_others(self) -> bool:
        """Whether people changed entries (by ``flyte-host journal``) since the last such look."""
        # The writer's own commits do not change its data_version.
        version = self.write(lambda db: _number(db, "PRAGMA data_version"), flush=False)
        changed, self._version = version != self._version, version
        return changed

    def accept(self, query: Query[_T]) -> _T:
        """Write something new. It would be lost with a deleted file, so look for that first.

        What the file held before it was deleted can still be delivered: SQLite has it open.
        """
        self._check_if_open()
        return self.write(query)

    def accepting(self, statement: Statement, values: Any) -> Steps[Any]:
        """Like :meth:`accept`, with a statement that the writes of a group share."""
        self._check_if_open()
        return (yield from self.writing(statement, values))

    def write(self, query: Query[_T], *, flush: bool = True, is_repeat: bool = False) -> _T:
        """One transaction, on disk when this returns; without ``flush`` only with a later one.

        ``is_repeat``: this write has failed before, and that was logged.
        """
        try:
            return self._commits.write(query, flush=flush)
        except WriteFailed as failure:
            raise self._failed(failure, is_repeat=is_repeat) from failure

    def writing(self, statement: Statement, values: Any, *, flush: bool = True) -> Steps[Any]:
        """Like :meth:`write`, with a statement that the writes of a group share."""
        if self._closed:  # nobody writes what begins now
            raise self._stopped()
        write = self._commits.make(statement, values, flush=flush)
        yield write
        try:
            return write.outcome()
        except WriteFailed as failure:
            raise self._failed(failure) from failure

    def write_waiting(self, meanwhile: Meanwhile) -> None:
        """Write what was begun and waits for others."""
        self._commits.write_waiting(meanwhile)

    def read(self, query: Query[_T]) -> _T:
        """One view of the file, in which nothing changes."""
        with self._reader_lock:
            if self._closed:
                raise self._stopped()
            try:
                self._reader.execute("BEGIN")
                try:
                    return query(self._reader)
                finally:
                    self._reader.execute("COMMIT")
            except sqlite3.Error as error:
                failure = unusable(self._path, error)
                raise failure from error

    def _probe(self) -> None:
        """Write as much as an action needs, and take it back.

        Only this ends a problem: a smaller write may succeed where there is hardly any space.
        """
        self.write(lambda db: db.execute(_PROBE, (PROBE_BYTES,)))
        self.write(lambda db: db.execute(_PROBE_BACK))
        self._note_recovery()

    def _failed(self, failure: WriteFailed, *, is_repeat: bool = False) -> JournalError:
        if self._closed:
            return self._stopped()
        error = unusable(self._path, failure)
        if not is_repeat:
            self._note(error)
        return error

    def _check_if_open(self) -> None:
        if not self._closed:
            self._check_place()

    def _check_place(self) -> None:
        if not self._is_in_place():
            error = JournalError(
                f"journal {self._path}: the file was deleted or replaced while flyte-host runs; "
                "flyte-host takes no action that it cannot record: put it back, or restart "
                "flyte-host; until then, it delivers what it held"
            )
            self._note(error)
            raise error

    def _is_in_place(self) -> bool:
        return identity(self._places) == self._identity

    def _note(self, error: JournalError) -> None:
        with self._problem_lock:
            known, self._problem = self._problem, str(error)
        if not known:
            log.critical("no action is taken until the journal can be written: %s", error)

    def _note_recovery(self) -> None:
        if not self._is_in_place():
            return
        with self._problem_lock:
            known, self._problem = self._problem, ""
        if known:
            log.info("the journal can be written again")

    def _stopped(self) -> JournalClosed:
        return JournalClosed(f"journal {self._path}: closed, since the host is stopping")


def _number(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0])

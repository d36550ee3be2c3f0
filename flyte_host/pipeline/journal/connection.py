"""The journal's file while a host has it open.

Owns the connection, the turn of each thread at it, and whether the file can be written at all. Must
not know what the entries mean.
"""

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flyte_host.pipeline.journal.open import (
    JournalClosed,
    JournalError,
    identity,
    open_for_host,
    own,
    unusable,
)

log = logging.getLogger(__name__)

PROBE_BYTES = 65_536
"""How much must fit before the journal accepts anything again: more than most actions need."""


class Connection:
    """Safe to use from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()  # a plugin that listens to the log may raise an event then
        self._closed = False
        self._problem = ""
        self._owner = own(path)
        try:
            self._db = open_for_host(path)
        except BaseException:
            self._owner.close()
            raise
        self._version = 0
        self._identity = identity(path)
        try:
            self._probe()
            self._identity = identity(path)
            self.changed_by_others()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file and let another host have it."""
        with self._lock:
            self._closed = True
            self._db.close()
            self._owner.close()

    def trouble(self) -> str:
        """Why nothing new can be accepted now; empty if it can, as far as is known.

        After a failed write every call tries a small one: so the journal is used again as soon as
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
        with self.reading() as db:
            version = int(db.execute("PRAGMA data_version").fetchone()[0])
            changed, self._version = version != self._version, version
        return changed

    @contextmanager
    def accepting(self) -> Iterator[sqlite3.Connection]:
        """A transaction that takes on something new: it would be gone with a deleted file.

        What the file held before it was deleted can still be delivered: SQLite has it open.
        """
        if not self._closed:
            self._check_place()
        with self.writing() as db:
            yield db

    @contextmanager
    def writing(self, *, flush: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction, on disk at its end; without ``flush`` only with the next one's."""
        with self._lock:
            try:
                with self._transaction(flush=flush) as db:
                    yield db
            except JournalClosed:
                raise
            except JournalError as error:
                self._note(error)
                raise
            if self._problem and self._is_in_place():
                self._problem = ""
                log.info("the journal can be written again")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One transaction that changes nothing."""
        with self._lock, self._transaction() as db:
            yield db

    def _probe(self) -> None:
        """Write what an action needs, and take it back: number 0 is no action's."""
        with self.writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO action (number, instance, pack, id, command, input,"
                " result_href, taken_at, state, changed_at)"
                " VALUES (0, '', '', '', '', zeroblob(?), '', '', 'delivered', '')",
                (PROBE_BYTES,),
            )
        with self.writing() as db:
            db.execute("DELETE FROM action WHERE number = 0")

    def _check_place(self) -> None:
        if not self._is_in_place():
            error = JournalError(
                f"journal {self._path}: the file was deleted or replaced while flyte-host runs; "
                "flyte-host takes no action that it cannot write down: put it back, or restart "
                "flyte-host; what it held is delivered until then"
            )
            self._note(error)
            raise error

    def _is_in_place(self) -> bool:
        return identity(self._path) == self._identity

    def _note(self, error: JournalError) -> None:
        known, self._problem = self._problem, str(error)
        if not known:
            log.critical("no action is taken until it can be written down: %s", error)

    def _stopped(self) -> JournalClosed:
        return JournalClosed(f"journal {self._path}: closed, since the host stops")

    @contextmanager
    def _transaction(self, *, flush: bool = True) -> Iterator[sqlite3.Connection]:
        if self._closed:
            raise self._stopped()
        try:
            self._db.execute(f"PRAGMA synchronous = {'FULL' if flush else 'NORMAL'}")
            with self._db:
                yield self._db
        except sqlite3.Error as error:
            raise unusable(self._path, error) from error

"""Lets threads that write in the same moment share one transaction and one flush.

Owns whose turn it is at the connection. Must not know what is written.

The first thread to come leads: it runs every write that waits, commits, flushes once, and wakes the
others. Writes that came meanwhile form the next group, led by the first of them. So a write waits
for two groups at most, the one under way and its own, and a thread that is alone just writes.
"""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

_T = TypeVar("_T")


class WriteFailed(Exception):
    """Nothing of the write is in the file, as far as is known; ``__cause__`` says why."""


class GroupCommit:
    """Safe to use from any thread; ``db`` must be in autocommit mode and not used elsewhere.

    ``flush`` takes what has been committed to the disk.
    """

    def __init__(self, db: sqlite3.Connection, flush: Callable[[], None]) -> None:
        self._db = db
        self._flush = flush
        self._lock = threading.Lock()
        self._waiting: list[_Write] = []
        self._has_leader = False
        self._turn = threading.Lock()

    def write(self, statement: Callable[[sqlite3.Connection], _T], *, flush: bool = True) -> _T:
        """Run ``statement`` in a transaction, on disk when this returns; raises WriteFailed.

        Without ``flush`` the disk has it with the next write that has one. A statement that fails
        is run a second time, alone, and harms no other.
        """
        mine = _Write(statement, flush=flush)
        with self._lock:
            woken = mine.wait_behind() if self._has_leader else None
            self._has_leader = True
            if woken is not None:
                self._waiting.append(mine)
        if woken is None:
            self._lead([mine])
        else:
            woken.acquire()
            if not mine.ended:  # woken to lead the next group
                with self._lock:
                    group, self._waiting = self._waiting, []
                self._lead(group)
        if isinstance(mine.error, Exception):
            raise WriteFailed(str(mine.error)) from mine.error
        if mine.error is not None:
            raise mine.error
        result: _T = mine.result
        return result

    @property
    def waiting(self) -> int:
        """How many writes wait for the group under way."""
        return len(self._waiting)

    def close(self) -> None:
        """Close the connection when the group under way is done; later writes fail."""
        with self._turn:
            self._db.close()

    def _lead(self, group: list["_Write"]) -> None:
        with self._turn:
            self._commit(group)
        with self._lock:
            heirs = self._waiting[:1]
            self._has_leader = bool(heirs)
        for each in heirs + group:
            if each.woken is not None:
                each.woken.release()

    def _commit(self, group: list["_Write"]) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            _end(group, error)
            return
        try:
            for each in group:
                each.result = each.statement(self._db)
            self._db.execute("COMMIT")
        except BaseException as error:
            self._roll_back()
            self._commit_alone(group, error)
            return
        self._flush_for(group)

    def _commit_alone(self, group: list["_Write"], error: BaseException) -> None:
        if len(group) == 1:
            _end(group, error)
            return
        for each in group:
            self._commit([each])

    def _flush_for(self, group: list["_Write"]) -> None:
        error = None
        if any(each.flush for each in group):
            try:
                self._flush()
            except OSError as failure:
                error = failure
        for each in group:
            each.ended = True
            each.error = error if each.flush else None

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):  # SQLite may have done so already
            self._db.execute("ROLLBACK")


class _Write:
    """One write of a group; ``woken`` is locked until others have done it, or it is to lead."""

    __slots__ = ("ended", "error", "flush", "result", "statement", "woken")

    def __init__(self, statement: Callable[[sqlite3.Connection], Any], *, flush: bool) -> None:
        self.statement = statement
        self.flush = flush
        self.result: Any = None
        self.error: BaseException | None = None
        self.ended = False
        self.woken: threading.Lock | None = None

    def wait_behind(self) -> threading.Lock:
        self.woken = threading.Lock()
        self.woken.acquire()
        return self.woken


def _end(group: list[_Write], error: BaseException) -> None:
    for each in group:
        each.error = error
        each.ended = True

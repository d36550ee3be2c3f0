"""Lets writes of the same moment share one transaction and one flush.

Owns whose turn it is at the connection. Must not know what is written.

A thread that has the turn runs every write that waits, commits, and flushes once. Writes that came
meanwhile form the next group. So a write waits for two groups at most, the one under way and its
own, and a thread that is alone just writes. Nobody has to block meanwhile: a worker begins a write,
does something else, and is woken.
"""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, TypeVar

_T = TypeVar("_T")

Statement = Callable[[sqlite3.Connection, Sequence[Any]], Sequence[Any]]
"""Runs once for all its writes in a group: from the values of each to the result of each."""

Meanwhile = Callable[[], AbstractContextManager[object]]
"""Entered as long as the caller waits for the disk."""


class WriteFailed(Exception):
    """Nothing of the write is in the file, as far as is known; ``__cause__`` says why."""


class Write:
    """One write, which is waited for; its outcome is there when it has ended."""

    __slots__ = ("_commits", "error", "flush", "result", "statement", "values", "wake")

    def __init__(
        self, commits: "GroupCommit", statement: Statement, values: Any, *, flush: bool
    ) -> None:
        self._commits = commits
        self.statement = statement
        self.values = values
        self.flush = flush
        self.result: Any = None
        self.error: BaseException | None = RuntimeError("it was interrupted")  # until it has ended
        self.wake: Callable[[], None] = lambda: None

    def begin(self, wake: Callable[[], None]) -> None:
        """Write it with the next group; ``wake`` is called at the end."""
        self.wake = wake
        self._commits.add(self)

    def stand_still(self) -> None:
        """Write it now, together with all that waits."""
        self._commits.add(self)
        self._commits.write_waiting()

    def outcome(self) -> Any:
        """The result, on disk if it was to be flushed; raises WriteFailed."""
        if isinstance(self.error, Exception):
            raise WriteFailed(str(self.error)) from self.error
        if self.error is not None:
            raise self.error
        return self.result


class GroupCommit:
    """Safe to use from any thread; ``db`` must be in autocommit mode and not used elsewhere.

    ``flush`` takes what has been committed to the disk. A write without ``flush`` is on the disk
    with the next one that has it. A write that fails is tried a second time, alone, and harms no
    other.
    """

    def __init__(self, db: sqlite3.Connection, flush: Callable[[], None]) -> None:
        self._db = db
        self._flush = flush
        self._lock = threading.Lock()
        self._waiting: list[Write] = []
        self._turn = threading.Lock()

    def make(self, statement: Statement, values: Any, *, flush: bool = True) -> Write:
        """A write, not begun yet."""
        return Write(self, statement, values, flush=flush)

    def write(self, statement: Callable[[sqlite3.Connection], _T], *, flush: bool = True) -> _T:
        """Run ``statement`` in a transaction and wait for its outcome."""
        write = self.make(_call_each, statement, flush=flush)
        write.stand_still()
        result: _T = write.outcome()
        return result

    def add(self, write: Write) -> None:
        """What :meth:`Write.begin` says."""
        with self._lock:
            self._waiting.append(write)

    def write_waiting(self, meanwhile: Meanwhile = nullcontext) -> None:
        """Write all that waits; what waited before the call has been written when it returns."""
        group: list[Write] = []
        try:
            with self._turn:
                group = self._next_group()
                self._commit(group, meanwhile)
        finally:
            for each in group:
                each.wake()

    @property
    def waiting(self) -> int:
        """How many writes wait for the group under way."""
        return len(self._waiting)

    def close(self) -> None:
        """Write what waits and close the connection; later writes fail."""
        self.write_waiting()
        with self._turn:
            self._db.close()

    def _next_group(self) -> list[Write]:
        with self._lock:
            group, self._waiting = self._waiting, []
        return group

    def _commit(self, group: list[Write], meanwhile: Meanwhile) -> None:
        if not group:  # others have written it
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            _fail(group, error)
            return
        try:
            self._execute(group)
            self._db.execute("COMMIT")
        except BaseException as error:
            self._roll_back()
            self._commit_alone(group, error, meanwhile)
            return
        self._flush_for(group, meanwhile)

    def _execute(self, group: list[Write]) -> None:
        by_statement: dict[Statement, list[Write]] = {}
        for each in group:
            by_statement.setdefault(each.statement, []).append(each)
        for statement, writes in by_statement.items():
            results = statement(self._db, [each.values for each in writes])
            for each, result in zip(writes, results, strict=True):
                each.result = result

    def _commit_alone(self, group: list[Write], error: BaseException, meanwhile: Meanwhile) -> None:
        if len(group) == 1:
            _fail(group, error)
            return
        for each in group:
            self._commit([each], meanwhile)

    def _flush_for(self, group: list[Write], meanwhile: Meanwhile) -> None:
        error = None
        if any(each.flush for each in group):
            try:
                with meanwhile():
                    self._flush()
            except OSError as failure:
                error = failure
        for each in group:
            each.error = error if each.flush else None

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):  # SQLite may have done so already
            self._db.execute("ROLLBACK")


def _call_each(
    db: sqlite3.Connection, statements: Sequence[Callable[[sqlite3.Connection], Any]]
) -> list[Any]:
    return [statement(db) for statement in statements]


def _fail(group: list[Write], error: BaseException) -> None:
    for each in group:
        each.error = error

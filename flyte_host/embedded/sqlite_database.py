"""The SQLite file: one connection, transactions, migrations.

Statements run safely from many threads, and each transaction survives a kill as a whole or not at
all. Must not know what the tables mean.
"""

import re
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any, Generic

from flyte_host.clock import Clock
from flyte_host.embedded.database import Statements, T
from flyte_host.embedded.schema import MIGRATIONS
from flyte_host.embedded.store_outage import StoreOutage
from flyte_host.errors import FlyteHostError, StoreAway
from flyte_host.given_file import why_not_a_file

MEMORY = ":memory:"
BUSY_TIMEOUT_SECONDS = 10.0
LOG_PAGES = 4000
"""At this length of SQLite's log, a commit copies its pages and waits twice for the disk. An action
takes some 16 pages. Among 4,000 a page is found as quickly as among 1,000, SQLite's own limit."""
MOST_AT_ONCE = 32
"""How many writes may share a commit."""
_AWAY = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
}
"""What the disk or another process is to blame for, and not the statement."""
_MADE_TABLE = re.compile(r"CREATE TABLE (\w+)")


class SqliteDatabase:
    """A connection that threads take turns on; its methods raise :class:`StoreAway`.

    A transaction takes tens of microseconds and Python runs one thread at a time, so one
    connection is as fast as many and cannot deadlock. Writes that come while another one runs
    share one commit. Another process may use the file too.
    """

    skip_locked = ""
    last_event = "(SELECT max(number) FROM event)"  # nobody else writes meanwhile

    def __init__(
        self,
        path: str | Path,
        migrations: Sequence[str] = MIGRATIONS,
        *,
        busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS,
    ) -> None:
        self._lock = Lock()
        self._jobs: deque[_Job[Any]] = deque()
        self._outage = StoreOutage(str(path))
        self.closed = False
        try:
            if str(path) != MEMORY:
                # Inputs, results and items are private; SQLite's side files get the same mode.
                Path(path).touch(mode=0o600)
            self._connection = _open(path, busy_timeout_seconds)
        except (OSError, sqlite3.Error) as error:
            raise _unusable(path, error) from error
        self._statements = _SqliteStatements(self._connection)
        try:
            _migrate(self._connection, path, migrations)
            self._version = self._data_version()
        except sqlite3.Error as error:
            self._connection.close()
            raise _unusable(path, error) from error
        except BaseException:
            self._connection.close()
            raise

    def write(self, work: Callable[[Statements], T]) -> T:
        """Run ``work`` as one transaction; simultaneous writers share the commit."""
        job = _Job(work)
        self._jobs.append(job)
        with self._lock:
            while not job.is_done:
                count = min(len(self._jobs), MOST_AT_ONCE)
                self._run([self._jobs.popleft() for _ in range(count)])
        with self._words():
            result = job.result()
        self._outage.end()
        return result

    @contextmanager
    def _words(self) -> Iterator[None]:
        """A disk that fails, or a lock that another process keeps, becomes a StoreAway."""
        try:
            yield
        except sqlite3.OperationalError as error:
            # Python's own errors have no code; all but the last byte of SQLite's are details.
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _AWAY:
                raise
            self._outage.begin(str(error))
            raise StoreAway(f"the store is away: {error}") from error

    def _run(self, jobs: "list[_Job[Any]]") -> None:
        """All ``jobs`` in one transaction; each in its own if that fails."""
        try:
            results = self._transact(jobs)
        except BaseException as error:
            if len(jobs) > 1:
                for job in jobs:
                    self._run([job])
            else:
                jobs[0].fail(error)
        else:
            for job, result in zip(jobs, results, strict=True):
                job.finish(result)

    def _transact(self, jobs: "list[_Job[Any]]") -> list[Any]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            results = [job.work(self._statements) for job in jobs]
            self._connection.execute("COMMIT")
        finally:
            # SQLite rolls back some failed transactions itself, for instance on a full disk.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        return results

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """All rows that ``sql``, a query, finds."""
        with self._words(), self._lock:
            return self._connection.execute(sql, values).fetchall()

    def rows_at_once(self, sql: str, *values: Any) -> list[Any] | None:
        """The same, but ``None`` if another thread has the connection, or it fails."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error:  # those who wait hear why
            return None
        finally:
            self._lock.release()

    def row(self, sql: str, *values: Any) -> Any:
        """The first row that ``sql``, a query, finds, or ``None``."""
        with self._words(), self._lock:
            return self._connection.execute(sql, values).fetchone()

    def read(self, work: Callable[[Statements], T]) -> T:
        """Run ``work``, whose queries all see one state."""
        with self._words(), self._lock:
            self._connection.execute("BEGIN")
            try:
                return work(self._statements)
            finally:
                self._connection.execute("ROLLBACK")

    def announce(self, texts: Iterable[str]) -> None:
        """Nobody listens: other processes look at the file, see :meth:`was_changed`."""

    def listen(self, hear: Callable[[str], None]) -> None:
        """Nobody announces anything."""

    def clock(self) -> Clock:
        """Processes that share a file share a machine."""
        return Clock()

    def was_changed(self) -> bool:
        """Whether another connection, such as another process's, wrote since the last call."""
        before, self._version = self._version, self._data_version()
        return self._version != before

    def _data_version(self) -> int:
        (version,) = self.row("PRAGMA data_version")
        return int(version)

    def size_bytes(self) -> int:
        """How large the data is; the file may be larger for a while."""
        (pages,) = self.row("PRAGMA page_count")
        (page_bytes,) = self.row("PRAGMA page_size")
        return int(pages * page_bytes)

    def close(self) -> None:
        with self._lock:
            self.closed = True
            self._connection.close()


class _Job(Generic[T]):
    """A write that waits for its turn, then its outcome."""

    __slots__ = ("_error", "_result", "is_done", "work")

    def __init__(self, work: Callable[[Statements], T]) -> None:
        self.work = work
        self.is_done = False
        self._result: T | None = None
        self._error: BaseException | None = None

    def finish(self, result: T) -> None:
        self._result = result
        self.is_done = True

    def fail(self, error: BaseException) -> None:
        self._error = error
        self.is_done = True

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # None only where T has it


class _SqliteStatements:
    """Runs statements on the connection; a transaction that writes locks out all others."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.execute = connection.execute
        self.executemany = connection.executemany

    def first_row(self, sql: str, values: Sequence[Any]) -> Callable[[], Any]:
        row = self.execute(sql, values).fetchone()
        return lambda: row

    def lock(self, name: str) -> None:
        """There is only one writer."""

    def try_lock(self, name: str) -> bool:  # noqa: ARG002
        return True

    def count_on(self, table: str) -> None:
        """SQLite looks at the rows for each new number."""

    def announce(self, texts: Iterable[str]) -> None:
        """Nobody listens."""


def _open(path: str | Path, busy_timeout_seconds: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=busy_timeout_seconds, isolation_level=None, check_same_thread=False
    )
    try:
        _use_wal(connection)
        # A crash of the machine may cost the last moments, a crash of the process nothing.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        connection.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _unusable(path: str | Path, error: OSError | sqlite3.Error) -> FlyteHostError:
    reason = why_not_a_file(Path(path)) or getattr(error, "strerror", None) or error
    return FlyteHostError(
        f"the store {path} cannot be used: {reason}; expected a path for an SQLite file "
        f"in a directory that exists, or {MEMORY}"
    )


def _use_wal(connection: sqlite3.Connection) -> None:
    while True:
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
            return
        # Switching does not wait for another writer; a transaction does, or says why it cannot.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("COMMIT")


def _migrate(connection: sqlite3.Connection, path: str | Path, migrations: Sequence[str]) -> None:
    # Lock before reading the version: another process may be opening the same new file.
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(migrations):
        raise FlyteHostError(
            f"the store {path} has schema {version}, this flyte-host knows up to "
            f"{len(migrations)}; use the newer flyte-host that wrote it"
        )
    if not _has_tables_of(connection, migrations[:version]):
        raise FlyteHostError(
            f"the store {path} is another kind of database, such as a journal; expected a "
            "store of flyte, or a new file"
        )
    for script in migrations[version:]:
        for statement in script.split(";"):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(migrations)}")
    connection.execute("COMMIT")


def _has_tables_of(connection: sqlite3.Connection, migrations: Sequence[str]) -> bool:
    """Whether these migrations made the file: other programs count versions, too."""
    made = set(_MADE_TABLE.findall(" ".join(migrations)))
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return made <= {name for (name,) in found}

"""The SQLite file: one connection, transactions, migrations.

Owns how statements run safely from many threads, and that each transaction survives a kill as a
whole or not at all. Must not know what the tables mean.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any

from flyte_host.embedded.schema import MIGRATIONS
from flyte_host.errors import FlyteHostError

MEMORY = ":memory:"
BUSY_TIMEOUT_SECONDS = 10.0

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Database:
    """A connection that threads take turns on.

    A transaction takes tens of microseconds and Python runs one thread at a time, so one
    connection is as fast as many and cannot deadlock. Another process may use the file too.
    """

    def __init__(
        self,
        path: str | Path,
        migrations: Sequence[str] = MIGRATIONS,
        *,
        busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS,
    ) -> None:
        self._lock = Lock()
        self.closed = False
        try:
            if str(path) != MEMORY:
                # Inputs, results and items are nobody else's; SQLite's side files follow.
                Path(path).touch(mode=0o600)
            self._connection = _open(path, busy_timeout_seconds)
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise FlyteHostError(
                f"the store {path} cannot be used: {reason}; expected a path for an SQLite file "
                f"in a directory that exists, or {MEMORY}"
            ) from error
        try:
            _migrate(self._connection, path, migrations)
            self._version = self._data_version()
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed at the end, rolled back on an exception."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            finally:
                # SQLite rolls back some failed transactions itself, for instance on a full disk.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """All rows that ``sql``, a query, finds."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> Any:
        """The first row that ``sql``, a query, finds, or ``None``."""
        with self._lock:
            return self._connection.execute(sql, values).fetchone()

    @contextmanager
    def look(self) -> Iterator[sqlite3.Connection]:
        """Queries of which each sees the state of its moment."""
        with self._lock:
            yield self._connection

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Several queries that see one state."""
        with self._lock:
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                self._connection.execute("ROLLBACK")

    def was_changed(self) -> bool:
        """Whether another connection, as that of another process, wrote since the last call."""
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


def _open(path: str | Path, busy_timeout_seconds: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=busy_timeout_seconds, isolation_level=None, check_same_thread=False
    )
    try:
        _use_wal(connection)
        # A crash of the machine may cost the last moments, a crash of the process nothing.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    while True:
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
            return
        # The switch does not wait for another writer; a transaction does, or says why it cannot.
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
    for script in migrations[version:]:
        for statement in script.split(";"):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(migrations)}")
    connection.execute("COMMIT")


def to_millis(time: datetime) -> int:
    return (time - _EPOCH) // _MILLISECOND


def from_millis(millis: int) -> datetime:
    return _EPOCH + millis * _MILLISECOND

"""What was received already, so that nobody can send it a second time.

Owns the file or the memory in which that is kept. Must not know webhooks.
"""

import sqlite3
import threading
from collections.abc import Callable

REMEMBERED = 200_000
"""How many are kept at most; the oldest make room."""

_SWEEP_EACH = 1_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS received (digest BLOB PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS received_by_time ON received (at);
"""


class InProgress(Exception):
    """The same request is being received right now, so nobody knows yet whether it succeeds."""


class ReplayMemory:
    """Remembers digests for a time; safe to use from any thread. ``now`` is the time of day."""

    def __init__(self, file: str | None, keep_seconds: float, now: Callable[[], float]) -> None:
        self._keep_seconds = keep_seconds
        self._now = now
        self._lock = threading.Lock()
        self._claimed: set[bytes] = set()
        self._file = file or ":memory:"
        self._database: sqlite3.Connection | None = None
        self._since_sweep = 0

    def open(self) -> None:
        """Begin; raises sqlite3.Error."""
        database = sqlite3.connect(self._file, check_same_thread=False, isolation_level=None)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.executescript(_SCHEMA)
        self._database = database

    def close(self) -> None:
        """Forget nothing, and end."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def claim(self, digest: bytes) -> bool:
        """Whether it is new; then it has to be kept or released. Raises InProgress."""
        with self._lock:
            if digest in self._claimed:
                raise InProgress
            oldest = self._now() - self._keep_seconds
            if (
                self._open()
                .execute("SELECT 1 FROM received WHERE digest = ? AND at >= ?", (digest, oldest))
                .fetchone()
            ):
                return False
            self._claimed.add(digest)
            return True

    def keep(self, digest: bytes) -> None:
        """It was received."""
        with self._lock:
            self._claimed.discard(digest)
            self._open().execute(
                "INSERT OR REPLACE INTO received VALUES (?, ?)", (digest, self._now())
            )
            self._since_sweep += 1
            if self._since_sweep >= _SWEEP_EACH:
                self._sweep()

    def release(self, digest: bytes) -> None:
        """Note that it was not received after all: its sender may try again."""
        with self._lock:
            self._claimed.discard(digest)

    def _sweep(self) -> None:
        self._since_sweep = 0
        self._open().execute(
            "DELETE FROM received WHERE at < ? OR digest IN"
            " (SELECT digest FROM received ORDER BY at DESC LIMIT -1 OFFSET ?)",
            (self._now() - self._keep_seconds, REMEMBERED),
        )

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            raise sqlite3.ProgrammingError("the listener is stopped")
        return self._database

"""Marks that tell whether a commit without an answer happened.

Owns the table ``writer``: a row for each writer, with the mark of its last commit, written by the
same transaction. PostgreSQL's own transaction numbers would not do: after a crash it reuses those
that never reached the disk. Must not know what a transaction does or what the other tables mean.
"""

import secrets
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors

from flyte_host.embedded.postgres_statements import Connection

TABLE = """
    CREATE TABLE writer (
        id BIGINT PRIMARY KEY,
        mark BIGINT NOT NULL,
        marked TIMESTAMPTZ NOT NULL
    ) WITH (fillfactor = 20)
"""
FORGET = "DELETE FROM writer WHERE marked < now() - interval '1 day'"
"""Removes the rows of writers that are gone; one that comes back gets a new row."""
NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
"""The database's time in microseconds since 1970."""
_MARK = (
    "INSERT INTO writer (id, mark, marked) SELECT %s, %s, now() "
    "WHERE pg_current_xact_id_if_assigned() IS NOT NULL ON CONFLICT (id) DO UPDATE "
    "SET mark = CASE WHEN writer.mark = %s THEN excluded.mark END, marked = excluded.marked "
    f"RETURNING {NOW}"
)
"""A mark that is not the last one becomes NULL, which the table refuses: nothing is committed."""
_LOCK_TIMEOUT = "SELECT set_config('lock_timeout', %s, true)"
_SETTLE = (
    "INSERT INTO writer (id, mark, marked) VALUES (%s, %s, now()) ON CONFLICT (id) DO UPDATE "
    "SET mark = CASE WHEN writer.mark = %s THEN writer.mark ELSE excluded.mark END RETURNING mark"
)


class CommitMarks:
    """Lends a writer to each transaction; safe from any thread."""

    def __init__(self) -> None:
        self._free: deque[MarkedWriter] = deque()

    @contextmanager
    def writer(self) -> Iterator["MarkedWriter"]:
        """A writer that no other thread uses meanwhile."""
        try:
            writer = self._free.pop()
        except IndexError:
            writer = MarkedWriter()
        yield writer
        # After an exception its last mark may be unknown, so it is dropped.
        self._free.append(writer)


class MarkedWriter:
    """Commits one transaction after another, each with a new mark."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Become a new writer, which has committed nothing."""
        self._id = secrets.randbits(63)
        self._last = self._next = 0

    def commit(self, connection: Connection) -> "psycopg.Cursor[tuple[Any, ...]]":
        """Commit what a pipeline's transaction wrote, if anything, and a new mark with it.

        Pass what it returns to :meth:`note_committed`. The end of the pipeline raises
        psycopg's NotNullViolation, and nothing is committed, if the database does not know
        the previous mark: a standby took over that never got it.
        """
        self._next = secrets.randbits(63)
        marked = connection.execute(_MARK, (self._id, self._next, self._last))
        connection.execute("COMMIT")
        return marked

    def note_committed(self, marked: "psycopg.Cursor[tuple[Any, ...]]") -> int | None:
        """The commit was answered; returns :data:`NOW`, or None if nothing was written."""
        row = marked.fetchone()
        if row is None:
            return None
        self._last = self._next
        return int(row[0])

    def settle(self, connection: Connection, seconds: float) -> bool | None:
        """Whether the last commit, which got no answer, happened; None: it is still on its way.

        After False it cannot happen, even if it arrives late: the mark that it builds on
        is replaced.
        """
        fence = secrets.randbits(63)
        milliseconds = str(max(1, int(seconds * 1000)))
        try:
            with connection.transaction():
                connection.execute(_LOCK_TIMEOUT, (milliseconds,))
                settled = connection.execute(_SETTLE, (self._id, fence, self._next))
                [(self._last,)] = settled.fetchall()
        except errors.LockNotAvailable:
            return None
        return self._last == self._next

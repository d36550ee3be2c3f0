"""The store's statements as PostgreSQL takes them, and how several share a round trip.

Owns what differs in a single statement: places for values, NUL in text, advisory locks. Must not
know lost connections or what the tables mean.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import psycopg

from flyte_host.embedded.database import Rows

_LOCKS = 0x666C7974
"""The space of our advisory locks."""

Connection = psycopg.Connection[tuple[Any, ...]]


class PostgresStatements:
    """Runs the store's statements on a connection in a transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.announced: list[str] = []
        """What to announce once the transaction is committed."""

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Rows:
        return self._connection.execute(translate(sql), storable(values))

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        if rows := [storable(each) for each in rows]:
            with self._connection.cursor() as cursor:
                cursor.executemany(translate(sql), rows)

    def first_row(self, sql: str, values: Sequence[Any]) -> Callable[[], Any]:
        return self.execute(sql, values).fetchone

    def lock(self, name: str) -> None:
        self.execute("SELECT pg_advisory_xact_lock(?, ?)", advisory_lock(name))

    def try_lock(self, name: str) -> bool:
        has = self.execute("SELECT pg_try_advisory_xact_lock(?, ?)", advisory_lock(name)).fetchone()
        return bool(has[0])

    def count_on(self, table: str) -> None:
        self.execute(
            "SELECT setval(pg_get_serial_sequence(?, 'number'), "  # noqa: S608 (our own tables)
            f"coalesce(max(number), 0) + 1, false) FROM {table}",
            (table,),
        )

    def announce(self, texts: Iterable[str]) -> None:
        self.announced += texts


class PipelinedStatements(PostgresStatements):
    """The same, but a statement waits for its answer only when somebody reads it."""

    def __init__(self, connection: Connection, pipeline: psycopg.Pipeline) -> None:
        super().__init__(connection)
        self._pipeline = pipeline

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Rows:
        return PipelinedRows(super().execute(sql, values), self._pipeline)


class PipelinedRows:
    """What a pipeline's statement found: reading it waits for it and all before it."""

    def __init__(self, rows: Rows, pipeline: psycopg.Pipeline) -> None:
        self._rows = rows
        self._pipeline = pipeline

    @property
    def rowcount(self) -> int:
        self._pipeline.sync()
        return self._rows.rowcount

    def fetchone(self) -> Any:
        return self._rows.fetchone()

    def fetchall(self) -> list[Any]:
        return self._rows.fetchall()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)


def advisory_lock(name: str) -> tuple[int, int]:
    """The number of a lock, in two parts."""
    return _LOCKS, zlib.crc32(name.encode()) & 0x7FFFFFFF


@lru_cache(maxsize=500)
def translate(sql: str) -> bytes:
    """``sql`` with psycopg's places for values."""
    return sql.replace("%", "%%").replace("?", "%s").encode()


def storable(values: Sequence[Any]) -> Sequence[Any]:
    """``values`` without NUL in text, which PostgreSQL does not have."""
    if any(isinstance(value, str) and "\0" in value for value in values):
        return [
            value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value
            for value in values
        ]
    return values

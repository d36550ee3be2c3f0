"""What the store needs of a database: statements, transactions, and what differs between the two.

Owns the interface between the store and SQLite or PostgreSQL. SQL that both understand is written
once, with ``?`` for values. Must not know what the tables mean.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

from flyte_host.clock import Clock

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Rows(Protocol):
    """What a statement found, or how many rows it changed."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...


class Statements(Protocol):
    """Runs statements in the transaction of a :meth:`Database.write` or :meth:`Database.read`."""

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Rows: ...
    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> object: ...

    def first_row(self, sql: str, values: Sequence[Any], /) -> Callable[[], Any]:
        """Run a statement; the returned function gives its first row, even after the transaction.

        The caller need not wait for a remote database meanwhile.
        """

    def lock(self, name: str) -> None:
        """Wait until no other transaction has this lock; it ends with the transaction."""

    def try_lock(self, name: str) -> bool:
        """The same without waiting: whether this transaction has the lock now."""

    def count_on(self, table: str) -> None:
        """Continue the table's numbers after the highest that it has."""

    def announce(self, texts: Iterable[str]) -> None:
        """Tell other processes on the store as soon as the transaction is committed.

        It only saves time: they would find out later anyway.
        """


class Database(Protocol):
    """Safe from any thread."""

    closed: bool
    skip_locked: str
    """Ends a query for a row to update: skips rows that another transaction is changing."""
    last_event: str
    """The number of the event that the transaction stored last, as part of a statement."""

    def write(self, work: Callable[[Statements], T]) -> T:
        """Run ``work`` as one transaction: all of it happens, or it raises and nothing does.

        ``work`` may run several times; only the last counts.
        """

    def read(self, work: Callable[[Statements], T]) -> T:
        """Run ``work``, whose queries all see one state."""

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """All rows that ``sql``, a query, finds."""

    def rows_at_once(self, sql: str, *values: Any) -> list[Any] | None:
        """The same, but ``None`` if the thread might have to wait for them."""

    def row(self, sql: str, *values: Any) -> Any:
        """The first row that ``sql``, a query, finds, or ``None``."""

    def was_changed(self) -> bool:
        """Whether another process wrote since the last call; False if others announce that."""

    def announce(self, texts: Iterable[str]) -> None:
        """Tell other processes on the store something that no transaction stores."""

    def listen(self, hear: Callable[[str], None]) -> None:
        """Call ``hear`` with what others announce; empty: something may have been missed."""

    def clock(self) -> Clock:
        """The clock that all processes on the store share."""

    def size_bytes(self) -> int:
        """How large the data is."""

    def close(self) -> None: ...


def to_millis(time: datetime) -> int:
    return (time - _EPOCH) // _MILLISECOND


def from_millis(millis: int) -> datetime:
    return _EPOCH + millis * _MILLISECOND

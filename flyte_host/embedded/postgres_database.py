"""PostgreSQL: transactions that survive lost connections.

The store survives killed connections, restarted servers and standbys; a transaction whose commit
got no answer is neither lost nor done twice. Must not know what the tables mean.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus

from flyte_host.clock import Clock
from flyte_host.embedded.commit_marks import NOW, CommitMarks, MarkedWriter
from flyte_host.embedded.database import Statements, T
from flyte_host.embedded.database_time import DatabaseTime
from flyte_host.embedded.postgres_connections import (
    AWAY,
    ENCODING,
    PATIENCE_SECONDS,
    TOO_LARGE,
    ConnectionLost,
    PostgresConnections,
    Tries,
    conninfo_of,
    reason_of,
    words_for_failure,
)
from flyte_host.embedded.postgres_listener import ANNOUNCE, PostgresListener
from flyte_host.embedded.postgres_migration import migrate
from flyte_host.embedded.postgres_schema import MIGRATIONS
from flyte_host.embedded.postgres_statements import (
    Connection,
    PipelinedStatements,
    PostgresStatements,
    storable,
    translate,
)
from flyte_host.embedded.session_check import check_session
from flyte_host.errors import FlyteHostError, StoreAway
from flyte_host.postgres_address import shown_url

MOST_CONFLICTS = 20
"""How often a transaction that collided with another one is tried again at once."""
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"  # whatever the database's default is
_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_SIZE = (
    "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class "
    "WHERE relnamespace = quote_ident(current_schema())::regnamespace AND relkind = 'r'"
)
_CONFLICTS = (errors.SerializationFailure, errors.DeadlockDetected)


class PostgresDatabase:
    """A database that any number of processes share.

    ``password`` is asked whenever a connection is made. Raises :class:`FlyteHostError` if the
    database cannot be used; later calls raise :class:`StoreAway`.
    """

    skip_locked = "FOR UPDATE SKIP LOCKED"
    last_event = "(SELECT currval(pg_get_serial_sequence('event', 'number')))"
    # A separate query: it runs once, and not for each row that a statement might mean.

    def __init__(
        self,
        url: str,
        password: Callable[[], str] | None = None,
        migrations: Sequence[str] = MIGRATIONS,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.closed = False
        self._time = DatabaseTime()
        self._marks = CommitMarks()
        self._listener: PostgresListener | None = None
        self._connections = PostgresConnections(url, password, patience_seconds=patience_seconds)
        with words_for_failure(url), self._connections.connect() as connection:
            _check_encoding(connection, shown_url(url))
            connect = self._connections.connect
            check_session(connection, connect, shown_url(url), seconds=patience_seconds)
            migrate(connection, shown_url(url), migrations)
            self._time.set(*connection.execute(f"SELECT {NOW}").fetchall()[0])
        self._connections.open()

    def write(self, work: Callable[[Statements], T]) -> T:
        """Run ``work`` as one transaction; raises :class:`StoreAway`."""
        with self._marks.writer() as writer:
            result = self._write(work, writer)
        self._connections.note_back()
        return result

    def _write(self, work: Callable[[Statements], T], writer: MarkedWriter) -> T:
        tries, conflicts = self._connections.tries(), 0
        while True:
            try:
                with self._connections.lend(tries) as connection:
                    return self._transact(connection, work, writer)
            except _Conflict as conflict:
                conflicts += 1
                if conflicts > MOST_CONFLICTS:
                    self._connections.check_patience(tries, conflict.reason)
            except _LostCommit as lost:
                if self._was_committed(writer, tries):
                    self.announce(lost.announced)
                    return lost.result  # type: ignore[no-any-return]
                if isinstance(lost.__cause__, TOO_LARGE):
                    raise lost.__cause__ from None
                self._connections.check_patience(tries, lost.reason)
            except ConnectionLost as lost:
                self._connections.check_patience(tries, lost.reason)

    def _transact(
        self, connection: Connection, work: Callable[[Statements], T], writer: MarkedWriter
    ) -> T:
        results: list[T] = []  # empty before the commit
        announced: Sequence[str] = ()
        try:
            with connection.pipeline() as pipeline:
                connection.execute(_BEGIN)
                statements = PipelinedStatements(connection, pipeline)
                results.append(work(statements))
                announced = statements.announced
                marked = writer.commit(connection)
                if payloads := self._payloads(announced):
                    # Only if it was committed: what follows a failure is passed over.
                    connection.execute(translate(ANNOUNCE), [payloads])
        except _CONFLICTS as error:
            _roll_back(connection)
            raise _Conflict(reason_of(error)) from error
        except AWAY as error:
            _roll_back(connection)
            if results:  # it may have come after the commit
                raise _LostCommit(reason_of(error), results[0], announced) from error
            raise
        except BaseException as error:
            _roll_back(connection)
            if isinstance(error, errors.NotNullViolation) and error.diag.table_name == "writer":
                writer.renew()
                raise ConnectionLost("another server took over") from error
            raise
        if micros := writer.note_committed(marked):
            self._time.set(micros)
        return results[0]

    def _was_committed(self, writer: MarkedWriter, tries: Tries) -> bool:
        """Whether the writer's last transaction was committed; raises :class:`StoreAway`."""
        while True:
            reason = "a commit got no answer"
            try:
                with self._connections.lend(tries) as connection:
                    was_committed = writer.settle(connection, tries.left())
                if was_committed is not None:
                    return was_committed
            except ConnectionLost as lost:
                reason = lost.reason
            self._connections.check_patience(tries, f"{reason} (what it did may be stored)")

    def read(self, work: Callable[[Statements], T]) -> T:
        """Run ``work``, whose queries all see one state; raises :class:`StoreAway`."""

        def read(connection: Connection) -> T:
            connection.execute(_BEGIN_READ)
            try:
                return work(PostgresStatements(connection))
            finally:
                if not connection.broken:
                    connection.execute("ROLLBACK")

        return self._connections.query(read)

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """All rows that ``sql``, a query, finds; raises :class:`StoreAway`."""
        return self._connections.query(
            lambda it: it.execute(translate(sql), storable(values)).fetchall()
        )

    def rows_at_once(self, sql: str, *values: Any) -> list[Any] | None:  # noqa: ARG002
        """Always None: each query is a round trip."""
        return None

    def row(self, sql: str, *values: Any) -> Any:
        """The first row that ``sql``, a query, finds, or ``None``; raises :class:`StoreAway`."""
        return self._connections.query(
            lambda it: it.execute(translate(sql), storable(values)).fetchone()
        )

    def was_changed(self) -> bool:
        """Always False: processes announce what others wait for."""
        return False

    def announce(self, texts: Iterable[str]) -> None:
        if payloads := self._payloads(texts):
            self._notify(*payloads)

    def listen(self, hear: Callable[[str], None]) -> None:
        self._listener = PostgresListener(self._connections.connect, hear)

    def clock(self) -> Clock:
        """The database's time of day, however the clocks of the processes differ."""
        return Clock(now=self._time.now)

    def size_bytes(self) -> int:
        (size,) = self.row(_SIZE)
        return int(size)

    def close(self) -> None:
        self.closed = True
        if self._listener is not None:
            self._listener.stop(self._notify)
        self._connections.close()

    def _payloads(self, texts: Iterable[str]) -> list[str]:
        """What is sent to announce ``texts``: nothing while nobody listens here."""
        return [] if self._listener is None else self._listener.payloads(list(dict.fromkeys(texts)))

    def _notify(self, *payloads: str) -> None:
        # Others find out later anyway; the work itself is done.
        with suppress(StoreAway, psycopg.Error):
            self.rows(ANNOUNCE, list(payloads))


def read_rows(url: str, password: Callable[[], str] | None, table: str, sql: str) -> list[Any]:
    """The rows of a query on ``table``, or none where it does not exist; changes nothing.

    Raises :class:`FlyteHostError`.
    """
    with words_for_failure(url), psycopg.connect(conninfo_of(url, password)) as connection:
        found = connection.execute("SELECT to_regclass(%s)", (table,)).fetchone()
        return connection.execute(sql.encode()).fetchall() if found and found[0] else []


class _Conflict(ConnectionLost):
    """Another transaction was in the way; the connection is not gone."""


class _LostCommit(ConnectionLost):
    """A connection is gone, and its commit got no answer.

    If it happened, ``result`` counts, and ``announced`` has to be announced.
    """

    def __init__(self, reason: str, result: Any, announced: Sequence[str]) -> None:
        super().__init__(reason)
        self.result = result
        self.announced = announced


def _roll_back(connection: Connection) -> None:
    """Make the connection fit for another transaction, or close it.

    After an aborted pipeline psycopg believes in statements that were never prepared. Only its own
    ``rollback`` forgets them, and only in a transaction.
    """
    with suppress(psycopg.OperationalError):
        if connection.info.transaction_status != TransactionStatus.IDLE:
            connection.rollback()
            return
    connection.close()


def _check_encoding(connection: Connection, shown: str) -> None:
    found = connection.info.parameter_status("server_encoding")
    if found != ENCODING:
        raise FlyteHostError(
            f"the store {shown} has the encoding {found}, expected {ENCODING}: create it with "
            f"CREATE DATABASE ... ENCODING '{ENCODING}' TEMPLATE template0"
        )

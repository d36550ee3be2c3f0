"""PostgreSQL: pooled connections, transactions that survive lost ones, migrations.

The store survives killed connections, restarted servers and standbys; a transaction whose commit
got no answer is neither lost nor done twice. Must not know what the tables mean.
"""

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg_pool import ConnectionPool, PoolTimeout

from flyte_host.clock import Clock
from flyte_host.embedded.commit_marks import NOW, CommitMarks, MarkedWriter
from flyte_host.embedded.database import Statements, T
from flyte_host.embedded.database_time import DatabaseTime
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
from flyte_host.embedded.store_outage import StoreOutage
from flyte_host.errors import FlyteHostError, StoreAway
from flyte_host.postgres_address import DEFAULTS, shown_url
from flyte_host.secrets import SecretMissing

# psycopg would warn of each attempt to connect; here each outage is logged once.
# The same for the second error of a pipeline.
logging.getLogger("psycopg").setLevel(logging.ERROR)

ENCODING = "UTF8"
CONNECTIONS = 10
PATIENCE_SECONDS = 5.0
"""How long a call waits for a database that was there a moment ago."""
IMPATIENCE_SECONDS = 0.5
"""How long it waits for one that is known to be away."""
MOST_CONFLICTS = 20
"""How often a transaction that collided with another one is tried again at once."""
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"  # whatever the database's default is
_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_SIZE = (
    "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class "
    "WHERE relnamespace = quote_ident(current_schema())::regnamespace AND relkind = 'r'"
)
_LOOK_FOR_CLIENT = "SELECT " + ", ".join(
    f"set_config('tcp_{name}', '{DEFAULTS[name]}', false)"
    for name in ("keepalives_idle", "keepalives_interval", "keepalives_count")
)
_CONFLICTS = (errors.SerializationFailure, errors.DeadlockDetected)
_NONE_FREE = f"no connection came free, of {CONNECTIONS}"
_ATTEMPTS = "Multiple connection attempts failed"
_ATTEMPT = re.compile(r"^(- host: .*?, hostaddr: \S+: )?(connection (failed|is bad): )?")
"""psycopg's prefix to each server's message, which names the server itself."""
_HINT = "Is the server running"
"""The start of the hint that libpq adds whenever no server answers."""
_GONE = (
    errors.ReadOnlySqlTransaction,  # the server became a standby
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.IdleInTransactionSessionTimeout,
    errors.TransactionTimeout,
)
"""After these a connection is of no more use."""
_AWAY = (*_GONE, psycopg.OperationalError, errors.InsufficientPrivilege)
"""What somebody has to mend in the database, or waits for: a full disk, a timeout, a right."""
_TOO_LARGE = errors.ProgramLimitExceeded
"""An OperationalError that belongs to the data: its text says what is too large."""


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
        self._url = url
        self._password = password
        self._patience_seconds = patience_seconds
        self._outage = StoreOutage(shown_url(url))
        self._time = DatabaseTime()
        self._marks = CommitMarks()
        self._listener: PostgresListener | None = None
        self._pool = ConnectionPool(
            self._conninfo, kwargs={"autocommit": True}, min_size=1, max_size=CONNECTIONS,
            open=False, name="flyte store", num_workers=1, reconnect_timeout=2,
            configure=_let_go_when_gone,
        )  # fmt: skip
        with words_for_failure(url), self._connect() as connection:
            _check_encoding(connection, shown_url(url))
            check_session(connection, self._connect, shown_url(url), seconds=patience_seconds)
            migrate(connection, shown_url(url), migrations)
            self._time.set(*connection.execute(f"SELECT {NOW}").fetchall()[0])
        self._pool.open()

    def write(self, work: Callable[[Statements], T]) -> T:
        """Run ``work`` as one transaction; raises :class:`StoreAway`."""
        with self._marks.writer() as writer:
            result = self._write(work, writer)
        self._outage.end()
        return result

    def _write(self, work: Callable[[Statements], T], writer: MarkedWriter) -> T:
        tried, conflicts = _Tries(self._patience()), 0
        while True:
            try:
                with self._connection(tried) as connection:
                    return self._transact(connection, work, writer)
            except _Conflict as conflict:
                conflicts += 1
                if conflicts > MOST_CONFLICTS:
                    self._check_patience(tried, conflict.reason)
            except _LostCommit as lost:
                if self._was_committed(writer, tried):
                    self.announce(lost.announced)
                    return lost.result  # type: ignore[no-any-return]
                if isinstance(lost.__cause__, _TOO_LARGE):
                    raise lost.__cause__ from None
                self._check_patience(tried, lost.reason)
            except _Lost as lost:
                self._check_patience(tried, lost.reason)

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
            raise _Conflict(_reason(error)) from error
        except _AWAY as error:
            _roll_back(connection)
            if results:  # it may have come after the commit
                raise _LostCommit(_reason(error), results[0], announced) from error
            raise
        except BaseException as error:
            _roll_back(connection)
            if isinstance(error, errors.NotNullViolation) and error.diag.table_name == "writer":
                writer.renew()
                raise _Lost("another server took over") from error
            raise
        if micros := writer.note_committed(marked):
            self._time.set(micros)
        return results[0]

    def _was_committed(self, writer: MarkedWriter, tried: "_Tries") -> bool:
        """Whether the writer's transaction was; raises :class:`StoreAway`."""
        while True:
            reason = "a commit got no answer"
            try:
                with self._connection(tried) as connection:
                    was_committed = writer.settle(connection, tried.left())
                if was_committed is not None:
                    return was_committed
            except _Lost as lost:
                reason = lost.reason
            self._check_patience(tried, f"{reason} (what it did may be stored)")

    def read(self, work: Callable[[Statements], T]) -> T:
        """Run ``work``, whose queries all see one state; raises :class:`StoreAway`."""

        def read(connection: Connection) -> T:
            connection.execute(_BEGIN_READ)
            try:
                return work(PostgresStatements(connection))
            finally:
                if not connection.broken:
                    connection.execute("ROLLBACK")

        return self._query(read)

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """All rows that ``sql``, a query, finds; raises :class:`StoreAway`."""
        return self._query(lambda it: it.execute(translate(sql), storable(values)).fetchall())

    def rows_at_once(self, sql: str, *values: Any) -> list[Any] | None:  # noqa: ARG002
        """Always None: each query is a round trip."""
        return None

    def row(self, sql: str, *values: Any) -> Any:
        """The first row that ``sql``, a query, finds, or ``None``; raises :class:`StoreAway`."""
        return self._query(lambda it: it.execute(translate(sql), storable(values)).fetchone())

    def was_changed(self) -> bool:
        """Always False: processes announce what others wait for."""
        return False

    def announce(self, texts: Iterable[str]) -> None:
        if payloads := self._payloads(texts):
            self._notify(*payloads)

    def listen(self, hear: Callable[[str], None]) -> None:
        self._listener = PostgresListener(self._connect, hear)

    def clock(self) -> Clock:
        """The database's time of day, however the clocks of the processes differ."""
        return Clock(now=self._time.now)

    def size_bytes(self) -> int:
        (size,) = self.row(_SIZE)
        return int(size)

    def problem(self) -> str:
        try:
            self.row("SELECT 1")
        except StoreAway as error:
            return str(error)
        return ""

    def close(self) -> None:
        self.closed = True
        if self._listener is not None:
            self._listener.stop(self._notify)
        self._pool.close()

    def _payloads(self, texts: Iterable[str]) -> list[str]:
        """What is sent to announce ``texts``: nothing while nobody listens here."""
        return [] if self._listener is None else self._listener.payloads(list(dict.fromkeys(texts)))

    def _notify(self, *payloads: str) -> None:
        # Others find out later anyway; the work itself is done.
        with suppress(StoreAway, psycopg.Error):
            self.rows(ANNOUNCE, list(payloads))

    # -- connections -----------------------------------------------------------------------

    def _conninfo(self) -> str:
        return _conninfo(self._url, self._password)

    def _connect(self) -> Connection:
        connection = psycopg.connect(self._conninfo(), autocommit=True)
        _let_go_when_gone(connection)
        return connection

    def _query(self, ask: Callable[[Connection], T]) -> T:
        tried = _Tries(self._patience())
        while True:
            try:
                with self._connection(tried) as connection:
                    result = ask(connection)
            except _Lost as lost:
                self._check_patience(tried, lost.reason)
                continue
            self._outage.end()
            return result

    @contextmanager
    def _connection(self, tried: "_Tries") -> Any:
        """A connection of the pool; raises :class:`_Lost` if it is lost, or there is none."""
        try:
            connection = self._pool.getconn(timeout=tried.left())
        except PoolTimeout:
            raise _Lost(self._why_away() or tried.reason or _NONE_FREE) from None
        try:
            yield connection
        except _TOO_LARGE:
            raise
        except _AWAY as error:
            if isinstance(error, _GONE):
                connection.close()
            raise _Lost(_reason(error)) from error
        finally:
            is_lost = connection.closed
            self._pool.putconn(connection)
            if is_lost:
                self._pool.check()  # most likely it was not the only one

    def _why_away(self) -> str:
        """The database's own message, which the pool does not pass on; empty if it is there."""
        try:
            self._connect().close()
        except (psycopg.Error, SecretMissing) as error:
            return _reason(error)
        return ""

    # -- outages ---------------------------------------------------------------------------

    def _patience(self) -> float:
        return IMPATIENCE_SECONDS if self._outage.is_on else self._patience_seconds

    def _check_patience(self, tried: "_Tries", reason: str) -> None:
        """Return after a moment if there is time for another try; raises :class:`StoreAway`."""
        tried.reason = reason
        if tried.left() > 0:
            time.sleep(min(0.05, tried.left()))
            return
        self._outage.begin(reason)
        raise StoreAway(f"the store is away: {reason}")


def _let_go_when_gone(connection: Connection) -> None:
    """Let the server look, too, whether this machine is still there.

    One that vanishes in the middle of a transaction would keep its locks for two hours, so long
    does TCP wait, and takes pass over what is locked.
    """
    connection.execute(_LOOK_FOR_CLIENT)


def _conninfo(url: str, password: Callable[[], str] | None) -> str:
    given = conninfo_to_dict(url)
    more = {name: value for name, value in DEFAULTS.items() if name not in given}
    more["client_encoding"] = ENCODING
    if password is not None:
        more["password"] = password()
    return make_conninfo(url, **more)


def read_rows(url: str, password: Callable[[], str] | None, table: str, sql: str) -> list[Any]:
    """The rows of a query on ``table``, or none where it does not exist; changes nothing.

    Raises :class:`FlyteHostError`.
    """
    with words_for_failure(url), psycopg.connect(_conninfo(url, password)) as connection:
        found = connection.execute("SELECT to_regclass(%s)", (table,)).fetchone()
        return connection.execute(sql.encode()).fetchall() if found and found[0] else []


@contextmanager
def words_for_failure(url: str) -> Iterator[None]:
    """What keeps a database from being used becomes a :class:`FlyteHostError`."""
    try:
        yield
    except SecretMissing as error:
        raise FlyteHostError(f"the store {shown_url(url)} cannot be used: {error}") from None
    except psycopg.Error as error:
        raise FlyteHostError(
            f"the store {shown_url(url)} cannot be used: {_reason(error)}; expected a PostgreSQL "
            "database that this user may write to"
        ) from None


class _Lost(Exception):
    """A connection is gone, and with it what its transaction did."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Conflict(_Lost):
    """Another transaction was in the way; the connection is not gone."""


class _LostCommit(_Lost):
    """A connection is gone, and its commit got no answer.

    If it happened, ``result`` counts, and ``announced`` has to be announced.
    """

    def __init__(self, reason: str, result: Any, announced: Sequence[str]) -> None:
        super().__init__(reason)
        self.result = result
        self.announced = announced


class _Tries:
    """How long one call keeps trying."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self.reason = ""
        """Why the last try failed."""

    def left(self) -> float:
        return max(0.0, self._until - time.monotonic())


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


def _reason(error: BaseException) -> str:
    """The database's words in one line, each server's once."""
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return error.diag.message_primary
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    heads = [number for number, line in enumerate(lines) if line.startswith(_ATTEMPTS)]
    tried = lines[heads[0] + 1 :] if heads else lines
    return "; ".join(_ATTEMPT.sub("", line) for line in tried if not line.startswith(_HINT))


def _check_encoding(connection: Connection, shown: str) -> None:
    found = connection.info.parameter_status("server_encoding")
    if found != ENCODING:
        raise FlyteHostError(
            f"the store {shown} has the encoding {found}, expected {ENCODING}: create it with "
            f"CREATE DATABASE ... ENCODING '{ENCODING}' TEMPLATE template0"
        )

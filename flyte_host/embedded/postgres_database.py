"""PostgreSQL: pooled connections, transactions that survive lost ones, migrations.

The store survives killed connections, restarted servers and standbys; a transaction whose commit
got no answer is neither lost nor done twice. Must not know what the tables mean.
"""

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool, PoolTimeout

from flyte_host.clock import Clock
from flyte_host.embedded.commit_marks import FORGET, NOW, TABLE, CommitMarks, MarkedWriter
from flyte_host.embedded.database import Statements, T
from flyte_host.embedded.database_time import DatabaseTime
from flyte_host.embedded.postgres_listener import ANNOUNCE, PostgresListener
from flyte_host.embedded.postgres_schema import MIGRATIONS
from flyte_host.embedded.postgres_statements import (
    Connection,
    PipelinedStatements,
    PostgresStatements,
    advisory_lock,
    storable,
    translate,
)
from flyte_host.errors import FlyteHostError, StoreAway
from flyte_host.postgres_address import DEFAULTS, shown_url
from flyte_host.secrets import SecretMissing

log = logging.getLogger("flyte_host.embedded")
# psycopg would warn of each attempt to connect; here each outage is logged once.
# The same for the second error of a pipeline.
logging.getLogger("psycopg").setLevel(logging.ERROR)

CONNECTIONS = 10
PATIENCE_SECONDS = 5.0
"""How long a call waits for a database that was there a moment ago."""
IMPATIENCE_SECONDS = 0.5
"""How long it waits for one that is known to be away."""
MOST_CONFLICTS = 20
"""How often a transaction that collided with another one is tried again."""
_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_SIZE = (
    "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class "
    "WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
)
_LOOK_FOR_CLIENT = "SELECT " + ", ".join(
    f"set_config('tcp_{name}', '{DEFAULTS[name]}', false)"
    for name in ("keepalives_idle", "keepalives_interval", "keepalives_count")
)
_CONFLICTS = (errors.SerializationFailure, errors.DeadlockDetected)
_ATTEMPTS = "Multiple connection attempts failed"
_ATTEMPT = re.compile(r"^(- host: .*?, hostaddr: \S+: )?(connection (failed|is bad): )?")
"""psycopg's prefix to each server's message, which names the server itself."""
_HINT = "Is the server running"
"""The start of the hint that libpq adds whenever no server answers."""
_LOST = (
    errors.ReadOnlySqlTransaction,  # the server became a standby
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.IdleInTransactionSessionTimeout,
)


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
        self._away: _Outage | None = None
        self._away_lock = Lock()
        self._time = DatabaseTime()
        self._marks = CommitMarks()
        self._listener: PostgresListener | None = None
        self._pool = ConnectionPool(
            self._conninfo, kwargs={"autocommit": True}, min_size=1, max_size=CONNECTIONS,
            open=False, name="flyte store", num_workers=1, reconnect_timeout=2,
            configure=_let_go_when_gone,
        )  # fmt: skip
        with words_for_failure(url), self._connect() as connection:
            _migrate(connection, shown_url(url), migrations)
            self._time.set(*connection.execute(f"SELECT {NOW}").fetchall()[0])
        self._pool.open()

    def write(self, work: Callable[[Statements], T]) -> T:
        """Run ``work`` as one transaction; raises :class:`StoreAway`."""
        with self._marks.writer() as writer:
            result = self._write(work, writer)
        self._note_back()
        return result

    def _write(self, work: Callable[[Statements], T], writer: MarkedWriter) -> T:
        tried, conflicts = _Tries(self._patience()), 0
        while True:
            try:
                with self._connection(tried) as connection:
                    return self._transact(connection, work, writer)
            except _CONFLICTS:
                conflicts += 1
                if conflicts > MOST_CONFLICTS:
                    raise
            except _LostCommit as lost:
                if self._was_committed(writer, tried):
                    self.announce(lost.announced)
                    return lost.result  # type: ignore[no-any-return]
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
                connection.execute("BEGIN")
                statements = PipelinedStatements(connection, pipeline)
                results.append(work(statements))
                announced = statements.announced
                marked = writer.commit(connection)
                if payloads := self._payloads(announced):
                    # Only if it was committed: what follows a failure is passed over.
                    connection.execute(translate(ANNOUNCE), [payloads])
        except _CONFLICTS:
            _roll_back(connection)
            raise
        except psycopg.OperationalError as error:
            if results:
                connection.close()
                raise _LostCommit(_reason(error), results[0], announced) from error
            _roll_back(connection)
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
        """Whether the writer's last transaction was committed; raises :class:`StoreAway`."""
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
        with suppress(StoreAway):
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
            self._note_back()
            return result

    @contextmanager
    def _connection(self, tried: "_Tries") -> Any:
        """A connection of the pool; raises :class:`_Lost` if it is lost, or there is none."""
        try:
            connection = self._pool.getconn(timeout=tried.left())
        except PoolTimeout:
            raise _Lost(self._why_away()) from None
        try:
            yield connection
        except _LOST as error:
            connection.close()
            raise _Lost(_reason(error)) from error
        except psycopg.OperationalError as error:
            if not connection.closed:
                raise
            raise _Lost(_reason(error)) from error
        finally:
            is_lost = connection.closed
            self._pool.putconn(connection)
            if is_lost:
                self._pool.check()  # most likely it was not the only one

    def _why_away(self) -> str:
        """The database's own message, which the pool does not pass on."""
        try:
            self._connect().close()
        except (psycopg.Error, SecretMissing) as error:
            return _reason(error)
        return f"no connection came free, of {CONNECTIONS}"

    # -- outages ---------------------------------------------------------------------------

    def _patience(self) -> float:
        return self._patience_seconds if self._away is None else IMPATIENCE_SECONDS

    def _check_patience(self, tried: "_Tries", reason: str) -> None:
        """Return after a moment if there is time for another try; raises :class:`StoreAway`."""
        if tried.left() > 0:
            time.sleep(min(0.05, tried.left()))
            return
        with self._away_lock:
            if self._away is None:
                self._away = _Outage(time.monotonic())
                log.warning(
                    "the store %s is away: %s; requests are answered with 503 until it is back",
                    shown_url(self._url), reason,
                )  # fmt: skip
        raise StoreAway(f"the store is away: {reason}")

    def _note_back(self) -> None:
        if self._away is None:
            return
        with self._away_lock:
            outage, self._away = self._away, None
        if outage is not None:
            seconds = time.monotonic() - outage.since
            log.info("the store %s is back after %.1f s", shown_url(self._url), seconds)


def _let_go_when_gone(connection: Connection) -> None:
    """Have the server check, too, that this machine is still there.

    If it vanished in the middle of a transaction, its locks would last as long as TCP waits, which
    is two hours, and takes skip what is locked.
    """
    connection.execute(_LOOK_FOR_CLIENT)


def _conninfo(url: str, password: Callable[[], str] | None) -> str:
    given = conninfo_to_dict(url)
    more = {name: value for name, value in DEFAULTS.items() if name not in given}
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


class _Outage:
    """When the database was first found away, by the monotonic clock."""

    def __init__(self, since: float) -> None:
        self.since = since


class _Lost(Exception):
    """A connection is gone, and with it what its transaction did."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


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

    def left(self) -> float:
        return max(0.0, self._until - time.monotonic())


def _roll_back(connection: Connection) -> None:
    try:
        connection.execute("ROLLBACK")
    except psycopg.OperationalError:
        connection.close()


def _reason(error: BaseException) -> str:
    """The database's words in one line, each server's once."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    heads = [number for number, line in enumerate(lines) if line.startswith(_ATTEMPTS)]
    tried = lines[heads[0] + 1 :] if heads else lines
    return "; ".join(_ATTEMPT.sub("", line) for line in tried if not line.startswith(_HINT))


def _migrate(connection: Connection, shown: str, migrations: Sequence[str]) -> None:
    """One process migrates, others wait for it."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", advisory_lock("migrate"))
        connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
        connection.execute(TABLE)
        connection.execute(FORGET)
        (version,) = connection.execute(
            "SELECT coalesce(max(version), 0) FROM schema_version"
        ).fetchall()[0]
        if version > len(migrations):
            raise FlyteHostError(
                f"the store {shown} has schema {version}, this flyte-host knows up to "
                f"{len(migrations)}; use the newer flyte-host that wrote it"
            )
        for script in migrations[version:]:
            connection.execute(script.encode())
        if version < len(migrations):
            connection.execute("DELETE FROM schema_version")
            connection.execute("INSERT INTO schema_version VALUES (%s)", (len(migrations),))

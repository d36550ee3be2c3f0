"""Pooled connections to PostgreSQL, and how long callers wait while it is away.

Owns which errors mean that the database cannot be used, and what is said of them. Must not know
what connections are used for.
"""

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool, PoolTimeout

from flyte_host.embedded.database import T
from flyte_host.embedded.postgres_statements import Connection
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
_LOOK_FOR_CLIENT = "SELECT " + ", ".join(
    f"set_config('tcp_{name}', '{DEFAULTS[name]}', false)"
    for name in ("keepalives_idle", "keepalives_interval", "keepalives_count")
)
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
AWAY = (*_GONE, psycopg.OperationalError, errors.InsufficientPrivilege)
"""What passes, or somebody has to fix in the database: a full disk, a timeout, a missing right."""
TOO_LARGE = errors.ProgramLimitExceeded
"""An OperationalError that belongs to the data: its text says what is too large."""


class ConnectionLost(Exception):
    """A connection is gone, and with it what its transaction did."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Tries:
    """How long one call keeps trying."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self.reason = ""
        """Why the last try failed."""

    def left(self) -> float:
        return max(0.0, self._until - time.monotonic())


class PostgresConnections:
    """Safe from any thread. ``password`` is asked whenever a connection is made."""

    def __init__(
        self,
        url: str,
        password: Callable[[], str] | None,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._url = url
        self._password = password
        self.patience_seconds = patience_seconds
        self._outage = StoreOutage(shown_url(url))
        self._pool = ConnectionPool(
            self._conninfo, kwargs={"autocommit": True}, min_size=1, max_size=CONNECTIONS,
            open=False, name="flyte store", num_workers=1, reconnect_timeout=2,
            configure=_let_go_when_gone,
        )  # fmt: skip

    def open(self) -> None:
        """Lend connections from now on."""
        self._pool.open()

    def close(self) -> None:
        """Close them all."""
        self._pool.close()

    def connect(self) -> Connection:
        """A connection that the caller closes."""
        connection = psycopg.connect(self._conninfo(), autocommit=True)
        _let_go_when_gone(connection)
        return connection

    def query(self, ask: Callable[[Connection], T]) -> T:
        """Ask again while connections are lost; raises :class:`StoreAway`."""
        tries = self.tries()
        while True:
            try:
                with self.lend(tries) as connection:
                    result = ask(connection)
            except ConnectionLost as lost:
                self.check_patience(tries, lost.reason)
                continue
            self.note_back()
            return result

    def tries(self) -> Tries:
        """How long a call that begins now keeps trying."""
        return Tries(IMPATIENCE_SECONDS if self._outage.is_on else self.patience_seconds)

    @contextmanager
    def lend(self, tries: Tries) -> Iterator[Connection]:
        """A pooled connection; raises :class:`ConnectionLost` if it is lost, or there is none."""
        try:
            connection = self._pool.getconn(timeout=tries.left())
        except PoolTimeout:
            raise ConnectionLost(self._why_away() or tries.reason or _NONE_FREE) from None
        try:
            yield connection
        except TOO_LARGE:
            raise
        except AWAY as error:
            if isinstance(error, _GONE):
                connection.close()
            raise ConnectionLost(reason_of(error)) from error
        finally:
            is_lost = connection.closed
            self._pool.putconn(connection)
            if is_lost:
                self._pool.check()  # most likely it was not the only one

    def check_patience(self, tries: Tries, reason: str) -> None:
        """Return after a moment if there is time for another try; raises :class:`StoreAway`."""
        tries.reason = reason
        if tries.left() > 0:
            time.sleep(min(0.05, tries.left()))
            return
        self._outage.begin(reason)
        raise StoreAway(f"the store is away: {reason}")

    def note_back(self) -> None:
        """The database has answered."""
        self._outage.end()

    def _why_away(self) -> str:
        """The database's own message, which the pool does not pass on; empty if it is there."""
        try:
            self.connect().close()
        except (psycopg.Error, SecretMissing) as error:
            return reason_of(error)
        return ""

    def _conninfo(self) -> str:
        return conninfo_of(self._url, self._password)


def _let_go_when_gone(connection: Connection) -> None:
    """Have the server check, too, that this machine is still there.

    If it vanished in the middle of a transaction, its locks would last as long as TCP waits, which
    is two hours, and takes skip what is locked.
    """
    connection.execute(_LOOK_FOR_CLIENT)


def conninfo_of(url: str, password: Callable[[], str] | None) -> str:
    """``url`` with the password, and defaults for what it leaves open."""
    given = conninfo_to_dict(url)
    more = {name: value for name, value in DEFAULTS.items() if name not in given}
    more["client_encoding"] = ENCODING
    if password is not None:
        more["password"] = password()
    return make_conninfo(url, **more)


@contextmanager
def words_for_failure(url: str) -> Iterator[None]:
    """What keeps a database from being used becomes a :class:`FlyteHostError`."""
    try:
        yield
    except SecretMissing as error:
        raise FlyteHostError(f"the store {shown_url(url)} cannot be used: {error}") from None
    except psycopg.Error as error:
        raise FlyteHostError(
            f"the store {shown_url(url)} cannot be used: {reason_of(error)}; expected a PostgreSQL "
            "database that this user may write to"
        ) from None


def reason_of(error: BaseException) -> str:
    """The database's words in one line, each server's once."""
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return error.diag.message_primary
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    heads = [number for number, line in enumerate(lines) if line.startswith(_ATTEMPTS)]
    tried = lines[heads[0] + 1 :] if heads else lines
    return "; ".join(_ATTEMPT.sub("", line) for line in tried if not line.startswith(_HINT))

"""What the host owes flyte, on disk: taken → result → delivered or parked, and events.

Owns the SQLite file; the only module that knows SQL. Must not know why something is delivered or
parked. Every method is one transaction: a killed process loses nothing that a method accepted. All
but ``delivered`` are on disk when they return, so a power cut can only make deliveries repeat.
"""

import fcntl
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import IO

from flyte_host.errors import FlyteHostError
from flyte_host.model import Taken

SCHEMA_VERSION = 1
KEEP_DELIVERED = 10_000
"""How many delivered actions stay readable; older ones are forgotten."""

_SCHEMA = """
CREATE TABLE action (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    instance TEXT NOT NULL,
    pack TEXT NOT NULL,
    id TEXT NOT NULL,
    command TEXT NOT NULL,
    input BLOB NOT NULL,
    result_href TEXT NOT NULL,
    taken_at TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 1,
    state TEXT NOT NULL DEFAULT 'taken' CHECK (state IN ('taken','result','delivered','parked')),
    result BLOB,
    replaced INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    changed_at TEXT NOT NULL
);
CREATE INDEX action_by_state ON action (state, number);
CREATE TABLE event (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    instance TEXT NOT NULL,
    body BLOB NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting','parked')),
    reason TEXT NOT NULL DEFAULT '',
    changed_at TEXT NOT NULL
);
CREATE INDEX event_by_state ON event (state, number);
"""


class JournalError(FlyteHostError):
    """The journal's file cannot be used; the text says which file, why, and what to do."""


class Kind(StrEnum):
    """What is delivered to flyte."""

    RESULT = "result"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class OpenAction:
    """An action without a result. ``instance`` is the pack's name in the configuration."""

    number: int
    instance: str
    pack: str
    taken: Taken
    taken_at: datetime
    attempt: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """A result or an event on its way; the fields of an action are empty for an event.

    ``replaced``: the body is a FATAL of the host in place of a result that flyte would not have.
    """

    kind: Kind
    number: int
    instance: str
    body: bytes
    pack: str = ""
    command: str = ""
    action_id: str = ""
    result_href: str = ""
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """What is open, by state, and since when the oldest undelivered entry waits."""

    taken: int
    results: int
    events: int
    parked: int
    oldest_waiting: datetime | None


class Journal:
    """The open file; safe to use from any thread."""

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        keep_delivered: int = KEEP_DELIVERED,
    ) -> None:
        self._path = path
        self.now = now
        self._keep_delivered = keep_delivered
        self._lock = threading.Lock()
        self._owner = _own(path)
        try:
            self._db = _open(path)
        except BaseException:
            self._owner.close()
            raise

    def close(self) -> None:
        """Close the file and let another host have it."""
        with self._lock:
            self._db.close()
            self._owner.close()

    def take(self, instance: str, pack: str, taken: Taken) -> OpenAction:
        """Remember an action before its handler starts."""
        at = self.now()
        with self._transaction() as db:
            cursor = db.execute(
                "INSERT INTO action (instance, pack, id, command, input, result_href, taken_at,"
                " changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (instance, pack, taken.id, taken.command, taken.input, taken.result_href,
                 at.isoformat(), at.isoformat()),
            )  # fmt: skip
        return OpenAction(int(cursor.lastrowid or 0), instance, pack, taken, at, 1)

    def again(self, number: int) -> None:
        """Count one more attempt at an action that a restart cut off."""
        self._set(
            "UPDATE action SET attempt = attempt + 1, changed_at = ? WHERE number = ?", number
        )

    def finish(self, number: int, body: bytes, *, replaced: bool = False) -> Delivery:
        """Keep an action's result until it is delivered or parked."""
        with self._transaction() as db:
            db.execute(
                "UPDATE action SET state = 'result', result = ?, replaced = ?, changed_at = ?"
                " WHERE number = ?",
                (body, replaced, self.now().isoformat(), number),
            )
            return _result(db, number)

    def emit(self, instance: str, body: bytes) -> Delivery:
        """Keep an event until it is delivered or parked."""
        with self._transaction() as db:
            cursor = db.execute(
                "INSERT INTO event (instance, body, changed_at) VALUES (?, ?, ?)",
                (instance, body, self.now().isoformat()),
            )
        return Delivery(Kind.EVENT, int(cursor.lastrowid or 0), instance, body)

    def delivered(self, delivery: Delivery) -> None:
        """flyte has it: an event is forgotten, an action kept among the delivered ones.

        The disk has it with the next call of another method: a flush for each would be what bounds
        how fast a backlog is delivered.
        """
        with self._transaction(flush=False) as db:
            if delivery.kind is Kind.EVENT:
                db.execute("DELETE FROM event WHERE number = ?", (delivery.number,))
                return
            db.execute(
                "UPDATE action SET state = 'delivered', changed_at = ? WHERE number = ?",
                (self.now().isoformat(), delivery.number),
            )
            db.execute(
                "DELETE FROM action WHERE state = 'delivered' AND number <= ?",
                (delivery.number - self._keep_delivered,),
            )

    def park(self, delivery: Delivery, reason: str) -> None:
        """Stop delivering but keep it, with the reason, for a person to decide."""
        table = "event" if delivery.kind is Kind.EVENT else "action"
        with self._transaction() as db:
            db.execute(
                f"UPDATE {table} SET state = 'parked', reason = ?, changed_at = ?"  # noqa: S608
                " WHERE number = ?",
                (reason, self.now().isoformat(), delivery.number),
            )

    def unfinished(self) -> list[OpenAction]:
        """Actions without a result, oldest first: what the last run of the host left open."""
        with self._transaction() as db:
            rows = db.execute(
                "SELECT number, instance, pack, id, command, input, result_href, taken_at, attempt"
                " FROM action WHERE state = 'taken' ORDER BY number"
            ).fetchall()
        return [
            OpenAction(row[0], row[1], row[2], Taken(*row[3:7]), datetime.fromisoformat(row[7]),
                       row[8])
            for row in rows
        ]  # fmt: skip

    def undelivered(self) -> Iterator[Delivery]:
        """Results, then events, oldest first, without their bodies: read those with ``read``."""
        with self._transaction() as db:
            results = db.execute(
                "SELECT number, instance FROM action WHERE state = 'result' ORDER BY number"
            ).fetchall()
            events = db.execute(
                "SELECT number, instance FROM event WHERE state = 'waiting' ORDER BY number"
            ).fetchall()
        for number, instance in results:
            yield Delivery(Kind.RESULT, number, instance, b"")
        for number, instance in events:
            yield Delivery(Kind.EVENT, number, instance, b"")

    def read(self, kind: Kind, number: int) -> Delivery:
        """One entry with its body."""
        with self._transaction() as db:
            if kind is Kind.RESULT:
                return _result(db, number)
            row = db.execute("SELECT instance, body FROM event WHERE number = ?", (number,))
            instance, body = row.fetchone()
        return Delivery(kind, number, instance, body)

    def counts(self) -> Counts:
        """How much is open."""
        with self._transaction() as db:
            actions = dict(
                db.execute(
                    "SELECT state, count(*) FROM action WHERE state <> 'delivered' GROUP BY state"
                ).fetchall()
            )
            events = dict(db.execute("SELECT state, count(*) FROM event GROUP BY state").fetchall())
            oldest = db.execute(
                "SELECT min(at) FROM (SELECT min(changed_at) AS at FROM action"
                " WHERE state = 'result'"
                " UNION ALL SELECT min(changed_at) FROM event WHERE state = 'waiting')"
            ).fetchone()[0]
        return Counts(
            actions.get("taken", 0),
            actions.get("result", 0),
            events.get("waiting", 0),
            actions.get("parked", 0) + events.get("parked", 0),
            None if oldest is None else datetime.fromisoformat(oldest),
        )

    def _set(self, statement: str, number: int) -> None:
        with self._transaction() as db:
            db.execute(statement, (self.now().isoformat(), number))

    @contextmanager
    def _transaction(self, *, flush: bool = True) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute(f"PRAGMA synchronous = {'FULL' if flush else 'NORMAL'}")
                with self._db:
                    yield self._db
            except sqlite3.Error as error:
                raise _unusable(self._path, error) from error


def _result(db: sqlite3.Connection, number: int) -> Delivery:
    found = db.execute(
        "SELECT instance, result, pack, command, id, result_href, replaced FROM action"
        " WHERE number = ?",
        (number,),
    )
    instance, body, pack, command, action_id, href, replaced = found.fetchone()
    return Delivery(
        Kind.RESULT, number, instance, body, pack, command, action_id, href, bool(replaced)
    )


def _own(path: Path) -> IO[bytes]:
    """A lock on a file beside the journal: two writers would deliver everything twice."""
    beside = path.with_name(path.name + ".lock")
    try:
        owner = beside.open("ab")
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner.close()
        raise JournalError(
            f"journal {path}: another flyte-host uses it; give each host a [host] state of its own"
        ) from error
    return owner


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.touch(mode=0o600)  # inputs and results are nobody else's; SQLite's side files follow
        db = sqlite3.connect(path, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise _unusable(path, error) from error
    try:
        db.execute("PRAGMA journal_mode = WAL")
        _migrate(db, path)
    except sqlite3.Error as error:
        db.close()
        raise _unusable(path, error) from error
    except JournalError:
        db.close()
        raise
    return db


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    elif version != SCHEMA_VERSION:
        raise JournalError(
            f"journal {path}: found schema {version}, this flyte-host writes {SCHEMA_VERSION}; "
            "run the flyte-host that wrote it, or set another [host] state"
        )


def _unusable(path: Path, error: Exception) -> JournalError:
    return JournalError(
        f"journal {path}: {error}; flyte-host takes no action that it cannot write down: "
        "check the folder's permissions and free space, or set another [host] state"
    )

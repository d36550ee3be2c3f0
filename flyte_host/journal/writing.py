"""The journal of a running host.

Owns every change of the file by the host itself, and whether it can be written at all. Must not
know why something is delivered or parked. Every method is one transaction: a killed process loses
nothing that a method accepted. All but ``delivered`` are on disk when they return: a power cut can
only make deliveries repeat.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from flyte_host.journal.entries import Counts, Delivery, Kind, OpenAction
from flyte_host.journal.opening import (
    JournalClosed,
    JournalError,
    identity,
    open_for_host,
    own,
    unusable,
)
from flyte_host.journal.retention import Retention
from flyte_host.model import Taken

log = logging.getLogger(__name__)

PROBE_BYTES = 65_536
"""How much must fit before the journal accepts anything again: more than most actions need."""


class EntryGone(Exception):
    """The entry does not wait any more: somebody dropped it while the host ran."""


class Journal:
    """The open file; safe to use from any thread."""

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        retention: Retention | None = None,
    ) -> None:
        self._path = path
        self.now = now
        self._retention = retention or Retention()
        self._lock = threading.Lock()
        self._closed = False
        self._problem = ""
        self._owner = own(path)
        try:
            self._db = open_for_host(path)
        except BaseException:
            self._owner.close()
            raise
        self._version = 0
        self._identity = identity(path)
        try:
            self._probe()
            self._identity = identity(path)
            self.changed_by_others()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file and let another host have it."""
        with self._lock:
            self._closed = True
            self._db.close()
            self._owner.close()

    def trouble(self) -> str:
        """Why nothing new can be accepted now; empty if it can, as far as is known.

        After a failed write every call tries a small one: so the journal is used again as soon as
        it can be.
        """
        try:
            if self._closed:
                raise self._stopped()
            self._check_place()
            if self._problem:
                self._probe()
        except JournalError as error:
            return str(error)
        return ""

    def changed_by_others(self) -> bool:
        """Whether people changed entries (by ``flyte-host journal``) since the last such look."""
        with self._reading() as db:
            version = int(db.execute("PRAGMA data_version").fetchone()[0])
            changed, self._version = version != self._version, version
        return changed

    def take(self, instance: str, pack: str, taken: Taken) -> OpenAction:
        """Remember an action before its handler starts."""
        at = self.now()
        with self._accepting() as db:
            cursor = db.execute(
                "INSERT INTO action (instance, pack, id, command, input, result_href, taken_at,"
                " changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (instance, pack, taken.id, taken.command, taken.input, taken.result_href,
                 at.isoformat(), at.isoformat()),
            )  # fmt: skip
        return OpenAction(int(cursor.lastrowid or 0), instance, pack, taken, at, 1)

    def again(self, number: int) -> None:
        """Count one more attempt at an action that a restart cut off."""
        with self._writing() as db:
            db.execute(
                "UPDATE action SET attempt = attempt + 1, changed_at = ? WHERE number = ?",
                (self.now().isoformat(), number),
            )

    def finish(self, number: int, body: bytes, *, replaced: bool = False) -> Delivery:
        """Keep an action's result until it is delivered or parked; raises EntryGone."""
        with self._writing() as db:
            db.execute(
                "UPDATE action SET state = 'result', result = ?, replaced = ?, changed_at = ?"
                " WHERE number = ?",
                (body, replaced, self.now().isoformat(), number),
            )
            return _result(db, number)

    def emit(self, instance: str, body: bytes) -> Delivery:
        """Keep an event until it is delivered or parked."""
        with self._accepting() as db:
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
        with self._writing(flush=False) as db:
            if delivery.kind is Kind.EVENT:
                db.execute("DELETE FROM event WHERE number = ?", (delivery.number,))
            else:
                db.execute(
                    "UPDATE action SET state = 'delivered', changed_at = ? WHERE number = ?",
                    (self.now().isoformat(), delivery.number),
                )
            self._retention.apply(db, self.now())

    def park(self, delivery: Delivery, reason: str) -> None:
        """Stop delivering but keep it, with the reason, for a person to decide."""
        table = "event" if delivery.kind is Kind.EVENT else "action"
        with self._writing() as db:
            db.execute(
                f"UPDATE {table} SET state = 'parked', reason = ?, changed_at = ?"  # noqa: S608
                " WHERE number = ?",
                (reason, self.now().isoformat(), delivery.number),
            )

    def unfinished(self) -> list[OpenAction]:
        """Actions without a result, oldest first: what the last run of the host left open."""
        with self._reading() as db:
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
        with self._reading() as db:
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
        """What waits, with its body; raises EntryGone if it waits no more."""
        with self._reading() as db:
            if kind is Kind.RESULT:
                return _result(db, number)
            row = db.execute(
                "SELECT instance, body FROM event WHERE number = ? AND state = 'waiting'", (number,)
            ).fetchone()
        if row is None:
            raise EntryGone
        return Delivery(kind, number, *row)

    def counts(self) -> Counts:
        """How much is open."""
        with self._reading() as db:
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

    def left(self) -> int:
        """How many actions, results and events are open for the next run."""
        counts = self.counts()
        return counts.taken + counts.results + counts.events

    def _probe(self) -> None:
        """Write what an action needs, and take it back: number 0 is no action's."""
        with self._writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO action (number, instance, pack, id, command, input,"
                " result_href, taken_at, state, changed_at)"
                " VALUES (0, '', '', '', '', zeroblob(?), '', '', 'delivered', '')",
                (PROBE_BYTES,),
            )
        with self._writing() as db:
            db.execute("DELETE FROM action WHERE number = 0")

    @contextmanager
    def _accepting(self) -> Iterator[sqlite3.Connection]:
        """A transaction that takes on something new: it would be gone with a deleted file.

        What the file held before it was deleted can still be delivered: SQLite has it open.
        """
        if not self._closed:
            self._check_place()
        with self._writing() as db:
            yield db

    def _check_place(self) -> None:
        if not self._is_in_place():
            error = JournalError(
                f"journal {self._path}: the file was deleted or replaced while flyte-host runs; "
                "flyte-host takes no action that it cannot write down: put it back, or restart "
                "flyte-host; what it held is delivered until then"
            )
            self._note(error)
            raise error

    def _is_in_place(self) -> bool:
        return identity(self._path) == self._identity

    def _note(self, error: JournalError) -> None:
        if not self._problem:
            log.critical("no action is taken until it can be written down: %s", error)
        self._problem = str(error)

    def _stopped(self) -> JournalClosed:
        return JournalClosed(f"journal {self._path}: closed, since the host stops")

    @contextmanager
    def _writing(self, *, flush: bool = True) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                with self._transaction(flush=flush) as db:
                    yield db
            except JournalClosed:
                raise
            except JournalError as error:
                self._note(error)
                raise
            if self._problem and self._is_in_place():
                self._problem = ""
                log.info("the journal can be written again")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._transaction() as db:
            yield db

    @contextmanager
    def _transaction(self, *, flush: bool = True) -> Iterator[sqlite3.Connection]:
        if self._closed:
            raise self._stopped()
        try:
            self._db.execute(f"PRAGMA synchronous = {'FULL' if flush else 'NORMAL'}")
            with self._db:
                yield self._db
        except sqlite3.Error as error:
            raise unusable(self._path, error) from error


def _result(db: sqlite3.Connection, number: int) -> Delivery:
    row = db.execute(
        "SELECT instance, result, pack, command, id, result_href, replaced FROM action"
        " WHERE number = ? AND state = 'result'",
        (number,),
    ).fetchone()
    if row is None:
        raise EntryGone
    instance, body, pack, command, action_id, href, replaced = row
    return Delivery(
        Kind.RESULT, number, instance, body, pack, command, action_id, href, bool(replaced)
    )

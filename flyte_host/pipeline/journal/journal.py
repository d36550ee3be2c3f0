"""The journal of a running host.

Owns every change of an entry by the host itself. Must not know why something is delivered or
parked, nor how the file is kept open and in use by many threads; that is ``file``. Every method is
one transaction: a killed process loses nothing that a method accepted. All but ``delivered`` are on
disk when they return: a power cut can only make deliveries repeat.
"""

import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from flyte_host.model import Taken
from flyte_host.pipeline.journal.connection import Connection
from flyte_host.pipeline.journal.entries import Counts, Delivery, Kind, OpenAction
from flyte_host.pipeline.journal.retention import Retention


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
        self._file = Connection(path)
        self.now = now
        self._retention = retention or Retention()

    def close(self) -> None:
        """Close the file and let another host have it."""
        self._file.close()

    def trouble(self) -> str:
        """Why nothing new can be accepted now; empty if it can, as far as is known.

        After a failed write every call tries a small one: so the journal is used again as soon as
        it can be.
        """
        return self._file.trouble()

    def changed_by_others(self) -> bool:
        """Whether people changed entries (by ``flyte-host journal``) since the last such look."""
        return self._file.changed_by_others()

    def take(self, pack_key: str, pack: str, taken: Taken) -> OpenAction:
        """Remember an action before its handler starts."""
        at = self.now()
        with self._file.accepting() as db:
            cursor = db.execute(
                "INSERT INTO action (instance, pack, id, command, input, result_href, taken_at,"
                " changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (pack_key, pack, taken.id, taken.command, taken.input, taken.result_href,
                 at.isoformat(), at.isoformat()),
            )  # fmt: skip
        return OpenAction(int(cursor.lastrowid or 0), pack_key, pack, taken, at, 1)

    def again(self, number: int) -> None:
        """Count one more attempt at an action that a restart cut off."""
        with self._file.writing() as db:
            db.execute(
                "UPDATE action SET attempt = attempt + 1, changed_at = ? WHERE number = ?",
                (self.now().isoformat(), number),
            )

    def finish(self, number: int, body: bytes, *, replaced: bool = False) -> Delivery:
        """Keep an action's result until it is delivered or parked; raises EntryGone."""
        with self._file.writing() as db:
            db.execute(
                "UPDATE action SET state = 'result', result = ?, replaced = ?, changed_at = ?"
                " WHERE number = ?",
                (body, replaced, self.now().isoformat(), number),
            )
            return _result(db, number)

    def emit(self, pack_key: str, body: bytes) -> Delivery:
        """Keep an event until it is delivered or parked."""
        with self._file.accepting() as db:
            cursor = db.execute(
                "INSERT INTO event (instance, body, changed_at) VALUES (?, ?, ?)",
                (pack_key, body, self.now().isoformat()),
            )
        return Delivery(Kind.EVENT, int(cursor.lastrowid or 0), pack_key, body)

    def delivered(self, delivery: Delivery) -> None:
        """flyte has it: an event is forgotten, an action kept among the delivered ones.

        The disk has it with the next call of another method: a flush for each would be what bounds
        how fast a backlog is delivered.
        """
        with self._file.writing(flush=False) as db:
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
        with self._file.writing() as db:
            db.execute(
                f"UPDATE {table} SET state = 'parked', reason = ?, changed_at = ?"  # noqa: S608
                " WHERE number = ?",
                (reason, self.now().isoformat(), delivery.number),
            )

    def unfinished(self) -> list[OpenAction]:
        """Actions without a result, oldest first: what the last run of the host left open."""
        with self._file.reading() as db:
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
        with self._file.reading() as db:
            results = db.execute(
                "SELECT number, instance FROM action WHERE state = 'result' ORDER BY number"
            ).fetchall()
            events = db.execute(
                "SELECT number, instance FROM event WHERE state = 'waiting' ORDER BY number"
            ).fetchall()
        for number, pack_key in results:
            yield Delivery(Kind.RESULT, number, pack_key, b"")
        for number, pack_key in events:
            yield Delivery(Kind.EVENT, number, pack_key, b"")

    def read(self, kind: Kind, number: int) -> Delivery:
        """What waits, with its body; raises EntryGone if it waits no more."""
        with self._file.reading() as db:
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
        with self._file.reading() as db:
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


def _result(db: sqlite3.Connection, number: int) -> Delivery:
    row = db.execute(
        "SELECT instance, result, pack, command, id, result_href, replaced FROM action"
        " WHERE number = ? AND state = 'result'",
        (number,),
    ).fetchone()
    if row is None:
        raise EntryGone
    pack_key, body, pack, command, action_id, href, replaced = row
    return Delivery(
        Kind.RESULT, number, pack_key, body, pack, command, action_id, href, bool(replaced)
    )

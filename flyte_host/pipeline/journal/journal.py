"""The journal of a running host.

Owns every change of an entry by the host itself. Must not know why something is delivered or
parked or how many threads share the file; that is ``connection``. Every method is one
transaction: a killed process loses nothing that a method accepted. All but ``delivered`` are on
disk when they return: a power cut can only make deliveries repeat.
"""

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec

from flyte_host.clock import Clock
from flyte_host.model import Taken
from flyte_host.pipeline.journal.connection import Connection
from flyte_host.pipeline.journal.entries import Backlog, Delivery, Kind, OpenAction, Owed
from flyte_host.pipeline.journal.errors import EntryGone, JournalClosed, JournalError
from flyte_host.pipeline.journal.group_commit import Meanwhile
from flyte_host.pipeline.journal.queries import (
    count_open,
    find_delivery,
    find_undelivered,
    find_unfinished,
)
from flyte_host.pipeline.journal.retention import Retention
from flyte_host.pipeline.journal.statements import (
    DeliveredRow,
    FinishedRow,
    forget_events,
    insert_taken,
    mark_delivered,
    write_results,
)
from flyte_host.pipeline.journal.unwritten_results import UnwrittenResults
from flyte_host.wait import Steps

log = logging.getLogger(__name__)

_AGAIN = "UPDATE action SET attempt = ?, changed_at = ? WHERE number = ?"
_REPLACE = (
    "UPDATE action SET result = ?, replaced = 1, changed_at = ?"
    " WHERE number = ? AND state = 'result'"
)
_EMIT = "INSERT INTO event (instance, body, changed_at, trace) VALUES (?, ?, ?, ?)"
_PARK = {
    Kind.RESULT: "UPDATE action SET state = 'parked', reason = ?, changed_at = ? WHERE number = ?",
    Kind.EVENT: "UPDATE event SET state = 'parked', reason = ?, changed_at = ? WHERE number = ?",
}


class Journal:
    """The open file; safe to use from any thread."""

    def __init__(self, path: Path, clock: Clock, *, retention: Retention | None = None) -> None:
        self.path = path
        self._file = Connection(path)
        self.clock = clock
        self._retention = retention or Retention()
        self._deliveries_until_step = 1
        self._unwritten = UnwrittenResults()

    def close(self) -> None:
        """Close the file and let another host have it."""
        lost = len(self._unwritten)
        self._file.close()
        if lost:
            log.critical(
                "results lost, since journal %s could not be written: %d; "
                "the next start treats their actions as cut off",
                self.path,
                lost,
            )

    def problem(self) -> str:
        """Why nothing new can be accepted now; empty if it can, as far as is known.

        After a failed write every call tries a small one, so the journal is used again as soon as
        it can be.
        """
        problem = self._file.problem()
        if problem and self.unwritten:
            problem += f"; finished results that wait in memory for it: {self.unwritten}"
        return problem

    @property
    def unwritten(self) -> int:
        """How many finished results are in memory only: the journal could not be written."""
        return len(self._unwritten)

    def unwritten_of(self, pack_key: str) -> int:
        """How many of them are the pack's."""
        return self._unwritten.of(pack_key) if self._unwritten else 0

    def changed_by_others(self) -> bool:
        """Whether people changed entries (by ``flyte-host journal``) since the last such look."""
        return self._file.changed_by_others()

    def taking(self, pack_key: str, pack: str, taken: Taken) -> Steps[OpenAction]:
        """Remember an action before its handler starts."""
        at = self.clock.now()
        told = at.isoformat()
        values = (
            pack_key, pack, taken.id, taken.command, taken.input, taken.result_href, told, told,
            None if taken.step is None else msgspec.json.encode(taken.step), taken.trace,
        )  # fmt: skip
        number: int = yield from self._file.accepting(insert_taken, values)
        return OpenAction(number, pack_key, pack, taken, at, 1)

    def again(self, opened: OpenAction) -> OpenAction:
        """Count one more attempt at an action that a restart cut off."""
        attempt = opened.attempt + 1
        values = (attempt, self._now(), opened.number)
        self._file.write(lambda db: db.execute(_AGAIN, values))
        return OpenAction(
            opened.number, opened.pack_key, opened.pack, opened.taken, opened.taken_at, attempt
        )

    def finishing(self, opened: OpenAction, body: bytes) -> Steps[Delivery]:
        """Keep an action's result until it is delivered or parked; raises EntryGone.

        After a JournalError the result waits in memory for :meth:`catch_up`.
        """
        row = FinishedRow(opened.number, body, self._now(), opened.taken.trace)
        try:
            found = yield from self._file.writing(write_results, row)
        except JournalClosed:
            raise
        except JournalError:
            self._unwritten.keep(opened, body)
            raise
        if not found:
            raise EntryGone
        return _delivery(opened, body)

    def finish_all(self, results: Iterable[tuple[OpenAction, bytes]]) -> list[Delivery]:
        """Like :meth:`finishing` in one transaction; leaves out what is gone, keeps nothing."""
        pairs = list(results)
        now = self._now()
        rows = [FinishedRow(opened.number, body, now, opened.taken.trace) for opened, body in pairs]
        found = self._file.write(lambda db: write_results(db, rows))
        return [_delivery(*pair) for pair, is_there in zip(pairs, found, strict=True) if is_there]

    def catch_up(self) -> list[Delivery]:
        """Write the results that had to wait in memory, until one of them still must."""
        deliveries = []
        while (result := self._unwritten.first()) is not None:
            opened, body = result
            try:
                row = FinishedRow(opened.number, body, self._now(), opened.taken.trace)
                found = self._file.write(partial(write_results, rows=[row]), is_repeat=True)
            except JournalError:
                self._unwritten.keep(opened, body)  # behind the others, which may fare better
                break
            self._unwritten.remove(opened)
            if all(found):
                deliveries.append(_delivery(opened, body))
        return deliveries

    def replace(self, delivery: Delivery, body: bytes) -> None:
        """Put a FATAL in place of a result that flyte refused; raises EntryGone."""
        values = (body, self._now(), delivery.number)
        if not self._file.write(lambda db: db.execute(_REPLACE, values).rowcount):
            raise EntryGone

    def emit(self, pack_key: str, body: bytes, trace: str = "") -> Delivery:
        """Keep an event until it is delivered or parked."""
        values = (pack_key, body, self._now(), trace)
        number = self._file.accept(lambda db: db.execute(_EMIT, values).lastrowid)
        return Delivery(Kind.EVENT, int(number or 0), pack_key, body, trace=trace)

    def delivering(self, delivery: Delivery) -> Steps[None]:
        """Remember that flyte has it: forget an event, keep an action among the delivered ones.

        A kill does not undo it, a power cut may: the disk has it with the next write of another
        method. A flush for each would limit how fast a backlog is delivered.
        """
        row = DeliveredRow(delivery.number, self.clock.now())
        is_event = delivery.kind is Kind.EVENT
        statement = self._forget_events if is_event else self._mark_delivered
        yield from self._file.writing(statement, row, flush=False)

    def write_waiting(self, meanwhile: Meanwhile) -> None:
        """Write what workers have begun to write; the caller is busy with it ``meanwhile``."""
        self._file.write_waiting(meanwhile)

    def _mark_delivered(self, db: sqlite3.Connection, rows: Sequence[DeliveredRow]) -> list[None]:
        mark_delivered(db, rows)
        return self._tidy(db, rows)

    def _forget_events(self, db: sqlite3.Connection, rows: Sequence[DeliveredRow]) -> list[None]:
        forget_events(db, rows)
        return self._tidy(db, rows)

    def _tidy(self, db: sqlite3.Connection, rows: Sequence[DeliveredRow]) -> list[None]:
        self._deliveries_until_step -= len(rows)
        if self._deliveries_until_step <= 0:
            self._deliveries_until_step = self._retention.deliveries_a_step
            self._retention.apply(db, rows[-1].at)
        return [None] * len(rows)

    def park(self, delivery: Delivery, reason: str) -> None:
        """Stop delivering but keep it, with the reason, for a person to decide."""
        values = (reason, self._now(), delivery.number)
        self._file.write(lambda db: db.execute(_PARK[delivery.kind], values))

    def unfinished(self) -> list[OpenAction]:
        """Actions without a result, oldest first: what the last run of the host left open."""
        return self._file.read(find_unfinished)

    def undelivered(self) -> list[Owed]:
        """What waits for delivery: results, then events, oldest first."""
        return self._file.read(find_undelivered)

    def read(self, owed: Owed) -> Delivery:
        """The delivery, with its body; raises EntryGone if it no longer waits."""
        delivery = self._file.read(partial(find_delivery, owed=owed))
        if delivery is None:
            raise EntryGone
        return delivery

    def backlog(self) -> Backlog:
        """How much is open."""
        return replace(self._file.read(count_open), unwritten=len(self._unwritten))

    def left(self) -> int:
        """How many actions, results and events are open for the next run."""
        backlog = self.backlog()
        return backlog.taken + backlog.results + backlog.events

    def _now(self) -> str:
        return self.clock.now().isoformat()


def _delivery(opened: OpenAction, body: bytes) -> Delivery:
    return Delivery(
        Kind.RESULT, opened.number, opened.pack_key, body, opened.pack, opened.taken.command,
        opened.taken.id, opened.taken.result_href, step=opened.taken.step,
        trace=opened.taken.trace,
    )  # fmt: skip

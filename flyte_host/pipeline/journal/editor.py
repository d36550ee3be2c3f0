"""The journal as people see and change it, whether a host runs on the file or not.

Owns what may be retried and dropped. Must not know how a person asks for it. A running host notices
each change within seconds: see ``Journal.changed_by_others``.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from flyte_host.clock import Clock
from flyte_host.pipeline.journal.entries import Contents, Entry, Kind, State, entry_name
from flyte_host.pipeline.journal.errors import JournalError, unvisitable
from flyte_host.pipeline.journal.open import open_for_visit

Numbered = tuple[Kind, int]

_STATE = "CASE state WHEN 'result' THEN 'waiting' ELSE state END"
# Number 0 is the host's probe.
_ENTRIES = f"""
SELECT 'result' AS kind, number, instance, command, id, {_STATE} AS state, changed_at, reason
FROM action WHERE number > 0
UNION ALL SELECT 'event', number, instance, '', '', state, changed_at, reason FROM event
"""  # noqa: S608  nothing of it is from outside
_CONTENTS = {
    Kind.RESULT: "SELECT taken_at, attempt, replaced, input, result, step, trace FROM action"
    " WHERE number = ?",
    Kind.EVENT: "SELECT NULL, 1, 0, NULL, body, NULL, trace FROM event WHERE number = ?",
}
_RETRY = {
    Kind.RESULT: "UPDATE action SET state = 'result', reason = '', changed_at = ? WHERE number = ?",
    Kind.EVENT: "UPDATE event SET state = 'waiting', reason = '', changed_at = ? WHERE number = ?",
}
_DROP = {
    Kind.RESULT: "DELETE FROM action WHERE number = ?",
    Kind.EVENT: "DELETE FROM event WHERE number = ?",
}


class Editor:
    """One visit to a journal, for one thread; every method raises JournalError."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._db = open_for_visit(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def entries(self, states: Iterable[State], pack_key: str | None = None) -> list[Entry]:
        """Entries in one of the states, of one pack or of all; actions first, oldest first."""
        wanted = list(states)
        marks = ", ".join("?" * len(wanted))
        query = f"SELECT * FROM ({_ENTRIES}) WHERE state IN ({marks})"  # noqa: S608
        if pack_key is not None:
            query += " AND instance = ?"
        values = [*wanted, *([] if pack_key is None else [pack_key])]
        with self._transaction() as db:
            rows = db.execute(f"{query} ORDER BY kind DESC, number", values).fetchall()
        return [_entry(row) for row in rows]

    def of_action(self, action_id: str) -> tuple[Entry, int] | None:
        """The entry of an action, and how often it was begun; None if the file has none."""
        query = "SELECT number, attempt FROM action WHERE id = ? ORDER BY number DESC LIMIT 1"
        with self._transaction() as db:
            row = db.execute(query, (action_id,)).fetchone()
            return None if row is None else (self._find(db, (Kind.RESULT, row[0])), row[1])

    def contents(self, which: Numbered) -> Contents:
        """All of one entry."""
        with self._transaction() as db:
            entry = self._find(db, which)
            taken_at, attempt, replaced, *rest = db.execute(
                _CONTENTS[which[0]], (which[1],)
            ).fetchone()
        at = None if taken_at is None else datetime.fromisoformat(taken_at)
        return Contents(entry, at, attempt, bool(replaced), *rest)

    def retry(self, numbered: Iterable[Numbered]) -> None:
        """Let parked entries wait for delivery again: all of those named, or none."""
        with self._transaction("BEGIN IMMEDIATE") as db:
            for kind, number in numbered:
                entry = self._find(db, (kind, number))
                if entry.state is not State.PARKED:
                    raise self._refusal(f"{entry.name} is {entry.state}, only parked entries can "
                                        "be retried")  # fmt: skip
                db.execute(_RETRY[kind], (self._clock.now().isoformat(), number))

    def drop(self, numbered: Iterable[Numbered]) -> None:
        """Forget entries: all of those named, or none."""
        with self._transaction("BEGIN IMMEDIATE") as db:
            for kind, number in numbered:
                entry = self._find(db, (kind, number))
                if entry.state is State.TAKEN:
                    raise self._refusal(f"{entry.name} is taken: it ends when its handler does, or "
                                        "at the next start of flyte-host serve")  # fmt: skip
                db.execute(_DROP[kind], (number,))

    def _find(self, db: sqlite3.Connection, which: Numbered) -> Entry:
        query = f"SELECT * FROM ({_ENTRIES}) WHERE kind = ? AND number = ?"  # noqa: S608
        row = db.execute(query, which).fetchone()
        if row is None:
            raise self._refusal(f"there is no {entry_name(*which)}; flyte-host journal list --all "
                                "shows what there is")  # fmt: skip
        return _entry(row)

    def _refusal(self, text: str) -> JournalError:
        return JournalError(f"journal {self._path}: {text}")

    @contextmanager
    def _transaction(self, begin: str = "BEGIN") -> Iterator[sqlite3.Connection]:
        try:
            with self._db:
                self._db.execute(begin)  # one view of it all, also for what only reads
                yield self._db
        except sqlite3.Error as error:
            raise unvisitable(self._path, error) from error


def _entry(row: tuple[Any, ...]) -> Entry:
    kind, number, pack_key, command, action_id, state, since, reason = row
    return Entry(
        Kind(kind), number, pack_key, command, action_id, State(state),
        datetime.fromisoformat(since), reason,
    )  # fmt: skip

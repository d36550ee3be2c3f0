"""What the host writes for every action, in SQL: once for all writes of a group.

Owns these statements. Must not know who writes or when. Python gives up the interpreter's lock
for each step of a statement, which costs far more than the step if other threads want it: so one
statement has the values of many writes.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

_T = TypeVar("_T")

AT_ONCE = 32
"""How many writes one statement has at most; each number of them is a statement of its own."""

_TAKE = (
    "INSERT INTO action (instance, pack, id, command, input, result_href, taken_at, changed_at,"
    " step, trace) VALUES "
)
_TAKE_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class FinishedRow(NamedTuple):
    """The result of the action with that number, and the trace context in which it came to it."""

    number: int
    body: bytes
    changed_at: str
    trace: str


class DeliveredRow(NamedTuple):
    """The entry with that number, which flyte has."""

    number: int
    at: datetime


def insert_taken(db: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> list[int]:
    """The numbers of new actions."""
    numbers: list[int] = []
    for some in _parts(rows):
        query = _TAKE + ", ".join([_TAKE_ROW] * len(some))
        last = db.execute(query, [value for row in some for value in row]).lastrowid or 0
        numbers += range(last - len(some) + 1, last + 1)
    return numbers


def write_results(db: sqlite3.Connection, rows: Sequence[FinishedRow]) -> list[bool]:
    """Which actions were still there.

    Not only those that are 'taken': a write whose flush failed is repeated, though the file may
    have it.
    """
    found: list[bool] = []
    for some in _parts(rows):
        numbers = [row.number for row in some]
        among, cases = f"number IN ({_marks(some)})", " ".join(["WHEN ? THEN ?"] * len(some))
        query = (
            "UPDATE action SET state = 'result', changed_at = ?,"  # noqa: S608  marks only
            f" result = CASE number {cases} END, trace = CASE number {cases} END"
            f" WHERE {among} AND state IN ('taken', 'result')"
        )
        bodies = [value for row in some for value in (row.number, row.body)]
        traces = [value for row in some for value in (row.number, row.trace)]
        values = [some[-1].changed_at, *bodies, *traces, *numbers]
        changed = db.execute(query, values).rowcount
        if changed == len(set(numbers)):
            found += [True] * len(some)
        else:
            query = f"SELECT number FROM action WHERE {among} AND state = 'result'"  # noqa: S608
            there = {number for (number,) in db.execute(query, numbers)}
            found += [number in there for number in numbers]
    return found


def mark_delivered(db: sqlite3.Connection, rows: Sequence[DeliveredRow]) -> None:
    """Keep actions among the delivered ones."""
    for some in _parts(rows):
        query = (
            "UPDATE action SET state = 'delivered', changed_at = ?"  # noqa: S608  marks only
            f" WHERE number IN ({_marks(some)})"
        )
        db.execute(query, [some[-1].at.isoformat(), *(row.number for row in some)])


def forget_events(db: sqlite3.Connection, rows: Sequence[DeliveredRow]) -> None:
    """Delete events."""
    for some in _parts(rows):
        query = f"DELETE FROM event WHERE number IN ({_marks(some)})"  # noqa: S608  marks only
        db.execute(query, [row.number for row in some])


def _parts(rows: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(rows), AT_ONCE):
        yield rows[start : start + AT_ONCE]


def _marks(rows: Sequence[object]) -> str:
    return ", ".join("?" * len(rows))

"""What the host reads of its own entries, in SQL.

Owns these queries, and what their rows mean. Must not know who asks.
"""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from flyte_host.model import StepRun, Taken
from flyte_host.pipeline.journal.entries import Backlog, Delivery, Kind, OpenAction, Owed

_UNFINISHED = (
    "SELECT number, instance, pack, id, command, input, result_href, taken_at, attempt, step, trace"
    " FROM action WHERE state = 'taken' ORDER BY number"
)
_UNDELIVERED = {
    Kind.RESULT: "SELECT instance, number FROM action WHERE state = 'result' ORDER BY number",
    Kind.EVENT: "SELECT instance, number FROM event WHERE state = 'waiting' ORDER BY number",
}
_READ = {
    Kind.RESULT: "SELECT result, pack, command, id, result_href, replaced, step, trace FROM action"
    " WHERE number = ? AND state = 'result'",
    Kind.EVENT: "SELECT body, trace FROM event WHERE number = ? AND state = 'waiting'",
}
_OLDEST_WAITING = (
    "SELECT min(at) FROM (SELECT min(changed_at) AS at FROM action WHERE state = 'result'"
    " UNION ALL SELECT min(changed_at) FROM event WHERE state = 'waiting')"
)


def find_unfinished(db: sqlite3.Connection) -> list[OpenAction]:
    """Actions without a result, oldest first."""
    return [_opened(row) for row in db.execute(_UNFINISHED).fetchall()]


def find_undelivered(db: sqlite3.Connection) -> list[Owed]:
    """What waits for delivery: results, then events, oldest first."""
    return [
        Owed(kind, pack_key, number)
        for kind, query in _UNDELIVERED.items()
        for pack_key, number in db.execute(query).fetchall()
    ]


def find_delivery(db: sqlite3.Connection, owed: Owed) -> Delivery | None:
    """The delivery, with its body; None if it no longer waits."""
    kind, pack_key, number = owed
    row: tuple[Any, ...] | None = db.execute(_READ[kind], (number,)).fetchone()
    if row is None:
        return None
    if kind is Kind.EVENT:
        return Delivery(kind, number, pack_key, row[0], trace=row[1])
    body, pack, command, action_id, href, replaced, step, trace = row
    return Delivery(
        kind, number, pack_key, body, pack, command, action_id, href, bool(replaced),
        _step(step), trace,
    )  # fmt: skip


def count_open(db: sqlite3.Connection) -> Backlog:
    """How much is open in the file."""
    actions = dict(
        db.execute(
            "SELECT state, count(*) FROM action WHERE state <> 'delivered' GROUP BY state"
        ).fetchall()
    )
    events = dict(db.execute("SELECT state, count(*) FROM event GROUP BY state").fetchall())
    oldest = db.execute(_OLDEST_WAITING).fetchone()[0]
    return Backlog(
        actions.get("taken", 0),
        actions.get("result", 0),
        events.get("waiting", 0),
        actions.get("parked", 0) + events.get("parked", 0),
        None if oldest is None else datetime.fromisoformat(oldest),
    )


def _opened(row: Sequence[Any]) -> OpenAction:
    """From a row of _UNFINISHED."""
    number, pack_key, pack, action_id, command, document, href, taken_at, attempt, step, trace = row
    taken = Taken(action_id, command, document, href, _step(step), trace)
    return OpenAction(number, pack_key, pack, taken, datetime.fromisoformat(taken_at), attempt)


def _step(document: bytes | None) -> StepRun | None:
    return None if document is None else msgspec.json.decode(document, type=StepRun)

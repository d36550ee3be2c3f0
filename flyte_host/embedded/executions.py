"""Executions, actions and skipped steps in SQLite.

Owns their SQL, the state machine NEW → PENDING → SUCCESS or FATAL, and their removal. Must not
know why an action is made.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from enum import Enum
from sqlite3 import Connection
from typing import Any

import msgspec

from flyte_host.clock import Clock
from flyte_host.embedded.database import Database, from_millis, to_millis
from flyte_host.embedded.ids import Ids
from flyte_host.embedded.model import (
    FATAL,
    NEW,
    PENDING,
    SUCCESS,
    ActionState,
    Decision,
    FlowAction,
    Labels,
    NewAction,
    PackEvent,
    PackIdentity,
    StepFact,
    fits,
)
from flyte_host.embedded.sweep_clock import SweepClock

SWEPT_AT_ONCE = 20
"""How many executions one write removes at most: more than it adds on average."""

_STATES = msgspec.json.Decoder(list[ActionState])


class FinishOutcome(Enum):
    """What became of a result."""

    DONE = "done"
    NOT_PENDING = "not pending"
    STALE = "decided on facts that have changed since"


class Executions:
    """Every method is one transaction and may be called from any thread."""

    def __init__(
        self,
        database: Database,
        ids: Ids,
        clock: Clock,
        *,
        ttl_seconds: float,
    ) -> None:
        self._database = database
        self._ids = ids
        self._now = clock.now
        (newest,) = database.row("SELECT max(changed) FROM execution")
        self._sweep_clock = SweepClock(clock, None if newest is None else from_millis(newest))
        self._ttl = timedelta(seconds=ttl_seconds)

    # -- actions and results ---------------------------------------------------------------

    def take(self, pack: PackIdentity, command: str) -> FlowAction | None:
        """Give out the oldest action that waits for ``pack`` (and ``command``, unless empty)."""
        with self._database.write() as db:
            number = _oldest_waiting(db, pack, command)
            if number is None:
                return None
            self._change(db, number, PENDING, None)
            return to_action(db.execute(f"{SELECT_ACTION} WHERE number = ?", (number,)).fetchone())

    def action(self, action_id: str) -> FlowAction | None:
        row = self._database.row(f"{SELECT_ACTION} WHERE id = ?", action_id)
        return to_action(row) if row else None

    def facts(self, correlation_id: str) -> list[StepFact]:
        with self._database.read() as db:
            return _facts(db, correlation_id)

    def record(self, decisions: Sequence[Decision]) -> None:
        """Keep everything that one event decided, in one commit."""
        with self._database.write() as db:
            self._sweep(db)
            self._insert(db, decisions, _insert_event(db, decisions[0].trigger))

    def finish(
        self,
        action_id: str,
        result: PackEvent,
        seen: Sequence[StepFact],
        decisions: Sequence[Decision],
    ) -> FinishOutcome:
        """Finish the action and keep everything that its result decided, in one commit.

        ``seen`` are the facts that the decisions rest on; if they have changed since, nothing is
        stored.
        """
        state = FATAL if result.name == FATAL else SUCCESS
        with self._database.write() as db:
            row = db.execute(
                "SELECT number, correlation_id, state FROM action WHERE id = ?", (action_id,)
            ).fetchone()
            if row is None or row[2] != PENDING:
                return FinishOutcome.NOT_PENDING
            if _facts(db, row[1]) != seen:
                return FinishOutcome.STALE
            event = _insert_event(db, result)
            self._change(db, row[0], state, event)
            self._sweep(db)
            self._insert(db, decisions, event)
        return FinishOutcome.DONE

    def _change(self, db: Connection, number: int, state: str, result_event: int | None) -> None:
        time = self._now()
        (correlation_id,) = db.execute(
            "UPDATE action SET state = ?, states = json_insert(states, '$[#]', json(?)), "
            "result_event = ? WHERE number = ? RETURNING correlation_id",
            (
                state,
                msgspec.json.encode(ActionState(state, time)).decode(),
                result_event,
                number,
            ),
        ).fetchone()
        db.execute(
            "UPDATE execution SET changed = ? WHERE correlation_id = ?",
            (to_millis(time), correlation_id),
        )

    def _insert(self, db: Connection, decisions: Sequence[Decision], event: int) -> None:
        """Store the decisions on one event, which is stored already."""
        time = self._now()
        millis = to_millis(time)
        db.executemany(
            "INSERT INTO execution (correlation_id, flow_uuid, flow_name, changed) "
            "VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET changed = excluded.changed",
            [(each.correlation_id, each.flow_uuid, each.flow_name, millis) for each in decisions],
        )
        db.executemany(
            _INSERT_ACTION,
            [
                self._action_row(decision.correlation_id, action, event, time)
                for decision in decisions
                for action in decision.actions
            ],
        )
        db.executemany(
            "INSERT INTO skipped (correlation_id, step_id, event_number, reason, time) "
            "VALUES (?, ?, ?, ?, ?)",
            [
                (decision.correlation_id, step.step_id, event, step.reason, millis)
                for decision in decisions
                for step in decision.skipped
            ],
        )

    def _action_row(
        self, correlation_id: str, action: NewAction, event: int, time: datetime
    ) -> tuple[Any, ...]:
        return (
            self._ids.next(),
            correlation_id,
            action.step_number,
            action.step_id,
            action.name,
            action.pack_name,
            _labels_text(action.pack_labels),
            NEW,
            msgspec.json.encode([ActionState(NEW, time)]).decode(),
            msgspec.json.encode(action.input),
            msgspec.json.encode(action.context),
            event,
        )

    # -- removal ---------------------------------------------------------------------------

    def _sweep(self, db: Connection) -> None:
        """Remove a few old executions, and old versions of flows that no execution uses."""
        before = to_millis(self._sweep_clock.now() - self._ttl)
        old = db.execute(
            "SELECT correlation_id FROM execution WHERE changed < ? ORDER BY changed LIMIT ?",
            (before, SWEPT_AT_ONCE),
        ).fetchall()
        events = [row for execution in old for row in db.execute(_EVENTS_OF, execution * 3)]
        db.executemany("DELETE FROM execution WHERE correlation_id = ?", old)
        db.executemany(_DELETE_UNUSED_EVENT, [row * 4 for row in events])
        db.execute(
            "DELETE FROM flow_version WHERE uuid IN (SELECT uuid FROM flow_version "
            "WHERE replaced < ? AND NOT EXISTS "
            "(SELECT 1 FROM execution WHERE flow_uuid = uuid) LIMIT ?)",
            (before, SWEPT_AT_ONCE),
        )


SELECT_ACTION = (
    "SELECT id, name, pack_name, pack_labels, input, states, action.correlation_id, flow_name, "
    "flow_uuid, step_id, context FROM action JOIN execution "
    "ON execution.correlation_id = action.correlation_id"
)
LABELS, INPUT, STATES, CONTEXT = 3, 4, 5, 10
"""Where these columns are in a row of :data:`SELECT_ACTION`."""
_EVENTS_OF = (
    "SELECT trigger_event FROM action WHERE correlation_id = ? "
    "UNION SELECT result_event FROM action WHERE correlation_id = ? AND result_event IS NOT NULL "
    "UNION SELECT event_number FROM skipped WHERE correlation_id = ?"
)
_DELETE_UNUSED_EVENT = (
    "DELETE FROM event WHERE number = ? "
    "AND NOT EXISTS (SELECT 1 FROM action WHERE trigger_event = ?) "
    "AND NOT EXISTS (SELECT 1 FROM action WHERE result_event = ?) "
    "AND NOT EXISTS (SELECT 1 FROM skipped WHERE event_number = ?)"
)
_INSERT_ACTION = (
    "INSERT INTO action (id, correlation_id, step_number, step_id, name, pack_name, pack_labels, "
    "state, states, input, context, trigger_event) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def to_action(row: Sequence[Any]) -> FlowAction:
    """The action in a row of :data:`SELECT_ACTION`."""
    fields = list(row)
    for column in (LABELS, INPUT, CONTEXT):
        fields[column] = msgspec.json.decode(fields[column])
    fields[STATES] = _STATES.decode(fields[STATES])
    return FlowAction(*fields)


def _insert_event(db: Connection, event: PackEvent) -> int:
    """Store an event once for all that refers to it; returns its number."""
    document = msgspec.json.encode(event)
    (number,) = db.execute(
        "INSERT INTO event (document) VALUES (?) RETURNING number", (document,)
    ).fetchone()
    return int(number)


def _facts(db: Connection, correlation_id: str) -> list[StepFact]:
    rows = db.execute(
        "SELECT step_id, state FROM action WHERE correlation_id = ? ORDER BY number",
        (correlation_id,),
    )
    return [StepFact(step_id, state) for step_id, state in rows]


def _oldest_waiting(db: Connection, pack: PackIdentity, command: str) -> int | None:
    """The number of the oldest waiting action whose labels ``pack`` has.

    Looks at one index row for each set of labels among the waiting actions, not at each action:
    a long queue for other labels does not slow this pack down.
    """
    numbers = [
        number
        for labels in _waiting_labels(db, pack.name)
        if fits(json.loads(labels), pack.labels)
        and (number := _first(db, pack.name, labels, command)) is not None
    ]
    return min(numbers, default=None)


def _waiting_labels(db: Connection, pack_name: str) -> Iterator[str]:
    labels = ""
    while True:
        (found,) = db.execute(
            "SELECT min(pack_labels) FROM action "
            "WHERE state = 'NEW' AND pack_name = ? AND pack_labels > ?",
            (pack_name, labels),
        ).fetchone()
        if found is None:
            return
        labels = found
        yield labels


def _first(db: Connection, pack_name: str, labels: str, command: str) -> int | None:
    waiting = "SELECT min(number) FROM action WHERE state = 'NEW' AND pack_name = ? AND "
    row = (
        db.execute(f"{waiting} pack_labels = ? AND name = ?", (pack_name, labels, command))
        if command
        else db.execute(f"{waiting} pack_labels = ?", (pack_name, labels))
    ).fetchone()
    number: int | None = row[0]
    return number


def _labels_text(labels: Labels) -> str:
    return msgspec.json.encode(labels, order="sorted").decode()

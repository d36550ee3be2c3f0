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
from flyte_host.embedded.model import (
    FATAL,
    NEW,
    PENDING,
    SUCCESS,
    ActionState,
    AwaitedAction,
    Decision,
    FlowAction,
    Labels,
    NewAction,
    PackEvent,
    PackIdentity,
    StepFact,
    TakenAction,
    fits,
)
from flyte_host.embedded.pongo2.nanosecond_time import to_microseconds
from flyte_host.embedded.sweep_clock import SweepClock

SWEPT_AT_ONCE = 20
"""How many executions one write removes at most: more than it adds on average."""

_STATES = msgspec.json.Decoder(list[ActionState])
_EVENTS = msgspec.json.Encoder(enc_hook=to_microseconds)


class FinishOutcome(Enum):
    """What became of a result."""

    DONE = "done"
    NOT_PENDING = "not pending"
    STALE = "decided on facts that have changed since"


class _Unfinished(Exception):
    def __init__(self, outcome: FinishOutcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Executions:
    """Every method is one transaction and may be called from any thread."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        ttl_seconds: float,
    ) -> None:
        self._database = database
        self._now = clock.now
        (newest,) = database.row("SELECT max(changed) FROM execution")
        self._sweep_clock = SweepClock(clock, None if newest is None else from_millis(newest))
        self._ttl = timedelta(seconds=ttl_seconds)

    # -- actions and results ---------------------------------------------------------------

    def take(self, pack: PackIdentity, command: str) -> TakenAction | None:
        """Give out the oldest action that waits for ``pack`` (and ``command``, unless empty)."""
        # Most takes find nothing, and those need no transaction.
        while (number := self._oldest_waiting(pack, command)) is not None:
            time = self._now()
            with self._database.write() as db:
                row = db.execute(_TAKE, (_state_text(PENDING, time), number)).fetchone()
                if row is None:
                    continue  # another take came first
                correlation_id = row[4]
                (flow,) = db.execute(_TOUCH, (to_millis(time), correlation_id)).fetchone()
            return TakenAction(
                row[0], row[1], msgspec.json.decode(row[2]), flow, row[3], correlation_id
            )
        return None

    def _oldest_waiting(self, pack: PackIdentity, command: str) -> int | None:
        with self._database.look() as db:
            return _oldest_waiting(db, pack, command)

    def waiting(self) -> list[tuple[str, Labels]]:
        """The names and labels of packs for which actions wait, each once."""
        rows = self._database.rows(
            "SELECT DISTINCT pack_name, pack_labels FROM action WHERE state = 'NEW'"
        )
        return [(name, msgspec.json.decode(labels)) for name, labels in rows]

    def awaited(self, action_id: str) -> AwaitedAction | None:
        """The action as its result finds it."""
        row = self._database.row(_SELECT_AWAITED, action_id)
        if row is None:
            return None
        fields = list(row)
        for column in (2, 7):  # labels and context
            fields[column] = msgspec.json.decode(fields[column])
        return AwaitedAction(*fields)

    def facts(self, correlation_id: str) -> tuple[int, list[StepFact]]:
        """The revision of an execution, and what is known of its steps; -1 if it was removed."""
        with self._database.read() as db:
            row = db.execute(
                "SELECT revision FROM execution WHERE correlation_id = ?", (correlation_id,)
            ).fetchone()
            rows = db.execute(
                "SELECT step_id, state FROM action WHERE correlation_id = ?", (correlation_id,)
            ).fetchall()
        return (row[0] if row else -1), [StepFact(*row) for row in rows]

    def record(self, decisions: Sequence[Decision]) -> None:
        """Keep everything that one event decided, in one commit."""
        with self._database.write() as db:
            self._sweep(db)
            self._insert(db, decisions, _insert_event(db, decisions[0].trigger))

    def finish(
        self, action: AwaitedAction, result: PackEvent, decisions: Sequence[Decision]
    ) -> FinishOutcome:
        """Finish the action and keep everything that its result decided, in one commit.

        The decisions rest on the revision of ``action``; if there is another one since, nothing is
        stored.
        """
        try:
            with self._database.write() as db:
                event = _insert_event(db, result)
                self._finish(db, action, result, event)
                self._sweep(db)
                self._insert(db, decisions, event)
        except _Unfinished as unfinished:
            return unfinished.outcome
        return FinishOutcome.DONE

    def _finish(self, db: Connection, action: AwaitedAction, result: PackEvent, event: int) -> None:
        """Raises _Unfinished, so that nothing of the transaction stays."""
        time = self._now()
        state = FATAL if result.name == FATAL else SUCCESS
        ending = (state, _state_text(state, time), event, action.id)
        if not db.execute(_FINISH, ending).rowcount:
            raise _Unfinished(FinishOutcome.NOT_PENDING)
        counting = (to_millis(time), action.correlation_id, action.revision)
        if not db.execute(_COUNT_UP, counting).rowcount:
            raise _Unfinished(FinishOutcome.STALE)

    def _insert(self, db: Connection, decisions: Sequence[Decision], event: int) -> None:
        """Store the decisions on one event, which is stored already."""
        if not decisions:
            return
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
            action.id,
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
        if old:
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
_TAKE = (
    "UPDATE action SET state = 'PENDING', states = json_insert(states, '$[#]', json(?)) "
    "WHERE number = ? AND state = 'NEW' RETURNING id, name, input, step_id, correlation_id"
)
_TOUCH = "UPDATE execution SET changed = ? WHERE correlation_id = ? RETURNING flow_name"
_FINISH = (
    "UPDATE action SET state = ?, states = json_insert(states, '$[#]', json(?)), result_event = ? "
    "WHERE id = ? AND state = 'PENDING'"
)
_COUNT_UP = (
    "UPDATE execution SET changed = ?, revision = revision + 1 "
    "WHERE correlation_id = ? AND revision = ?"
)
_SELECT_AWAITED = (
    "SELECT id, pack_name, pack_labels, state, action.correlation_id, flow_uuid, step_id, context, "
    "revision FROM action JOIN execution ON execution.correlation_id = action.correlation_id "
    "WHERE id = ?"
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
    document = _EVENTS.encode(event)
    (number,) = db.execute(
        "INSERT INTO event (document) VALUES (?) RETURNING number", (document,)
    ).fetchone()
    return int(number)


def _oldest_waiting(db: Connection, pack: PackIdentity, command: str) -> int | None:
    """The number of the oldest waiting action whose labels ``pack`` has.

    Looks at one index row for each set of labels among the waiting actions, not at each action:
    a long queue for other labels does not slow this pack down.
    """
    numbers = [
        number
        for labels, first in _waiting(db, pack.name)
        if fits(json.loads(labels), pack.labels)
        and (number := _first_of(db, pack.name, labels, command) if command else first) is not None
    ]
    return min(numbers, default=None)


def _waiting(db: Connection, pack_name: str) -> Iterator[tuple[str, int]]:
    """Each set of labels among the waiting actions, with the number of its oldest one."""
    found = ("", 0)
    while found := db.execute(_NEXT_WAITING, (pack_name, found[0])).fetchone():
        yield found


_NEXT_WAITING = (
    "SELECT pack_labels, number FROM action WHERE state = 'NEW' AND pack_name = ? "
    "AND pack_labels > ? ORDER BY pack_labels, number LIMIT 1"
)


def _first_of(db: Connection, pack_name: str, labels: str, command: str) -> int | None:
    (number,) = db.execute(
        "SELECT min(number) FROM action "
        "WHERE state = 'NEW' AND pack_name = ? AND pack_labels = ? AND name = ?",
        (pack_name, labels, command),
    ).fetchone()
    return None if number is None else int(number)


def _state_text(state: str, time: datetime) -> str:
    return msgspec.json.encode(ActionState(state, time)).decode()


def _labels_text(labels: Labels) -> str:
    return msgspec.json.encode(labels, order="sorted").decode()

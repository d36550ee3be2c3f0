"""Executions and actions in the database: what waits, what is taken, what is finished.

Owns the state machine NEW → PENDING → SUCCESS or FATAL, and its SQL. Must not know why an action
is made or which executions are old.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from flyte_host.clock import Clock
from flyte_host.embedded.codec import JSON_DECODER
from flyte_host.embedded.database import Database, Statements, to_millis
from flyte_host.embedded.decision_writer import DecisionWriter
from flyte_host.embedded.model import (
    FATAL,
    PENDING,
    SUCCESS,
    ActionState,
    AwaitedAction,
    Decision,
    Labels,
    PackEvent,
    PackIdentity,
    StepFact,
    TakenAction,
    fits,
)
from flyte_host.embedded.pack_store import SEE, to_identity
from flyte_host.embedded.sweeper import Sweeper


class PackAtTake(NamedTuple):
    """A pack that wants an action, when it was last seen, and which actions it may have.

    ``waiting`` has the labels that these actions want, those of the oldest action first.
    """

    identity: PackIdentity
    last_seen_millis: int
    waiting: Sequence[str]


class PackAtResult(NamedTuple):
    """A pack that posts a result, when it was last seen, and the action, if there is one.

    ``is_heard``: flows start with such a result.
    """

    identity: PackIdentity
    last_seen_millis: int
    is_heard: bool
    action: AwaitedAction | None


class Executions:
    """Every method is one transaction and may be called from any thread."""

    def __init__(self, database: Database, clock: Clock, sweeper: Sweeper) -> None:
        self._database = database
        self._now = clock.now
        self._sweeper = sweeper
        self._take = TAKE.format(database.skip_locked)
        self._take_command = TAKE_COMMAND.format(database.skip_locked)
        self._finish = _FINISH.format(database.last_event)
        self._writer = DecisionWriter(database.last_event, clock)

    def pack_at_take(self, pack_id: str, command: str) -> PackAtTake | None:
        """The pack and what waits for it (and for ``command``, unless empty); None: unknown.

        Looks at one index row for each set of labels among the waiting actions, not at each action:
        a long queue for other labels does not slow this pack down.
        """
        if command:
            rows = self._database.rows(_SELECT_AT_TAKE_OF, pack_id, pack_id, command, pack_id)
        else:
            rows = self._database.rows(_SELECT_AT_TAKE, pack_id, pack_id, pack_id)
        if not rows:
            return None
        pack = PackIdentity(rows[0][0], rows[0][1], msgspec.json.decode(rows[0][2]))
        found = [
            (number, labels)
            for *_, labels, number in rows
            if number is not None and fits(msgspec.json.decode(labels), pack.labels)
        ]
        return PackAtTake(pack, rows[0][3], [labels for _, labels in sorted(found)])

    def idle_pack_seen_millis(self, pack_id: str) -> int | None:
        """When the pack was last seen, if no action waits for any pack of its name.

        None also if the thread might have to wait for that.
        """
        rows = self._database.rows_at_once(_SELECT_IDLE, pack_id)
        return rows[0][0] if rows else None

    def take(
        self, pack: PackIdentity, labels: str, command: str, *, seen: datetime | None = None
    ) -> TakenAction | None:
        """Give out the oldest action for ``pack`` that wants ``labels``, and is ``command`` if any.

        Skips one that another take is getting. ``seen``: when the pack was seen, to be stored in
        the same commit.
        """
        time = self._now()
        values = [_state_text(PENDING, time), pack.name, labels]

        def take(db: Statements) -> Any:
            if command:
                row = db.execute(self._take_command, (*values, command)).fetchone()
            else:
                row = db.execute(self._take, values).fetchone()
            if row is None:
                return None
            execution = db.first_row(_TOUCH, (to_millis(time), row[4]))
            if seen is not None:
                db.execute(SEE, (to_millis(seen), pack.id))
            return row, execution

        found = self._database.write(take)
        if found is None:
            return None
        (action_id, name, content, step_id, correlation_id, trace), execution = found
        (flow,) = execution()
        content = JSON_DECODER.decode(content)
        return TakenAction(action_id, name, content, flow, step_id, correlation_id, trace)

    def waiting(self) -> list[tuple[str, Labels]]:
        """The names and labels of packs for which actions wait, each once."""
        rows = self._database.rows(
            "SELECT DISTINCT pack_name, pack_labels FROM action WHERE state = 'NEW'"
        )
        return [(name, msgspec.json.decode(labels)) for name, labels in rows]

    def pack_at_result(self, pack_id: str, action_id: str, event: str) -> PackAtResult | None:
        """The pack, and the action as its result finds it; None: no such pack."""
        row = self._database.row(_SELECT_AT_RESULT, event, action_id, pack_id)
        if row is None:
            return None
        identity, last_seen, is_heard, fields = row[:3], row[3], row[4], list(row[5:])
        action = None
        if fields[0] is not None:
            for column in (2, 7):  # labels and context
                fields[column] = JSON_DECODER.decode(fields[column])
            action = AwaitedAction(*fields)
        return PackAtResult(to_identity(*identity), last_seen, bool(is_heard), action)

    def facts(self, correlation_id: str) -> tuple[int, list[StepFact]]:
        """The revision of an execution, and what is known of its steps; -1 if it was removed."""
        rows = self._database.rows(_SELECT_FACTS, correlation_id)
        return (rows[0][0] if rows else -1), [StepFact(*row[1:]) for row in rows]

    def record(self, decisions: Sequence[Decision], *, seen: datetime | None = None) -> None:
        """Store everything that one event decided, in one commit.

        ``seen``: when its pack was seen, to be stored as well.
        """
        event = decisions[0].trigger

        def record(db: Statements) -> None:
            self._sweeper.sweep(db)
            self._writer.insert_event(db, event)
            self._writer.insert(db, decisions)
            _see(db, event, seen)

        self._database.write(record)

    def finish(
        self,
        action: AwaitedAction,
        result: PackEvent,
        decisions: Sequence[Decision],
        *,
        seen: datetime | None = None,
    ) -> bool:
        """Finish the action and store everything that its result decided, in one commit.

        The decisions rely on ``action``: if its execution has another revision by now, or it is
        not PENDING, nothing is stored and the answer is False. ``seen``: when the pack was seen,
        to be stored as well.
        """
        state = FATAL if result.name == FATAL else SUCCESS

        def finish(db: Statements) -> bool:
            # First, so that other results of this execution wait for this one.
            time = self._now()
            counting = (to_millis(time), action.correlation_id, action.revision, action.id)
            counted = db.execute(_COUNT_UP, counting)
            # Whatever was counted: a database elsewhere does both in one round trip.
            self._writer.insert_event(db, result)
            if not counted.rowcount:
                self._writer.delete_event(db)
                return False
            db.execute(self._finish, (state, _state_text(state, time), action.id))
            self._writer.insert(db, decisions)
            self._sweeper.sweep(db)
            _see(db, result, seen)
            return True

        return self._database.write(finish)


_WAITING = "state = 'NEW' AND pack_name = (SELECT name FROM pack WHERE id = ?)"
_SELECT_AT_TAKE = (
    "WITH RECURSIVE waiting (labels) AS ("  # noqa: S608 (only texts of this module)
    f"SELECT (SELECT min(pack_labels) FROM action WHERE {_WAITING}) UNION ALL "
    f"SELECT (SELECT min(pack_labels) FROM action WHERE {_WAITING} AND pack_labels > labels) "
    "FROM waiting WHERE labels IS NOT NULL) "
    "SELECT id, name, pack.labels, last_seen, waiting.labels, (SELECT min(number) FROM action "
    "WHERE state = 'NEW' AND pack_name = pack.name AND pack_labels = waiting.labels) "
    "FROM pack, waiting WHERE id = ?"
)
_SELECT_AT_TAKE_OF = _SELECT_AT_TAKE.replace(
    "pack_labels = waiting.labels)", "pack_labels = waiting.labels AND action.name = ?)"
)
_SELECT_IDLE = (
    "SELECT last_seen FROM pack WHERE id = ? AND NOT EXISTS "
    "(SELECT 1 FROM action WHERE state = 'NEW' AND pack_name = pack.name)"
)
_APPEND_STATE = "states = substr(states, 1, length(states) - 1) || ',' || ? || ']'"
TAKE = (
    f"UPDATE action SET state = 'PENDING', {_APPEND_STATE} WHERE number = "  # noqa: S608
    "(SELECT number FROM action WHERE state = 'NEW' AND pack_name = ? AND pack_labels = ? "
    "ORDER BY number LIMIT 1 {}) RETURNING id, name, input, step_id, correlation_id, "
    "trace"
)
TAKE_COMMAND = TAKE.replace("pack_labels = ?", "pack_labels = ? AND name = ?")
_TOUCH = "UPDATE execution SET changed = ? WHERE correlation_id = ? RETURNING flow_name"
_FINISH = f"UPDATE action SET state = ?, {_APPEND_STATE}, result_event = {{}} WHERE id = ?"  # noqa: S608
_COUNT_UP = (
    "UPDATE execution SET changed = ?, revision = revision + 1 WHERE correlation_id = ? "
    "AND revision = ? AND EXISTS (SELECT 1 FROM action WHERE id = ? AND state = 'PENDING')"
)
_SELECT_FACTS = (
    "SELECT revision, step_id, state FROM execution "
    "JOIN action ON action.correlation_id = execution.correlation_id "
    "WHERE execution.correlation_id = ?"
)
_SELECT_AT_RESULT = (
    "SELECT pack.id, pack.name, pack.labels, last_seen, EXISTS (SELECT 1 FROM flow_trigger "
    "WHERE flow_trigger.pack_name = pack.name AND event_name = ?), "
    "action.id, action.pack_name, pack_labels, state, action.correlation_id, flow_uuid, step_id, "
    "context, revision FROM pack "
    "LEFT JOIN action ON action.id = ? "
    "LEFT JOIN execution ON execution.correlation_id = action.correlation_id WHERE pack.id = ?"
)


def _see(db: Statements, event: PackEvent, seen: datetime | None) -> None:
    """Note when the event's pack was seen; last, because others wait for that row."""
    if seen is not None:
        db.execute(SEE, (to_millis(seen), event.pack.id))


def _state_text(state: str, time: datetime) -> str:
    return msgspec.json.encode(ActionState(state, time)).decode()

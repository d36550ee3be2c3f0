"""What one event decided, as rows: the event, executions, actions and skipped steps.

Owns the SQL that adds them. Must not know the transaction around it, or why an action is made.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from flyte_host.clock import Clock
from flyte_host.embedded.announcements import ActionWaits, write_announcement
from flyte_host.embedded.database import Statements, to_millis
from flyte_host.embedded.model import (
    NEW,
    ActionState,
    Decision,
    Labels,
    NewAction,
    PackEvent,
)
from flyte_host.embedded.pongo2.nanosecond_time import JSON_ENCODER

DELETE_EVENT = "DELETE FROM event WHERE number = {}"
_INSERT_EXECUTION = (
    "INSERT INTO execution (correlation_id, flow_uuid, flow_name, changed) VALUES (?, ?, ?, ?)"
)
_INSERT_ACTION = (
    "INSERT INTO action (id, correlation_id, step_number, step_id, name, pack_name, pack_labels, "
    "state, states, input, context, trigger_event, trace) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {}, ?)"
)
_INSERT_SKIPPED = (
    "INSERT INTO skipped (correlation_id, step_id, event_number, reason, time) "
    "VALUES (?, ?, {}, ?, ?)"
)


class DecisionWriter:
    """Writes in the caller's transaction; ``last_event`` is that of the database."""

    def __init__(self, last_event: str, clock: Clock) -> None:
        self._now = clock.now
        self._insert_action = _INSERT_ACTION.format(last_event)
        self._insert_skipped = _INSERT_SKIPPED.format(last_event)
        self._delete_event = DELETE_EVENT.format(last_event)

    def insert_event(self, db: Statements, event: PackEvent) -> None:
        """Store an event, once for everything that refers to it."""
        db.execute("INSERT INTO event (document) VALUES (?)", (JSON_ENCODER.encode(event),))

    def delete_event(self, db: Statements) -> None:
        """Delete the event that was stored last."""
        db.execute(self._delete_event)

    def insert(self, db: Statements, decisions: Sequence[Decision]) -> None:
        """Store the decisions on the event that was stored last."""
        if not decisions:
            return
        time = self._now()
        millis = to_millis(time)
        db.executemany(
            _INSERT_EXECUTION,
            [
                (each.correlation_id, each.flow_uuid, each.flow_name, millis)
                for each in decisions
                if each.is_new
            ],
        )
        db.executemany(
            self._insert_action,
            [
                _action_row(decision, action, time)
                for decision in decisions
                for action in decision.actions
            ],
        )
        db.executemany(
            self._insert_skipped,
            [
                (decision.correlation_id, step.step_id, step.reason, millis)
                for decision in decisions
                for step in decision.skipped
            ],
        )
        db.announce(
            write_announcement(ActionWaits(action.pack_name, action.pack_labels))
            for decision in decisions
            for action in decision.actions
        )


def _action_row(decision: Decision, action: NewAction, time: datetime) -> tuple[Any, ...]:
    return (
        action.id,
        decision.correlation_id,
        action.step_number,
        action.step_id,
        action.name,
        action.pack_name,
        _labels_text(action.pack_labels),
        NEW,
        msgspec.json.encode([ActionState(NEW, time)]).decode(),
        msgspec.json.encode(action.input),
        msgspec.json.encode(action.context),
        decision.trigger.trace,
    )


def _labels_text(labels: Labels) -> str:
    return msgspec.json.encode(labels, order="sorted").decode()

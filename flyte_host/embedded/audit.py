"""The audit: executions with their version of the flow, their actions and skipped steps.

Owns the SQL that finds and pages them. Changes nothing.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec

from flyte_host.clock import Clock
from flyte_host.embedded.audit_condition import audit_condition
from flyte_host.embedded.codec import JSON_DECODER
from flyte_host.embedded.database import Database, Statements, from_millis, to_millis
from flyte_host.embedded.decision_log import DecisionLog, KeptDecision, UnheardEvent
from flyte_host.embedded.flow_store import FlowStore
from flyte_host.embedded.model import (
    ActionState,
    AuditedAction,
    AuditedExecution,
    AuditedSkip,
    AuditFilter,
    AuditPage,
    FlowAction,
    PackEvent,
)

AUDIT_DAYS = 183
MAX_EXECUTIONS = 1000
MAX_PAGE_BYTES = 4_000_000
"""About how much a page shows; a larger execution has a page to itself."""
MAX_EXECUTION_BYTES = 16_000_000
"""How much is shown of one execution."""

_EVENT = msgspec.json.Decoder(PackEvent, float_hook=float)
LEFT_OUT = "(left out: {} bytes)"
_STATES = msgspec.json.Decoder(list[ActionState])
_SELECT = (
    "SELECT correlation_id, flow_uuid, (SELECT coalesce(length(document), 0) FROM flow_version "
    "WHERE uuid = flow_uuid) FROM execution"
)
_SELECT_SIZES = (
    "SELECT sum(length(input) + length(context) + length(t.document) + "
    "coalesce(length(r.document), 0)) FROM action JOIN event AS t ON t.number = trigger_event "
    "LEFT JOIN event AS r ON r.number = result_event WHERE correlation_id = ?"
)
_SELECT_ACTIONS = (
    "SELECT id, name, pack_name, pack_labels, input, states, action.correlation_id, flow_name, "
    "flow_uuid, step_id, context, trigger_event, result_event FROM action JOIN execution "
    "ON execution.correlation_id = action.correlation_id "
    "WHERE action.correlation_id = ? ORDER BY number"
)
_LABELS, _INPUT, _STATES_COLUMN, _CONTEXT = 3, 4, 5, 10
"""Where these columns are in a row of ``_SELECT_ACTIONS``."""
_SELECT_EVENT = "SELECT document FROM event WHERE number = ?"
_SELECT_SKIPPED = (
    "SELECT step_id, event_number, reason, time FROM skipped WHERE correlation_id = ? "
    "ORDER BY number"
)


class Audit:
    """Shows executions for 183 days after their last change, or ``ttl_seconds`` if less."""

    def __init__(
        self,
        database: Database,
        flows: FlowStore,
        clock: Clock,
        *,
        kept: DecisionLog,
        ttl_seconds: float,
    ) -> None:
        self._database = database
        self._flows = flows
        self._kept_decisions = kept
        self._now = clock.now
        self._kept = min(timedelta(seconds=ttl_seconds), timedelta(days=AUDIT_DAYS))

    def find(self, wanted: AuditFilter) -> AuditPage:
        """The executions that match ``wanted``, most recently changed first."""
        where, values = audit_condition(wanted)
        limit = min(wanted.limit, MAX_EXECUTIONS)
        which = f"{where} ORDER BY changed DESC, correlation_id DESC LIMIT ? OFFSET ?"
        bounds = (min(limit + 1, wanted.limit), wanted.start)

        def load(db: Statements) -> tuple[list[_StoredExecution], bool]:
            found: list[_StoredExecution] = []
            left = MAX_PAGE_BYTES
            for row in self._rows(db, which, [*values, *bounds]):
                left -= _size(db, row)
                if len(found) == limit or (left < 0 and found):
                    return found, True
                found.append(_load(db, row))
            return found, False

        found, is_cut = self._database.read(load)
        shown = [each for stored in found if (each := self._decode(stored))]
        return AuditPage(shown, wanted.start + len(found) if is_cut else None)

    def execution(self, correlation_id: str) -> AuditedExecution | None:
        def load(db: Statements) -> list[_StoredExecution]:
            rows = self._rows(db, "AND correlation_id = ?", [correlation_id])
            return [_load(db, row) for row in rows]

        found = self._database.read(load)
        return self._decode(found[0]) if found else None

    def _rows(self, db: Statements, which: str, values: Sequence[Any]) -> list[Any]:
        start = to_millis(self._now() - self._kept)
        return db.execute(f"{_SELECT} WHERE changed >= ? {which}", (start, *values)).fetchall()

    def _decode(self, stored: "_StoredExecution") -> AuditedExecution | None:
        flow = self._flows.version(stored.flow_uuid)
        if flow is None:
            return None
        events = {key: _EVENT.decode(document) for key, document in stored.documents.items()}
        actions = [
            AuditedAction(_to_action(columns), events[trigger], events[result] if result else None)
            for columns, trigger, result in stored.actions
        ]
        skipped = [
            AuditedSkip(step_id, events[event], reason, from_millis(time))
            for step_id, event, reason, time in stored.skipped
        ]
        declined = [
            AuditedSkip(each.step_id, each.event, each.reason, each.time)
            for each in self._kept_decisions.of_execution(flow.name, stored.correlation_id)
        ]
        return AuditedExecution(
            stored.correlation_id, stored.flow_uuid, flow, actions, skipped, declined
        )

    def decisions(self, flow_name: str) -> Sequence[KeptDecision]:
        """Steps that did not run, of a flow or (empty) of all, newest first."""
        return self._kept_decisions.decisions(flow_name)

    def unheard(self) -> Sequence[UnheardEvent]:
        """Events that no flow waits for, newest first."""
        return self._kept_decisions.unheard()


_EventKey = tuple[int, bool]
"""The number of an event, and whether its payload is shown."""


class _StoredExecution:
    """An execution as the database has it: loaded in the transaction, decoded after it.

    Once it is full, inputs, contexts and payloads are left out.
    """

    def __init__(self, correlation_id: str, flow_uuid: str, left: int) -> None:
        self.correlation_id = correlation_id
        self.flow_uuid = flow_uuid
        self.actions: list[tuple[list[Any], _EventKey, _EventKey | None]] = []
        self.skipped: list[tuple[str, _EventKey, str, int]] = []
        self.documents: dict[_EventKey, bytes] = {}
        self._sizes: dict[int, int] = {}
        self._left = left

    def load(self, db: Statements) -> None:
        for row in db.execute(_SELECT_ACTIONS, (self.correlation_id,)).fetchall():
            *columns, trigger, result = row
            for column, left_out in ((_INPUT, LEFT_OUT), (_CONTEXT, "")):
                size = len(columns[column])
                if not self._pay(size):
                    text = left_out.format(size)
                    columns[column] = msgspec.json.encode(text or {})
            event = None if result is None else self._load_event(db, result)
            self.actions.append((columns, self._load_event(db, trigger), event))
        for step_id, event, reason, time in db.execute(_SELECT_SKIPPED, (self.correlation_id,)):
            self.skipped.append((step_id, self._load_event(db, event), reason, time))

    def _load_event(self, db: Statements, number: int) -> _EventKey:
        size = self._sizes.get(number)
        if size is None:
            (document,) = db.execute(_SELECT_EVENT, (number,)).fetchone()
            size = self._sizes[number] = len(document)
        else:
            document = self.documents.get((number, True), b"")
        key = number, self._pay(size)
        if key not in self.documents:
            self.documents[key] = document if key[1] else _without_payload(document, size)
        return key

    def _pay(self, size: int) -> bool:
        """Use up ``size`` bytes if that many are left; returns whether they were."""
        is_shown = size <= self._left
        self._left -= size if is_shown else 0
        return is_shown


def _to_action(columns: Sequence[Any]) -> FlowAction:
    fields = list(columns)
    for column in (_LABELS, _INPUT, _CONTEXT):
        fields[column] = JSON_DECODER.decode(fields[column])
    fields[_STATES_COLUMN] = _STATES.decode(fields[_STATES_COLUMN])
    return FlowAction(*fields)


def _without_payload(document: bytes, size: int) -> bytes:
    event = msgspec.json.decode(document, type=dict[str, msgspec.Raw])
    return msgspec.json.encode(event | {"payload": LEFT_OUT.format(size)})


def _load(db: Statements, row: tuple[str, str, int | None]) -> _StoredExecution:
    correlation_id, uuid, flow_bytes = row
    stored = _StoredExecution(correlation_id, uuid, MAX_EXECUTION_BYTES - (flow_bytes or 0))
    stored.load(db)
    return stored


def _size(db: Statements, row: tuple[str, str, int | None]) -> int:
    correlation_id, _, flow_size = row
    (actions,) = db.execute(_SELECT_SIZES, (correlation_id,)).fetchone()
    return (actions or 0) + (flow_size or 0)

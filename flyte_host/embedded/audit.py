"""The audit: executions with their version of the flow, their actions and skipped steps.

Owns the SQL that finds and pages them. Changes nothing.
"""

from dataclasses import replace
from datetime import timedelta
from sqlite3 import Connection
from typing import Any

import msgspec

from flyte_host.clock import Clock
from flyte_host.embedded.database import Database, from_millis, to_millis
from flyte_host.embedded.executions import CONTEXT, INPUT, SELECT_ACTION, to_action
from flyte_host.embedded.model import (
    AuditedAction,
    AuditedExecution,
    AuditedSkip,
    AuditFilter,
    AuditPage,
    PackEvent,
)
from flyte_host.embedded.store import Store

AUDIT_DAYS = 183
MAX_EXECUTIONS = 1000
MAX_PAGE_BYTES = 16_000_000
"""About how much a page shows; an execution that is larger comes alone, and not in full."""

_EVENT = msgspec.json.Decoder(PackEvent)
_SELECT = (
    "SELECT correlation_id, flow_uuid, (SELECT coalesce(length(document), 0) FROM flow_version "
    "WHERE uuid = flow_uuid) FROM execution"
)
_SELECT_SIZES = (
    "SELECT sum(length(input) + length(context) + length(t.document) + "
    "coalesce(length(r.document), 0)) FROM action JOIN event AS t ON t.number = trigger_event "
    "LEFT JOIN event AS r ON r.number = result_event WHERE correlation_id = ?"
)
_SELECT_SKIPPED = (
    "SELECT step_id, event_number, reason, time FROM skipped WHERE correlation_id = ? "
    "ORDER BY number"
)


class Audit:
    """Shows executions for 183 days after their last change, or ``ttl_seconds`` if less."""

    def __init__(
        self, database: Database, store: Store, clock: Clock, *, ttl_seconds: float
    ) -> None:
        self._database = database
        self._store = store
        self._now = clock.now
        self._kept = min(timedelta(seconds=ttl_seconds), timedelta(days=AUDIT_DAYS))

    def find(self, wanted: AuditFilter) -> AuditPage:
        """The executions that match ``wanted``, the last changed first."""
        where, values = _where(wanted)
        limit = min(wanted.limit, MAX_EXECUTIONS)
        which = f"{where} ORDER BY changed DESC, correlation_id DESC LIMIT ? OFFSET ?"
        found, taken, is_cut = [], 0, False
        with self._database.read() as db:
            left = MAX_PAGE_BYTES
            for row in self._rows(db, which, [*values, min(limit + 1, wanted.limit), wanted.start]):
                left -= _size(db, row)
                is_cut = taken == limit or (left < 0 and taken > 0)
                if is_cut:
                    break
                taken += 1
                found += self._show(db, row)
        return AuditPage(found, wanted.start + taken if is_cut else None)

    def execution(self, correlation_id: str) -> AuditedExecution | None:
        with self._database.read() as db:
            for row in self._rows(db, "AND correlation_id = ?", [correlation_id]):
                return next(iter(self._show(db, row)), None)
        return None

    def _rows(self, db: Connection, which: str, values: list[Any]) -> list[Any]:
        start = to_millis(self._now() - self._kept)
        return db.execute(f"{_SELECT} WHERE changed >= ? {which}", (start, *values)).fetchall()

    def _show(self, db: Connection, row: tuple[str, str, int]) -> list[AuditedExecution]:
        correlation_id, uuid, _ = row
        flow = self._store.version_in(db, uuid)
        if flow is None:
            return []
        events = _ShownEvents(db, MAX_PAGE_BYTES)
        actions = [
            _to_audited(action, events)
            for action in db.execute(_SELECT_ACTIONS, (correlation_id,)).fetchall()
        ]
        skipped = [
            AuditedSkip(step_id, events.show(number), reason, from_millis(time))
            for step_id, number, reason, time in db.execute(_SELECT_SKIPPED, (correlation_id,))
        ]
        return [AuditedExecution(correlation_id, uuid, flow, actions, skipped)]


_SELECT_ACTIONS = (
    SELECT_ACTION.replace(" FROM action", ", trigger_event, result_event FROM action", 1)
    + " WHERE action.correlation_id = ? ORDER BY number"
)


class _ShownEvents:
    """Events of one execution; once a page is full, without their payloads."""

    def __init__(self, db: Connection, left: int) -> None:
        self._db = db
        self._left = left
        self._known: dict[int, tuple[int, PackEvent]] = {}

    def show(self, number: int) -> PackEvent:
        size, event = self._find(number)
        if self.pay(size):
            return event
        return replace(event, payload=f"(left out: {size} bytes)")

    def pay(self, size: int) -> bool:
        """Whether ``size`` more bytes may be shown."""
        is_shown = size <= self._left
        self._left -= size if is_shown else 0
        return is_shown

    def _find(self, number: int) -> tuple[int, PackEvent]:
        if number not in self._known:
            (document,) = self._db.execute(
                "SELECT document FROM event WHERE number = ?", (number,)
            ).fetchone()
            self._known[number] = len(document), _EVENT.decode(document)
        return self._known[number]


def _to_audited(row: tuple[Any, ...], events: _ShownEvents) -> AuditedAction:
    *columns, trigger, result = row
    for column, left_out in ((INPUT, "(left out: {} bytes)"), (CONTEXT, "")):
        size = len(columns[column])
        if not events.pay(size):
            columns[column] = msgspec.json.encode(left_out.format(size) if left_out else {})
    return AuditedAction(
        to_action(columns), events.show(trigger), None if result is None else events.show(result)
    )


def _size(db: Connection, row: tuple[str, str, int]) -> int:
    correlation_id, _, flow_size = row
    (actions,) = db.execute(_SELECT_SIZES, (correlation_id,)).fetchone()
    return (actions or 0) + (flow_size or 0)


Condition = tuple[str, tuple[str, ...]]
"""SQL and the values of its placeholders."""


def _where(wanted: AuditFilter) -> Condition:
    """``wanted`` as SQL; the step and action parts must be true of one and the same action."""
    flow = [_equal("flow_name", wanted.flow_name)] if wanted.flow_name else []
    step = [_equal("step_id", wanted.step_id)] if wanted.step_id else []
    action = [_equal("name", wanted.action_name)] if wanted.action_name else []
    action += [_equal("pack_name", wanted.action_pack_name)] if wanted.action_pack_name else []
    action += [
        ("EXISTS (SELECT 1 FROM json_each(pack_labels) WHERE key = ? AND value = ?)", label)
        for label in wanted.action_pack_labels.items()
    ]
    if action:
        return _all([*flow, _has("action", step + action)])
    if step:
        either = (_has("action", step), _has("skipped", step))
        return _all([*flow, (f"({either[0][0]} OR {either[1][0]})", either[0][1] + either[1][1])])
    return _all(flow)


def _equal(column: str, value: str) -> Condition:
    return f"{column} = ?", (value,)


def _has(table: str, conditions: list[Condition]) -> Condition:
    more, values = _all(conditions)
    text = (
        f"EXISTS (SELECT 1 FROM {table} AS it "  # noqa: S608 (only texts of this module)
        f"WHERE it.correlation_id = execution.correlation_id {more})"
    )
    return text, values


def _all(conditions: list[Condition]) -> Condition:
    text = " ".join(f"AND {text}" for text, _ in conditions)
    return text, tuple(value for _, values in conditions for value in values)

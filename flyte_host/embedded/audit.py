"""The audit: executions with their version of the flow, their actions and skipped steps.

Owns the SQL that finds and pages them. Changes nothing.
"""

from datetime import timedelta
from sqlite3 import Connection
from typing import Any

import msgspec

from flyte_host.clock import Clock
from flyte_host.embedded.database import Database, from_millis, to_millis
from flyte_host.embedded.executions import SELECT_ACTION, to_action
from flyte_host.embedded.model import AuditedExecution, AuditedSkip, AuditFilter, PackEvent
from flyte_host.embedded.store import Store

AUDIT_DAYS = 183

_EVENT = msgspec.json.Decoder(PackEvent)
_SELECT = "SELECT correlation_id, flow_uuid FROM execution"


class Audit:
    """Shows executions for 183 days after their last change, or ``ttl_seconds`` if less."""

    def __init__(
        self, database: Database, store: Store, clock: Clock, *, ttl_seconds: float
    ) -> None:
        self._database = database
        self._store = store
        self._now = clock.now
        self._kept = min(timedelta(seconds=ttl_seconds), timedelta(days=AUDIT_DAYS))

    def find(self, wanted: AuditFilter) -> list[AuditedExecution]:
        """The executions that match ``wanted``, the last changed first."""
        where, values = _where(wanted)
        return self._found(
            f"{where} ORDER BY changed DESC, correlation_id DESC LIMIT ? OFFSET ?",
            [*values, wanted.limit, wanted.start],
        )

    def execution(self, correlation_id: str) -> AuditedExecution | None:
        return next(iter(self._found("AND correlation_id = ?", [correlation_id])), None)

    def _found(self, which: str, values: list[Any]) -> list[AuditedExecution]:
        start = to_millis(self._now() - self._kept)
        with self._database.read() as db:
            rows = db.execute(f"{_SELECT} WHERE changed >= ? {which}", (start, *values)).fetchall()
            found = [(*row, _action_rows(db, row[0]), _skipped_rows(db, row[0])) for row in rows]
        return [
            AuditedExecution(
                correlation_id,
                uuid,
                flow,
                [to_action(row) for row in actions],
                [_to_skipped(*row) for row in skipped],
            )
            for correlation_id, uuid, actions, skipped in found
            if (flow := self._store.version(uuid))
        ]


def _action_rows(db: Connection, correlation_id: str) -> list[Any]:
    return db.execute(
        f"{SELECT_ACTION} WHERE action.correlation_id = ? ORDER BY number", (correlation_id,)
    ).fetchall()


def _skipped_rows(db: Connection, correlation_id: str) -> list[Any]:
    return db.execute(
        "SELECT step_id, event, reason, time FROM skipped WHERE correlation_id = ? ORDER BY number",
        (correlation_id,),
    ).fetchall()


def _to_skipped(step_id: str, event: bytes, reason: str, time: int) -> AuditedSkip:
    return AuditedSkip(step_id, _EVENT.decode(event), reason, from_millis(time))


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

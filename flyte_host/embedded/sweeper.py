"""Removes old executions, and flow versions that no execution uses.

Owns how many it removes at once, and when it need not look. Must not know what an execution does.
"""

from datetime import datetime, timedelta

from flyte_host.clock import Clock
from flyte_host.embedded.database import Database, Statements, from_millis, to_millis
from flyte_host.embedded.sweep_clock import SweepClock

SWEPT_AT_ONCE = 20
"""How many executions one write removes at most: more than it adds on average."""
SWEEP_PAUSE = timedelta(seconds=1)
"""How long it does not look again after it found nothing."""


class Sweeper:
    """Removes what did not change for ``ttl_seconds``."""

    def __init__(self, database: Database, clock: Clock, *, ttl_seconds: float) -> None:
        (newest,) = database.row("SELECT max(changed) FROM execution")
        self._clock = SweepClock(clock, None if newest is None else from_millis(newest))
        self._swept_at: datetime | None = None
        self._ttl = timedelta(seconds=ttl_seconds)

    def sweep(self, db: Statements) -> None:
        """Remove a little, in a write that adds something."""
        now = self._clock.now()
        if self._swept_at is not None and timedelta(0) <= now - self._swept_at < SWEEP_PAUSE:
            return
        if not db.try_lock("sweep"):
            return
        before = to_millis(now - self._ttl)
        removed = _remove_executions(db, before) + _remove_versions(db, before)
        # The next write continues if there may be more.
        self._swept_at = None if removed else now


def _remove_executions(db: Statements, before: int) -> int:
    old = db.execute(
        "SELECT correlation_id FROM execution WHERE changed < ? ORDER BY changed LIMIT ?",
        (before, SWEPT_AT_ONCE),
    ).fetchall()
    if old:
        events = [row for execution in old for row in db.execute(_EVENTS_OF, execution * 3)]
        db.executemany("DELETE FROM execution WHERE correlation_id = ?", old)
        db.executemany(_DELETE_UNUSED_EVENT, [row * 4 for row in events])
    return len(old)


def _remove_versions(db: Statements, before: int) -> int:
    return db.execute(
        "DELETE FROM flow_version WHERE uuid IN (SELECT uuid FROM flow_version "
        "WHERE replaced < ? AND NOT EXISTS "
        "(SELECT 1 FROM execution WHERE flow_uuid = uuid) LIMIT ?)",
        (before, SWEPT_AT_ONCE),
    ).rowcount


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

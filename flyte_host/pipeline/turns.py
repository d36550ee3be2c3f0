"""Turns for workers: which pack is next, and which worker waits for that.

A worker asks :meth:`Turns.next` for a pack that is due and has a free slot, which is one question.
Nobody is woken for nothing: see ``idle_workers``. Must not know why a pack is due, nor what a turn
does.
"""

from flyte_host.pipeline.jobs import Job
from flyte_host.pipeline.pack_plan import PackPlan
from flyte_host.pipeline.timetable import Phase, Timetable
from flyte_host.pipeline.turn import Turn


class Turns:
    """Safe to use from any thread."""

    def __init__(self, timetable: Timetable) -> None:
        self._table = timetable
        self._leaderless = True
        self._closed = False

    def next(self, *, arrives: bool = False, waits: bool = True) -> Turn | Job | None:
        """Wait for work. None: this worker is not needed, or nothing is due and it does not wait.

        ``arrives``: it was made because of :meth:`claim_lead`.
        """
        with self._table.lock:
            if arrives:
                self._table.idle.arrive()
            self._table.busy_workers.come_back(self._table.now())
            was_idle = False
            while not self._closed:
                now = self._table.now()
                work = self._begin(now, was_idle=was_idle)
                if work is not None:
                    self._table.busy_workers.go(now)
                    if was_idle or arrives or not self._table.busy_workers.patience_seconds(now):
                        self._table.call(now)
                    self._leaderless = self._table.idle.promote()
                    return work
                if not waits:
                    break
                was_idle, self._leaderless = True, False
                due = self._table.wake_at(now)
                if not self._table.idle.wait(due, due - now):
                    break
        return None

    def claim_lead(self) -> bool:
        """Whether the caller has to make a new worker, since nobody idle is left."""
        if not self._leaderless:  # the usual case, without the lock
            return False
        with self._table.lock:
            claimed, self._leaderless = self._leaderless, False
            if claimed:
                self._table.idle.expect()
            return claimed

    def give_up_lead(self) -> None:
        """No new worker could be made: those that there are have to do."""
        with self._table.lock:
            self._table.idle.arrive()

    def close(self) -> None:
        """Send all workers home."""
        with self._table.lock:
            self._closed = True
            self._table.idle.call_all()

    def _begin(self, now: float, *, was_idle: bool) -> Turn | Job | None:
        """The next work, if there is some; a worker that only would be in the way is patient."""
        is_spare = was_idle or self._table.busy_workers.patience_seconds(now)
        if is_spare and self._table.wake_at(now) > now:
            return None
        due, pack_key = self._table.next_due()
        is_quick_due = due.at <= now and due.wake_at > due.at
        job = self._table.jobs.take(now, is_quick_due=is_quick_due)
        if job is not None:
            return job
        if (due.at if was_idle else due.at - due.early_seconds) > now:
            return None

        def rule(plan: PackPlan) -> Turn:
            if plan.again:
                turn = Turn(self._table, pack_key, now, plan.cut_off.popleft())
                turn.move(plan, Phase.CUT_OFF)
                return turn
            turn = Turn(self._table, pack_key, now)
            if plan.only_kept:
                turn.move(plan, Phase.KEEPING)
            else:
                turn.move(plan, Phase.ASKING)
                plan.begin_take(now)
            return turn

        return self._table.apply(pack_key, rule)

"""What a worker does next: a turn of a pack or a job, and which worker waits for one.

A worker asks :meth:`Turns.next` for a pack that is due and has a free slot, which is one question.
Nobody is woken for nothing: see ``idle_workers``. Must not know why a pack is due or what a turn
does.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from flyte_host.pipeline.schedule.jobs import Chore, Job
from flyte_host.pipeline.schedule.pack_plan import PackPlan
from flyte_host.pipeline.schedule.timetable import Phase, Timetable
from flyte_host.pipeline.schedule.turn import Turn


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
        table = self._table
        with table.lock:
            if arrives:
                table.idle_workers.arrive()
            now, was_idle = table.now(), False
            table.busy_workers.come_back(now)
            while not self._closed:
                work = self._begin(now, was_idle=was_idle)
                if work is not None:
                    table.busy_workers.go(now)
                    if was_idle or arrives or table.busy_workers.are_slow:
                        table.call(now)
                    self._leaderless = table.idle_workers.promote()
                    return work
                if not waits:
                    break
                was_idle, self._leaderless = True, False
                if not table.wait(now):
                    break
                now = table.now()
        return None

    def claim_lead(self) -> bool:
        """Whether the caller has to make a new worker, since nobody idle is left."""
        if not self._leaderless:  # the usual case, without the lock
            return False
        with self._table.lock:
            claimed, self._leaderless = self._leaderless, False
            if claimed:
                self._table.idle_workers.expect()
            return claimed

    def give_up_lead(self) -> None:
        """No new worker could be made: the existing ones must suffice."""
        with self._table.lock:
            self._table.idle_workers.arrive()

    def add_job(self, job: Job) -> None:
        """Continue with an action that waited for the disk, or whose handler ended elsewhere."""
        with self._table.lock:
            now = self._table.now()
            if self._table.jobs.add(job, now):  # else somebody comes already, or is back soon
                self._table.call(now)

    def add_chore(self, chore: Chore) -> None:
        """Do it when there is nothing better to do, and soon; it is for all who add one meanwhile.

        At its end it calls :meth:`end_chore`.
        """
        if self._table.jobs.has_chore:  # as most find, without the lock
            return
        with self._table.lock:
            now = self._table.now()
            self._table.jobs.add_chore(chore, now)
            self._table.call(now)

    def end_chore(self) -> None:
        """The chore is done: the next one may start."""
        with self._table.lock:
            self._table.jobs.end_chore()

    @contextmanager
    def disk_wait(self) -> Iterator[None]:
        """The worker waits for a disk meanwhile; if that takes long, another one may be useful."""
        busy_workers, began_at = self._table.busy_workers, self._table.now()
        is_slow = busy_workers.is_disk_slow
        if is_slow:
            with self._table.lock:
                busy_workers.come_back(began_at)
                self._table.call(began_at)
        try:
            yield
        finally:
            with self._table.lock:
                now = self._table.now()
                busy_workers.note_disk_wait(now - began_at)
                if is_slow:
                    busy_workers.go(now)

    def look_out(self) -> None:
        """A request went out to the network: have somebody look for its answer."""
        with self._table.lock:
            now = self._table.now()
            self._table.lookout.note(now)
            self._table.call(now)

    def close(self) -> None:
        """End all workers."""
        with self._table.lock:
            self._closed = True
            self._table.idle_workers.call_all()

    def _begin(self, now: float, *, was_idle: bool) -> Turn | Job | None:
        """The next work, if there is any; a worker that would only be in the way keeps waiting."""
        is_spare = was_idle or self._table.busy_workers.patience_seconds(now)
        if is_spare and self._table.wake_at(now) > now:
            return None
        seen = self._table.lookout.take(now)
        if seen is not None:
            return seen
        due, pack_key = self._table.next_due()
        is_quick = due.wake_at > due.at or self._table.lookout.is_open
        is_quick_due = is_quick and due.at <= now
        job = self._table.jobs.take(now, is_quick_due=is_quick_due)
        if job is not None:
            return job
        if (due.at if was_idle else due.at - due.early_seconds) > now:
            return None
        plan = self._table.plans[pack_key]
        turn = self._make_turn(plan, pack_key, now)
        self._table.place(pack_key, plan)
        return turn

    def _make_turn(self, plan: PackPlan, pack_key: str, now: float) -> Turn:
        if plan.again:
            turn = Turn(self._table, pack_key, now, plan.cut_off.pop(0))
            turn.move(plan, Phase.CUT_OFF)
            return turn
        turn = Turn(self._table, pack_key, now)
        if plan.only_kept:
            turn.move(plan, Phase.KEEPING)
        else:
            turn.move(plan, Phase.ASKING)
            plan.begin_take(now)
        return turn

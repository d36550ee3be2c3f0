"""The threads that carry actions, each from the take to the posted result.

Owns how many there are, and that none blocks while an action waits for disk or network: it
does something else, and any free one continues with the action. Must not know what a turn or a wait
is for.
"""

import itertools
import logging
import threading
from functools import partial

from flyte_host.pipeline.journal import Journal, Write
from flyte_host.pipeline.schedule.jobs import Job
from flyte_host.pipeline.schedule.turn import Turn
from flyte_host.pipeline.schedule.turns import Turns
from flyte_host.pipeline.workers.run import Runner
from flyte_host.pipeline.workers.taker import Taker
from flyte_host.thread_watch import ThreadWatch
from flyte_host.wait import Steps

log = logging.getLogger(__name__)


class WorkerPool:
    """One worker at first; one more whenever the last idle one has found something to do."""

    def __init__(
        self,
        turns: Turns,
        journal: Journal,
        taker: Taker,
        runner: Runner,
        watch: ThreadWatch,
    ) -> None:
        self._turns = turns
        self._journal = journal
        self._taker = taker
        self._runner = runner
        self._watch = watch
        self._numbers = itertools.count(1)
        self._threads: set[threading.Thread] = set()
        self._is_short = False

    @property
    def threads(self) -> list[threading.Thread]:
        """Those that work or wait for work; a dead one among them is a bug."""
        return list(self._threads)

    def start(self) -> None:
        """Work until there are no more turns."""
        if self._turns.claim_lead():
            self._add()

    def _add(self) -> None:
        name = f"worker-{next(self._numbers)}"
        thread = self._watch.make_thread(self._work, name)
        self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError as error:  # no thread can be started
            self._threads.discard(thread)
            if not self._is_short:
                log.error("cannot start another worker, continuing with fewer: %s", error)
            self._is_short = True
            self._turns.give_up_lead()  # last: the next leader must see that this was logged
        else:
            self._is_short = False

    def _work(self) -> None:
        work = self._turns.next(arrives=True)
        while work is not None:
            if self._turns.claim_lead():
                self._add()
            self._do(self._carry(work) if isinstance(work, Turn) else work)
            work = self._turns.next()
        self._threads.discard(threading.current_thread())

    def _carry(self, turn: Turn) -> Steps[None]:
        try:
            opened = yield from self._taker.take(turn)
            if opened is not None:
                yield from self._runner.run(turn, opened)
        except GeneratorExit:  # the host has ended
            raise
        except BaseException as error:  # the worker goes on to the next turn
            log.exception(
                "internal error in a turn of pack %s", turn.pack_key, extra={"pack": turn.pack_key}
            )
            turn.failed(f"internal error: {error}")

    def _do(self, job: Job) -> None:
        try:
            if callable(job):
                job()
            else:
                self.go(job)
        except BaseException:
            log.exception("internal error in a worker: an action may stay open until a restart")

    def go(self, steps: Steps[None]) -> None:
        """Go on to the next wait, which another worker may end, or to the end."""
        wait = next(steps, None)
        if wait is None:
            return
        wait.begin(partial(self._turns.add_job, steps))
        if isinstance(wait, Write):  # the chore comes second: it writes what was begun before
            self._turns.add_chore(self._write)
        else:
            self._turns.look_out()

    def _write(self) -> None:
        try:
            self._journal.write_waiting(self._turns.disk_wait)
        finally:
            self._turns.end_chore()

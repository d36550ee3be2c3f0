"""What a worker carries: a turn, or the end of an action, with its waits for disk and network.

No worker stands still meanwhile: any free one continues when the wait is over. Must not know what
is carried.
"""

from flyte_host.pipeline.journal import Journal, Write
from flyte_host.pipeline.schedule import Schedule
from flyte_host.wait import Steps


class Errand:
    """Steps in sequence, each in the worker that calls next."""

    def __init__(self, schedule: Schedule, journal: Journal, steps: Steps[None]) -> None:
        self._schedule = schedule
        self._journal = journal
        self._steps = steps

    def __call__(self) -> None:
        """Go on until something is to be waited for, or to the end."""
        wait = next(self._steps, None)
        if wait is None:
            return
        wait.begin(self._come_back)
        if isinstance(wait, Write):
            self._schedule.add_chore(self._write)  # after that: it writes what was begun before
        else:
            self._schedule.look_out()

    def _come_back(self) -> None:
        self._schedule.add_job(self)

    def _write(self) -> None:
        self._journal.write_waiting(self._schedule.chore)

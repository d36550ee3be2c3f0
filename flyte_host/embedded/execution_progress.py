"""What one execution has done, and which of its steps may run next.

Owns the rule of ``dependsOn``; a step runs once. It is kept between events, so an event costs only
as much as the steps that it may start, however long the execution is.
"""

from collections.abc import Iterable, Sequence

from flyte_host.embedded.flow import Flow
from flyte_host.embedded.model import FINISHED, PackEvent, StepFact


class ExecutionProgress:
    """The progress of an execution of ``flow`` with the ``facts``, in any order."""

    def __init__(self, flow: Flow, facts: Iterable[StepFact] = ()) -> None:
        self._flow = flow
        self._started: set[str] = set()
        self._finished: set[str] = set()
        self._waiting = {key: set(numbers) for key, numbers in flow.index.free.items()}
        for fact in facts:
            self.start(fact.step_id)
            if fact.state in FINISHED:
                self.finish(fact.step_id)

    def candidates(self, event: PackEvent, finished: str | None = None) -> Sequence[int]:
        """The numbers of the steps that wait for ``event``, in order.

        Determined before any of them runs, as in Go. ``finished`` is the id of the step that the
        event finishes.
        """
        key = (event.pack.name, event.name)
        waiting = self._waiting.get(key, set())
        if finished is not None and finished not in self._finished:
            waiting = waiting.union(
                number for number, its_key in self._after(finished) if its_key == key
            )
        return sorted(waiting)

    def start(self, step_id: str) -> None:
        """A step has an action: no step with its id runs again."""
        self._started.add(step_id)
        for number in self._flow.index.by_id.get(step_id, ()):
            waiting = self._waiting.get(self._flow.steps[number].event.key)
            if waiting is not None:
                waiting.discard(number)

    def finish(self, step_id: str) -> None:
        """A step has its result: steps that depend on it may run."""
        if step_id in self._finished:
            return
        self._finished.add(step_id)
        for number, key in self._after(step_id):
            self._waiting.setdefault(key, set()).add(number)

    def _after(self, step_id: str) -> Iterable[tuple[int, tuple[str, str]]]:
        """Steps that depend on this one and have not started, with the event each waits for."""
        for number in self._flow.index.after.get(step_id, ()):
            step = self._flow.steps[number]
            if step.id not in self._started:
                yield number, step.event.key

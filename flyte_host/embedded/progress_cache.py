"""The progress of recent executions, which saves reading it again for each result.

Owns how much is kept. The store has the truth: each result increments its execution's revision, and
progress of another revision is read again.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from typing import NamedTuple

from flyte_host.embedded.execution_progress import ExecutionProgress
from flyte_host.embedded.flow import Flow
from flyte_host.embedded.model import AwaitedAction, PackEvent, StepFact

MAX_STEPS = 200_000
"""How many steps the flows of all kept executions may have together."""

Load = Callable[[str], tuple[int, Sequence[StepFact]]]
"""The revision and the facts of an execution, as the store has them."""


class _KeptProgress(NamedTuple):
    revision: int
    steps: int
    progress: ExecutionProgress


class ProgressCache:
    """Safe from any thread."""

    def __init__(self, load: Load, *, max_steps: int = MAX_STEPS) -> None:
        self._load = load
        self._max_steps = max_steps
        self._kept: OrderedDict[str, _KeptProgress] = OrderedDict()
        self._steps = 0
        self._lock = Lock()

    def candidates(self, action: AwaitedAction, flow: Flow, result: PackEvent) -> Sequence[int]:
        """The numbers of the steps that may start on ``result``, which ends ``action``.

        They rest on the revision of ``action``, or on a later one.
        """
        if (result.pack.name, result.name) not in flow.index.awaited:
            return ()
        correlation_id = action.correlation_id
        with self._lock:
            kept = self._kept.get(correlation_id)
            if kept is not None and kept.revision == action.revision:
                self._kept.move_to_end(correlation_id)
                return kept.progress.candidates(result, action.step_id)
        revision, facts = self._load(correlation_id)
        progress = ExecutionProgress(flow, facts)
        found = progress.candidates(result, action.step_id)
        if revision == action.revision:
            with self._lock:
                self._keep(correlation_id, _KeptProgress(revision, len(flow.steps), progress))
        return found

    def advance(self, action: AwaitedAction, started: Iterable[str]) -> None:
        """The result of ``action`` is stored, and with it actions of the ``started`` steps."""
        with self._lock:
            kept = self._kept.get(action.correlation_id)
            if kept is None or kept.revision != action.revision:
                return
            kept.progress.finish(action.step_id)
            for step_id in started:
                kept.progress.start(step_id)
            self._kept[action.correlation_id] = kept._replace(revision=kept.revision + 1)

    def _keep(self, correlation_id: str, kept: _KeptProgress) -> None:
        self._drop(correlation_id)
        self._kept[correlation_id] = kept
        self._steps += kept.steps
        while self._steps > self._max_steps:
            self._drop(next(iter(self._kept)))

    def _drop(self, correlation_id: str) -> None:
        dropped = self._kept.pop(correlation_id, None)
        if dropped is not None:
            self._steps -= dropped.steps

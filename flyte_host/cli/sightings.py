"""Changes of executions, each reported once.

Owns which states of actions are news, and their lines. Must not know where executions come from.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from flyte_host.cli.moments import time_of_day
from flyte_host.records.execution_record import ActionRecord, ExecutionRecord
from flyte_host.records.explanation import why_queued
from flyte_host.records.pack_record import PackRecord
from flyte_host.text import shown

LONG_SECONDS = 1.0
"""A polled pack usually takes an action sooner."""


class Sightings:
    """What has been printed of executions; only changes after ``since`` are wanted."""

    def __init__(self, since: datetime) -> None:
        # flyte writes whole milliseconds: a change within this one must not seem older.
        self.since = since.replace(microsecond=since.microsecond // 1000 * 1000)
        self._printed: set[tuple[str, str]] = set()

    def news(self, found: Sequence[ExecutionRecord]) -> Iterator[str]:
        """A line for each state that has not been printed, oldest first."""
        new = [
            (state.time, action.id, state.value, f"{each.name} {each.correlation_id}", action)
            for each in found
            for action in each.all_actions()
            for state in action.all_states()
            if state.time >= self.since and (action.id, state.value) not in self._printed
        ]
        for time, action_id, value, where, action in sorted(new, key=lambda item: item[0]):
            self._printed.add((action_id, value))
            yield f"{time_of_day(time)} {where}: {action_line(action, value)}"


class LongWaits:
    """Actions that nobody has taken for a while, each reported once."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._told: set[str] = set()

    def new(
        self, found: Sequence[ExecutionRecord], now: float
    ) -> list[tuple[ExecutionRecord, ActionRecord]]:
        """Those that have waited long by ``now``, a monotonic time, and are not reported yet."""
        waiting = [
            (execution, action)
            for execution in found
            for action in execution.all_actions()
            if action.state.value == "NEW" and action.id not in self._told
        ]
        long = [
            (execution, action)
            for execution, action in waiting
            if now - self._since.setdefault(action.id, now) >= LONG_SECONDS
        ]
        self._told.update(action.id for _, action in long)
        return long


def waiting_line(action: ActionRecord, packs: Sequence[PackRecord], now: datetime) -> str:
    return f"step {action.step_id or '-'}: waits: {why_queued(action, packs, now)}"


def action_line(action: ActionRecord, state: str) -> str:
    """What a state of an action means, such as ``step a: queued Shell.Shell``."""
    words = {"NEW": "queued", "PENDING": "taken"}.get(state, state)
    line = f"step {action.step_id or '-'}: {words} {action.pack_name}.{action.name}"
    return f"{line} → {result_words(action)}" if state not in {"NEW", "PENDING"} else line


def changed_since(found: Iterable[ExecutionRecord], since: datetime) -> Iterator[ExecutionRecord]:
    """Those that changed, up to the first that did not: flyte sorts them by their last change."""
    for each in found:
        if each.changed is not None and each.changed < since:
            return
        yield each


def result_words(action: ActionRecord) -> str:
    payload = action.result.payload
    says = f": {shown(payload)}" if isinstance(payload, str) else ""
    return f"{action.result.event or '?'}{says}"

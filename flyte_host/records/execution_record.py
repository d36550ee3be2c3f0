"""An execution as flyte's audit tells it, and what it shows at a glance.

Owns the shape of that document and its times and states. Must not know how it is fetched or shown.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

RUNNING = "RUNNING"
SKIPPED = "SKIPPED"
FATAL = "FATAL"
SUCCESS = "SUCCESS"
STATES = (RUNNING, SUCCESS, FATAL, SKIPPED)
"""States of a whole execution; flyte itself knows only states of actions."""
FINISHED = frozenset({SUCCESS, FATAL})


class SenderRecord(msgspec.Struct):
    """The pack that an event came from; ``id`` includes its labels."""

    id: str = ""
    name: str = ""
    labels: dict[str, str] | None = None


class EventRecord(msgspec.Struct, rename="camel"):
    """An event or a result; an empty name means that there is none."""

    event: str = ""
    pack: SenderRecord = msgspec.field(default_factory=SenderRecord)
    payload: Any = None
    created_at: datetime | None = None
    received_at: datetime | None = None

    def __bool__(self) -> bool:
        return bool(self.event)

    @property
    def title(self) -> str:
        return f"{self.pack.name}.{self.event}"


class StateRecord(msgspec.Struct):
    """A state of an action: NEW, PENDING, SUCCESS or FATAL, and since when."""

    value: str
    time: datetime


class ActionRecord(msgspec.Struct, rename="camel"):
    """One action of an execution."""

    id: str
    name: str
    pack_name: str
    state: StateRecord
    step_id: str = ""
    pack_labels: dict[str, str] | None = None
    input: Any = None
    states: list[StateRecord] | None = None
    context: dict[str, str] | None = None
    trigger: EventRecord = msgspec.field(default_factory=EventRecord)
    result: EventRecord = msgspec.field(default_factory=EventRecord)

    @property
    def queued(self) -> datetime:
        return min(state.time for state in self.all_states())

    def all_states(self) -> list[StateRecord]:
        return self.states or [self.state]

    @property
    def is_finished(self) -> bool:
        return self.state.value in FINISHED


class AwaitedRecord(msgspec.Struct, rename="camel"):
    """The event that a step waits for."""

    name: str
    pack_name: str
    pack_labels: dict[str, str] | None = None

    @property
    def title(self) -> str:
        return f"{self.pack_name}.{self.name}"


class CalledRecord(msgspec.Struct, rename="camel"):
    """The command that a step asks for."""

    name: str
    pack_name: str
    pack_labels: dict[str, str] | None = None
    input: Any = None

    @property
    def title(self) -> str:
        return f"{self.pack_name}.{self.name}"


class StepRecord(msgspec.Struct, rename="camel"):
    """A step of a flow."""

    event: AwaitedRecord
    command: CalledRecord
    id: str = ""
    depends_on: list[str] | None = None
    criteria: str = ""


class SkipRecord(msgspec.Struct, rename="camel"):
    """A step that an event did not start, and why. Only embedded flyte has it."""

    step_id: str
    event: EventRecord
    reason: str
    time: datetime


class ExecutionRecord(msgspec.Struct, rename="camel"):
    """One run of a flow."""

    name: str
    correlation_id: str
    uuid: str = ""
    steps: list[StepRecord] | None = None
    actions: dict[str, ActionRecord] | None = None
    skipped: list[SkipRecord] | None = None
    declined: list[SkipRecord] | None = None

    def all_actions(self) -> list[ActionRecord]:
        """The actions, oldest first."""
        return sorted((self.actions or {}).values(), key=lambda action: action.queued)

    @property
    def state(self) -> str:
        states = {action.state.value for action in self.all_actions()}
        if not states:
            return SKIPPED
        if states - FINISHED:
            return RUNNING
        return FATAL if FATAL in states else SUCCESS

    @property
    def began(self) -> datetime | None:
        return min(self._times(), default=None)

    @property
    def changed(self) -> datetime | None:
        return max(self._times(), default=None)

    def trigger(self) -> EventRecord:
        """The event that started it."""
        first = [action.trigger for action in self.all_actions()[:1]]
        return (first or [skip.event for skip in self.skipped or ()] or [EventRecord()])[0]

    def events(self) -> list[EventRecord]:
        """Each event that it has seen: the trigger, then the results in order."""
        results = [each.result for each in self.all_actions() if each.result]
        return [event for event in [self.trigger(), *results] if event]

    def _times(self) -> Iterator[datetime]:
        for action in self.all_actions():
            yield from (state.time for state in action.all_states())
        yield from (skip.time for skip in self.skipped or ())

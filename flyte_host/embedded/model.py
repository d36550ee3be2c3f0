"""What flyte keeps: packs, events, actions, executions, as frozen dataclasses.

Owns the vocabulary of the package. No I/O and no rules; those are in ``flow_runner`` and ``steps``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from flyte_host.embedded.flow import Flow

NEW = "NEW"
PENDING = "PENDING"
SUCCESS = "SUCCESS"
FATAL = "FATAL"
FINISHED = frozenset({SUCCESS, FATAL})

Labels = Mapping[str, str]


def pack_id(name: str, labels: Labels) -> str:
    """The id of a pack in flyte: its name, then ``.key.value`` of each label in key order."""
    return "".join([name, *(f".{key}.{labels[key]}" for key in sorted(labels))])


@dataclass(frozen=True, slots=True)
class PackIdentity:
    """A pack as events, flows and the audit name it."""

    id: str
    name: str
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RegisteredPack:
    """A registration; ``commands``, ``events`` and ``links`` are the documents that it sent."""

    sender: PackIdentity
    commands: Sequence[Mapping[str, Any]]
    events: Sequence[Mapping[str, Any]]
    links: Sequence[Mapping[str, str]]
    last_seen: datetime


def with_lists(pack: RegisteredPack) -> RegisteredPack:
    """``pack`` as Go reads it from its store: commands without events have an empty list."""
    commands = [{**command, "events": command["events"] or []} for command in pack.commands]
    return replace(pack, commands=commands)


@dataclass(frozen=True, slots=True)
class PackEvent:
    """An event or a result; ``payload`` is any JSON value, ``None`` if it was left out.

    ``trace`` is its trace context, as ``traceparent`` has it.
    """

    name: str
    pack: PackIdentity
    payload: Any
    created_at: datetime
    received_at: datetime
    trace: str = ""


@dataclass(frozen=True, slots=True)
class GivenEvent:
    """An event or a result as it was sent: its pack is not known yet."""

    name: str
    payload: Any
    created_at: datetime
    received_at: datetime
    trace: str = ""

    def of(self, pack: PackIdentity) -> PackEvent:
        return PackEvent(
            self.name, pack, self.payload, self.created_at, self.received_at, self.trace
        )


@dataclass(frozen=True, slots=True)
class ActionState:
    value: str
    time: datetime


@dataclass(frozen=True, slots=True)
class NewAction:
    """What a step asks for, not yet part of an execution; a trial gives it no ``id``."""

    step_number: int
    step_id: str
    name: str
    pack_name: str
    pack_labels: Labels
    input: Any
    context: Mapping[str, str]
    id: str = ""


@dataclass(frozen=True, slots=True)
class SkippedStep:
    """A step that could not be decided on, and why."""

    step_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What one event means for one execution of one version of a flow.

    ``declined`` are steps that were decided on and do not run. ``is_new``: the execution begins
    with this decision, if it makes anything.
    """

    correlation_id: str
    flow_uuid: str
    flow_name: str
    trigger: PackEvent
    actions: Sequence[NewAction]
    skipped: Sequence[SkippedStep]
    declined: Sequence[SkippedStep] = ()
    is_new: bool = False

    @property
    def makes_something(self) -> bool:
        return bool(self.actions or self.skipped)


@dataclass(frozen=True, slots=True)
class FlowAction:
    """An action of an execution."""

    id: str
    name: str
    pack_name: str
    pack_labels: Labels
    input: Any
    states: Sequence[ActionState]
    correlation_id: str
    flow_name: str
    flow_uuid: str
    step_id: str
    context: Mapping[str, str]

    @property
    def state(self) -> ActionState:
        return self.states[-1]


@dataclass(frozen=True, slots=True)
class TakenAction:
    """What a pack learns about an action that it takes; ``trace`` is that of its event."""

    id: str
    name: str
    input: Any
    flow_name: str
    step_id: str
    correlation_id: str
    trace: str


@dataclass(frozen=True, slots=True)
class AwaitedAction:
    """An action as its result finds it.

    ``revision`` is that of its execution, which each result increments.
    """

    id: str
    pack_name: str
    pack_labels: Labels
    state: str
    correlation_id: str
    flow_uuid: str
    step_id: str
    context: Mapping[str, str]
    revision: int


@dataclass(frozen=True, slots=True)
class StepFact:
    """A step of an execution has an action in this state."""

    step_id: str
    state: str


@dataclass(frozen=True, slots=True)
class ExecutionSnapshot:
    """An execution as an event finds it; a new one has no ``context``.

    ``context`` comes from the action whose result the event is. ``candidates`` are the numbers of
    the steps that may run, None for a new execution.
    """

    correlation_id: str
    flow_uuid: str
    flow: Flow
    context: Mapping[str, str] = field(default_factory=dict)
    candidates: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class AuditedAction:
    """An action with its events; ``result`` is ``None`` until it is finished."""

    action: FlowAction
    trigger: PackEvent
    result: PackEvent | None


@dataclass(frozen=True, slots=True)
class AuditedSkip:
    """A skipped step as the audit shows it."""

    step_id: str
    event: PackEvent
    reason: str
    time: datetime


@dataclass(frozen=True, slots=True)
class AuditedExecution:
    """One run of a flow, as the audit shows it; ``declined`` as far as it is remembered."""

    correlation_id: str
    flow_uuid: str
    flow: Flow
    actions: Sequence[AuditedAction]
    skipped: Sequence[AuditedSkip]
    declined: Sequence[AuditedSkip] = ()


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some executions; ``next_start`` is where those begin that did not fit in, if any."""

    executions: Sequence[AuditedExecution]
    next_start: int | None


@dataclass(frozen=True, slots=True)
class DataItem:
    """An item of the datastore without its value."""

    key: str
    content_type: str
    description: str


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which executions the audit lists; empty means any.

    The step and action parts must be true of one and the same action.
    """

    flow_name: str = ""
    step_id: str = ""
    action_name: str = ""
    action_pack_name: str = ""
    action_pack_labels: Labels = field(default_factory=dict)
    start: int = 0
    limit: int = 50


def fits(wanted: Labels, labels: Labels) -> bool:
    """Whether ``labels`` include all of ``wanted``."""
    return all(labels.get(key) == value for key, value in wanted.items())

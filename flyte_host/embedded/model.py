"""What flyte keeps: packs, events, actions, executions, as frozen dataclasses.

Owns the vocabulary of the package. No I/O and no rules: what happens to them is the engine's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flyte_host.embedded.flows import Flow

NEW = "NEW"
PENDING = "PENDING"
SUCCESS = "SUCCESS"
FATAL = "FATAL"
FINISHED = frozenset({SUCCESS, FATAL})

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sender:
    """The pack that an event came from, as events, flows and the audit see it."""

    id: str
    name: str
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pack:
    """A registered pack; ``commands``, ``events`` and ``links`` are the documents that it sent."""

    sender: Sender
    commands: Sequence[Mapping[str, Any]]
    events: Sequence[Mapping[str, Any]]
    links: Sequence[Mapping[str, str]]
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """An event or a result; ``payload`` is any JSON value, ``None`` too when it was left out."""

    name: str
    pack: Sender
    payload: Any
    created_at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class State:
    value: str
    time: datetime


@dataclass(frozen=True, slots=True)
class NewAction:
    """What a step asks for, before it belongs to an execution."""

    step_number: int
    step_id: str
    name: str
    pack_name: str
    pack_labels: Labels
    input: Any
    context: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SkippedStep:
    """A step that should have been decided on an event and could not be, and why."""

    step_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What one event means for one execution of one version of a flow."""

    correlation_id: str
    flow_uuid: str
    flow_name: str
    trigger: Event
    actions: Sequence[NewAction]
    skipped: Sequence[SkippedStep]


@dataclass(frozen=True, slots=True)
class Action:
    """An action as kept; ``result`` is ``None`` until it is finished."""

    id: str
    name: str
    pack_name: str
    pack_labels: Labels
    input: Any
    states: Sequence[State]
    correlation_id: str
    flow_name: str
    flow_uuid: str
    step_id: str
    context: Mapping[str, str]
    trigger: Event
    result: Event | None

    @property
    def state(self) -> State:
        return self.states[-1]


@dataclass(frozen=True, slots=True)
class StepFact:
    """That a step of an execution has an action, and how far that is."""

    step_id: str
    state: str


@dataclass(frozen=True, slots=True)
class Run:
    """An execution as an event finds it; a new one has no ``context`` and no ``facts``.

    ``context`` is that of the action whose result the event is.
    """

    correlation_id: str
    flow_uuid: str
    flow: Flow
    context: Mapping[str, str] = field(default_factory=dict)
    facts: Sequence[StepFact] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """A skipped step as the audit shows it."""

    step_id: str
    event: Event
    reason: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of a flow, as the audit shows it."""

    correlation_id: str
    flow_uuid: str
    flow: Flow
    actions: Sequence[Action]
    skipped: Sequence[Skipped]


@dataclass(frozen=True, slots=True)
class DataItem:
    """An item of the datastore without its value."""

    key: str
    content_type: str
    description: str


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which executions the audit lists; empty means any. The step and action parts have to hold
    for one and the same action.
    """

    flow_name: str = ""
    step_id: str = ""
    action_name: str = ""
    action_pack_name: str = ""
    action_pack_labels: Labels = field(default_factory=dict)
    start: int = 0
    limit: int = 50


def fits(wanted: Labels, labels: Labels) -> bool:
    """Whether a pack with ``labels`` is one that ``wanted`` means: all of them, with any others."""
    return all(labels.get(key) == value for key, value in wanted.items())

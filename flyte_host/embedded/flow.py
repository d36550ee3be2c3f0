"""A flow: its steps, the events they wait for and the commands they ask for.

Owns the form of a flow, as dataclasses and as the document that the API shows. Pure: must not know
where flows come from or what running them means.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

EventKey = tuple[str, str]
"""Pack name and event name."""


@dataclass(frozen=True, slots=True)
class EventMatch:
    """The event that a step waits for; the labels are templates."""

    name: str
    pack_name: str
    pack_labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> "EventKey":
        return self.pack_name, self.name


@dataclass(frozen=True, slots=True)
class CommandCall:
    """The command that a step asks for; the labels and all text in ``input`` are templates."""

    name: str
    pack_name: str
    pack_labels: Mapping[str, str] = field(default_factory=dict)
    input: Any = None


@dataclass(frozen=True, slots=True)
class FlowStep:
    id: str
    depends_on: tuple[str, ...]
    event: EventMatch
    context: Mapping[str, str]
    criteria: str
    command: CommandCall


class FlowIndex:
    """Numbers of steps by their id, by the steps that they depend on, and, if they depend on none,
    by the event that they wait for.
    """

    def __init__(self, steps: Sequence[FlowStep]) -> None:
        self.by_id: dict[str, list[int]] = {}
        self.after: dict[str, list[int]] = {}
        self.free: dict[EventKey, list[int]] = {}
        self.awaited = frozenset(step.event.key for step in steps)
        for number, step in enumerate(steps):
            self.by_id.setdefault(step.id, []).append(number)
            if not step.depends_on:
                self.free.setdefault(step.event.key, []).append(number)
            for needed in set(step.depends_on):
                self.after.setdefault(needed, []).append(number)


@dataclass(frozen=True)
class Flow:
    name: str
    description: str
    steps: tuple[FlowStep, ...]

    @cached_property
    def index(self) -> FlowIndex:
        """Finds steps without looking at all of them."""
        return FlowIndex(self.steps)

    def triggers(self) -> frozenset[EventKey]:
        """The events that start a new execution of this flow."""
        return frozenset(self.index.free)


def flow_document(flow: Flow) -> dict[str, Any]:
    """``flow`` as the API shows it; everything empty is left out except ``input``."""
    return dict(_present(name=flow.name, description=flow.description or None)) | (
        {"steps": [step_document(step) for step in flow.steps]} if flow.steps else {}
    )


def step_document(step: FlowStep) -> dict[str, Any]:
    return dict(
        _present(
            id=step.id or None,
            dependsOn=list(step.depends_on) or None,
            event=dict(
                _present(
                    name=step.event.name,
                    packName=step.event.pack_name,
                    packLabels=step.event.pack_labels or None,
                )
            ),
            context=step.context or None,
            criteria=step.criteria or None,
            command=dict(
                _present(
                    name=step.command.name,
                    packName=step.command.pack_name,
                    packLabels=step.command.pack_labels or None,
                )
            )
            | {"input": step.command.input},
        )
    )


def _present(**fields: Any) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in fields.items() if value is not None)

"""Tries a flow out: which steps fire on an event, with what, and what follows a result.

Owns the bookkeeping of a trial, which stores and sends nothing. The rules are in ``steps``, applied
to one step at a time. Must not know files or how an outcome is shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from flyte_host.embedded.codec import BadDocument, read_json
from flyte_host.embedded.event_ration import EventRation, Renderer
from flyte_host.embedded.execution_progress import ExecutionProgress
from flyte_host.embedded.flow import Flow, FlowStep
from flyte_host.embedded.model import (
    FATAL,
    PENDING,
    SUCCESS,
    NewAction,
    PackEvent,
    PackIdentity,
    SkippedStep,
    StepFact,
    pack_id,
)
from flyte_host.embedded.requests import read_event
from flyte_host.embedded.steps import DeclinedStep, judge
from flyte_host.text import nearest

EVENT_KEYS = ("event", "payload", "createdAt")


class NoSuchAction(LookupError):
    """A result for a step that does not wait for one; the text says which steps do."""


@dataclass(frozen=True, slots=True)
class StepVerdict:
    """What an event means for one step: an action, or why there is none."""

    number: int
    step: FlowStep
    action: NewAction | None
    reason: str = ""
    context: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The step's id, or its number, counted from 1, if it has none."""
        return self.step.id or str(self.number + 1)


@dataclass(slots=True)
class TrialExecution:
    """One run of the flow, numbered from 1; ``actions`` are those that wait for a result."""

    number: int
    facts: list[StepFact] = field(default_factory=list)
    actions: list[NewAction] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TrialReport:
    """What one event means for one execution, step by step; empty if no step starts one."""

    event: PackEvent
    execution: int | None
    is_new: bool
    verdicts: Sequence[StepVerdict]


class FlowTrial:
    """Executions of one flow in memory."""

    def __init__(self, flow: Flow, templates: Renderer) -> None:
        self._flow = flow
        self._templates = templates
        self._executions: list[TrialExecution] = []

    def event(self, event: PackEvent) -> TrialReport:
        """An event: a new execution, if it starts one."""
        execution = TrialExecution(len(self._executions) + 1)
        verdicts = self._verdicts(event, execution, {})
        if not execution.actions:
            return TrialReport(event, None, False, verdicts)
        self._executions.append(execution)
        return TrialReport(event, execution.number, True, verdicts)

    def sender(self, name: str, labels: Mapping[str, str]) -> PackIdentity:
        """The sender of the result of the step ``name``: its action's pack, with further labels."""
        _, action = self._waiting(name)
        return sender_of(action.pack_name, {**action.pack_labels, **labels})

    def result(self, name: str, result: PackEvent) -> list[TrialReport]:
        """The result of the step ``name``: its execution continues, and a new one may start.

        Raises :class:`NoSuchAction`.
        """
        execution, action = self._waiting(name)
        heard = [] if self._starts_nothing(result) else [self.event(result)]
        execution.actions.remove(action)
        state = FATAL if result.name == FATAL else SUCCESS
        pending = execution.facts.index(StepFact(action.step_id, PENDING))
        execution.facts[pending] = replace(execution.facts[pending], state=state)
        verdicts = self._verdicts(result, execution, action.context)
        return [*heard, TrialReport(result, execution.number, False, verdicts)]

    def _starts_nothing(self, event: PackEvent) -> bool:
        return (event.pack.name, event.name) not in self._flow.triggers()

    def _waiting(self, name: str) -> tuple[TrialExecution, NewAction]:
        waiting = [
            (_name(action), execution, action)
            for execution in self._executions
            for action in execution.actions
        ]
        for waiting_name, execution, action in waiting:
            if waiting_name == name:
                return execution, action
        known = ", ".join(dict.fromkeys(waiting_name for waiting_name, _, _ in waiting)) or "none"
        raise NoSuchAction(f"step {name!r} waits for no result; waiting: {known}")

    def _verdicts(
        self, event: PackEvent, execution: TrialExecution, parent: Mapping[str, str]
    ) -> list[StepVerdict]:
        may_run = ExecutionProgress(self._flow, execution.facts).candidates(event)
        verdicts = [
            self._judged(number, step, event, parent)
            if number in may_run
            else StepVerdict(number, step, None, self._why_not(step, event, execution))
            for number, step in enumerate(self._flow.steps)
        ]
        actions = [verdict.action for verdict in verdicts if verdict.action]
        execution.actions += actions
        execution.facts += [StepFact(action.step_id, PENDING) for action in actions]
        return verdicts

    def _judged(
        self, number: int, step: FlowStep, event: PackEvent, parent: Mapping[str, str]
    ) -> StepVerdict:
        match judge(number, step, event, parent, EventRation(self._templates)):
            case NewAction() as action:
                return StepVerdict(number, step, action, context=action.context)
            case DeclinedStep(context, reason):
                return StepVerdict(number, step, None, reason, context)
            case SkippedStep(_, reason):
                return StepVerdict(number, step, None, f"fails: {reason}")

    def _why_not(self, step: FlowStep, event: PackEvent, execution: TrialExecution) -> str:
        """Why the step is not a candidate, in words."""
        if step.event.pack_name != event.pack.name:
            return f"waits for pack {step.event.pack_name!r}, this is {event.pack.name!r}"
        if step.event.name != event.name:
            return f"waits for event {step.event.name!r}, this is {event.name!r}"
        if any(fact.step_id == step.id for fact in execution.facts):
            return "already has an action in this execution"
        return f"depends on {' or '.join(step.depends_on)}, which has no result yet"


def _name(action: NewAction) -> str:
    return action.step_id or str(action.step_number + 1)


def sender_of(name: str, labels: Mapping[str, str]) -> PackIdentity:
    return PackIdentity(pack_id(name, labels), name, labels)


@dataclass(frozen=True, slots=True)
class TrialEvent:
    """An event or result from a file; ``pack`` is empty in a result, whose action names it."""

    pack: str
    labels: Mapping[str, str]
    document: Mapping[str, Any]

    def event(self, sender: PackIdentity, now: datetime) -> PackEvent:
        body = {key: self.document[key] for key in EVENT_KEYS if key in self.document}
        return read_event(body, now).of(sender)


def read_trial_event(body: bytes, *, is_result: bool) -> TrialEvent:
    """An event or result in JSON; raises :class:`BadDocument`."""
    document = read_json(body)
    needed = ("event",) if is_result else ("pack", "event")
    keys = (*needed, "labels", *EVENT_KEYS[1:])
    if not isinstance(document, dict):
        raise BadDocument(f"expected an object with {', '.join(keys)}")
    for key in document:
        if key not in keys:
            meant = nearest(key, keys) or f"; the keys here are {', '.join(keys)}"
            raise BadDocument(f"unknown key {key!r}{meant}")
    for key in needed:
        if not isinstance(document.get(key), str):
            raise BadDocument(f"{key} is {document.get(key)!r}, expected a text")
    labels = document.get("labels", {})
    if not isinstance(labels, dict) or not all(isinstance(each, str) for each in labels.values()):
        raise BadDocument(f"labels are {labels!r}, expected an object of texts")
    return TrialEvent(document.get("pack", ""), labels, document)


def document(report: TrialReport) -> dict[str, Any]:
    """``report`` as JSON."""
    return {
        "event": report.event.name,
        "pack": report.event.pack.name,
        "labels": dict(report.event.pack.labels),
        "execution": report.execution,
        "isNew": report.is_new,
        "steps": [_step_document(verdict) for verdict in report.verdicts],
    }


def _step_document(verdict: StepVerdict) -> dict[str, Any]:
    step: dict[str, Any] = {"step": verdict.name, "fires": verdict.action is not None}
    if verdict.reason:
        step["reason"] = verdict.reason
    step["context"] = dict(verdict.context)
    if verdict.action:
        step["command"] = {
            "packName": verdict.action.pack_name,
            "name": verdict.action.name,
            "packLabels": dict(verdict.action.pack_labels),
            "input": verdict.action.input,
        }
    return step

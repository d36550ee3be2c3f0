"""What one event means for one execution of a flow: which steps ask for which commands.

Owns flyte's rules of steps: candidates, context, labels, criteria, rendering of inputs. Pure but
for the templates it is given: must not know the store, ids or HTTP.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from flyte_host.embedded.codec import clean
from flyte_host.embedded.criteria import parse_bool
from flyte_host.embedded.flows import Flow, Step
from flyte_host.embedded.model import (
    FINISHED,
    Decision,
    Event,
    NewAction,
    Run,
    SkippedStep,
    StepFact,
    fits,
)

MAX_EVENT_SECONDS = 20.0
MAX_EVENT_CHARACTERS = 64_000_000
MAX_REASON_CHARACTERS = 2000
MAX_INPUT_BYTES = 16_000_000
"""MongoDB, the Go server's store, refuses larger documents."""


class Renderer(Protocol):
    """The part of the templates that steps need; an exception says why it cannot be done."""

    def render(self, text: str, variables: Mapping[str, Any]) -> str: ...


class Rationed:
    """Templates for one event: all of its renderings together are bounded too."""

    def __init__(self, templates: Renderer, clock: Callable[[], float]) -> None:
        self._templates = templates
        self._clock = clock
        self._seconds = MAX_EVENT_SECONDS
        self._characters = MAX_EVENT_CHARACTERS

    def render(self, text: str, variables: Mapping[str, Any]) -> str:
        if self._seconds < 0:
            raise ValueError(f"the templates of this event took over {MAX_EVENT_SECONDS:g} s")
        start = self._clock()
        try:
            rendered = self._templates.render(text, variables)
        finally:
            self._seconds -= self._clock() - start
        self._characters -= len(rendered)
        if self._characters < 0:
            raise ValueError(
                f"the templates of this event write over {MAX_EVENT_CHARACTERS} characters"
            )
        return rendered


@dataclass(frozen=True, slots=True)
class Declined:
    """That a step has been decided on and does not run, with its context and why."""

    context: Mapping[str, str]
    reason: str


class _Skip(ValueError):
    """A step that cannot be decided; the text says which part of it, and why."""


def decide(run: Run, event: Event, templates: Renderer) -> Decision:
    """The actions that ``event`` starts in an execution, and the steps that went wrong."""
    actions: list[NewAction] = []
    skipped: list[SkippedStep] = []
    for number, step in candidates(run.flow, event, run.facts):
        match judge(number, step, event, run.context, templates):
            case NewAction() as action:
                actions.append(action)
            case SkippedStep() as step_skipped:
                skipped.append(step_skipped)
    return Decision(run.correlation_id, run.flow_uuid, run.flow.name, event, actions, skipped)


def candidates(flow: Flow, event: Event, facts: Sequence[StepFact]) -> Iterator[tuple[int, Step]]:
    """The steps that wait for ``event`` now; looked for before any of them runs, as in Go."""
    started = {fact.step_id for fact in facts}
    finished = {fact.step_id for fact in facts if fact.state in FINISHED}
    return (
        (number, step)
        for number, step in enumerate(flow.steps)
        if step.event.name == event.name
        and step.event.pack_name == event.pack.name
        and step.id not in started
        and _may_start(step, finished)
    )


def judge(
    number: int, step: Step, event: Event, parent: Mapping[str, str], templates: Renderer
) -> NewAction | Declined | SkippedStep:
    """What becomes of one candidate; ``parent`` is the context of the execution so far."""
    try:
        return _execute(number, step, event, parent, templates)
    except _Skip as error:
        return SkippedStep(step.id, str(error)[:MAX_REASON_CHARACTERS])


def _may_start(step: Step, finished: AbstractSet[str]) -> bool:
    return not step.depends_on or not finished.isdisjoint(step.depends_on)


def _execute(
    number: int, step: Step, event: Event, parent: Mapping[str, str], templates: Renderer
) -> NewAction | Declined:
    seen_by_templates = event_variables(event)

    def rendered(part: str, value: Any, context: Mapping[str, str]) -> Any:
        variables = {"Event": seen_by_templates, "Context": dict(context)}
        return _rendered(part, value, lambda text: templates.render(text, variables))

    context = {**parent, **rendered("context", step.context, parent)}
    labels = rendered("event.packLabels", step.event.pack_labels, context)
    if not fits(labels, event.pack.labels):
        return Declined(context, f"event.packLabels are {labels}, the pack has {event.pack.labels}")
    if step.criteria and not _holds(criteria := rendered("criteria", step.criteria, context)):
        return Declined(context, f"criteria is {criteria!r}")
    command = step.command
    return NewAction(
        step_number=number,
        step_id=step.id,
        name=command.name,
        pack_name=command.pack_name,
        pack_labels=rendered("command.packLabels", command.pack_labels, context),
        input=_within_limit(rendered("command.input", command.input, context)),
        context=context,
    )


def _within_limit(value: Any) -> Any:
    size = len(msgspec.json.encode(value))
    if size > MAX_INPUT_BYTES:
        raise _Skip(f"command.input: {size} bytes as JSON, at most {MAX_INPUT_BYTES} are kept")
    return value


def _holds(criteria: str) -> bool:
    try:
        return parse_bool(criteria)
    except ValueError as error:
        raise _Skip(f"criteria: {error}") from None


def _rendered(part: str, value: Any, render: Callable[[str], str]) -> Any:
    """``value`` with every text in it rendered; keys are not, null in an object vanishes."""
    if isinstance(value, str):
        try:
            return clean(render(value))
        except Exception as error:
            # Whatever a template does, it is one step that goes wrong, not the event.
            raise _Skip(f"{part}: {error}") from error
    if isinstance(value, Mapping):
        return {
            key: _rendered(f"{part}.{key}", item, render)
            for key, item in value.items()
            if item is not None
        }
    if isinstance(value, list):
        return [_rendered_item(f"{part}[{n}]", item, render) for n, item in enumerate(value)]
    return value


def _rendered_item(part: str, item: Any, render: Callable[[str], str]) -> Any:
    if item is None:
        raise _Skip(f"{part}: null in a list cannot be rendered; leave it out")
    return _rendered(part, item, render)


def event_variables(event: Event) -> dict[str, Any]:
    """``Event`` as templates see it."""
    return {
        "Name": event.name,
        "Payload": event.payload,
        "Pack": {
            "Id": event.pack.id,
            "Name": event.pack.name,
            "Labels": dict(event.pack.labels),
        },
        "CreatedAt": event.created_at,
        "ReceivedAt": event.received_at,
    }

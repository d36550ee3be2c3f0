"""What one event means for one execution of a flow: which steps ask for which commands.

Owns the rules of steps: context, labels, criteria, rendering of inputs. Which steps are candidates
is in ``execution_progress``. Pure except for the renderer: must not know the store, ids or HTTP.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from flyte_host.embedded.codec import clean
from flyte_host.embedded.criteria import parse_bool
from flyte_host.embedded.event_ration import EventRation
from flyte_host.embedded.flow import FlowStep
from flyte_host.embedded.model import (
    Decision,
    ExecutionSnapshot,
    NewAction,
    PackEvent,
    SkippedStep,
    fits,
)
from flyte_host.embedded.pongo2 import GoStruct, StringMap
from flyte_host.embedded.read_values import values_read
from flyte_host.text import label_words

MAX_REASON_CHARACTERS = 2000
MAX_PART_BYTES = 16_000_000
"""MongoDB, the Go server's store, refuses larger documents."""


@dataclass(frozen=True, slots=True)
class DeclinedStep:
    """A step that does not run by decision, with its context and the reason."""

    context: Mapping[str, str]
    reason: str


class _StepSkipped(ValueError):
    """A step that cannot be decided on; the text says which part of it and why."""


def decide(
    snapshot: ExecutionSnapshot,
    event: PackEvent,
    ration: EventRation,
    new_id: Callable[[], str] = str,
) -> Decision:
    """The actions that ``event`` starts in an execution, and the steps that failed.

    ``new_id`` makes the ids of actions.
    """
    actions: list[NewAction] = []
    skipped: list[SkippedStep] = []
    declined: list[SkippedStep] = []
    numbers = snapshot.candidates
    if numbers is None:
        numbers = snapshot.flow.index.free.get((event.pack.name, event.name), ())
    for number in numbers:
        step = snapshot.flow.steps[number]
        match judge(number, step, event, snapshot.context, ration, new_id=new_id):
            case NewAction() as action:
                actions.append(action)
            case SkippedStep() as step_skipped:
                skipped.append(step_skipped)
            case DeclinedStep(_, reason):
                short = reason[:MAX_REASON_CHARACTERS]
                declined.append(SkippedStep(snapshot.flow.steps[number].id, short))
    return Decision(
        snapshot.correlation_id,
        snapshot.flow_uuid,
        snapshot.flow.name,
        event,
        actions,
        skipped,
        declined,
        is_new=snapshot.candidates is None,
    )


def judge(
    number: int,
    step: FlowStep,
    event: PackEvent,
    parent: Mapping[str, str],
    ration: EventRation,
    *,
    new_id: Callable[[], str] = str,
) -> NewAction | DeclinedStep | SkippedStep:
    """Decide on one candidate; ``parent`` is the context of the execution so far."""
    try:
        return _execute(number, step, event, parent, ration, new_id)
    except _StepSkipped as error:
        return SkippedStep(step.id, str(error)[:MAX_REASON_CHARACTERS])


def _execute(  # noqa: PLR0917
    number: int,
    step: FlowStep,
    event: PackEvent,
    parent: Mapping[str, str],
    ration: EventRation,
    new_id: Callable[[], str],
) -> NewAction | DeclinedStep:
    seen_by_templates = event_variables(event)

    def rendered(part: str, value: Any, context: Mapping[str, str]) -> Any:
        variables = {"Event": seen_by_templates, "Context": dict(context)}
        return _rendered(part, value, lambda text: ration.render(text, variables))

    context = {**parent, **rendered("context", step.context, parent)}
    labels = rendered("event.packLabels", step.event.pack_labels, context)
    if not fits(labels, event.pack.labels):
        return DeclinedStep(
            context,
            f"event.packLabels are {label_words(labels)}, "
            f"but pack {event.pack.id} has {label_words(event.pack.labels)}",
        )
    if step.criteria and not _holds(criteria := rendered("criteria", step.criteria, context)):
        read = values_read(step.criteria, {"Event": seen_by_templates.fields, "Context": context})
        return DeclinedStep(context, f"criteria is {criteria!r}{read}")
    command = step.command
    action = NewAction(
        step_number=number,
        step_id=step.id,
        name=command.name,
        pack_name=command.pack_name,
        pack_labels=rendered("command.packLabels", command.pack_labels, context),
        input=rendered("command.input", command.input, context),
        context=context,
        id=new_id(),
    )
    _pay_for(action, ration)
    return action


def _pay_for(action: NewAction, ration: EventRation) -> None:
    sizes = {
        "command.input": len(msgspec.json.encode(action.input)),
        "context": len(msgspec.json.encode(action.context)),
    }
    for part, size in sizes.items():
        if size > MAX_PART_BYTES:
            raise _StepSkipped(f"{part}: {size} bytes as JSON, expected at most {MAX_PART_BYTES}")
    try:
        ration.store(sum(sizes.values()))
    except ValueError as error:
        raise _StepSkipped(str(error)) from None


def _holds(criteria: str) -> bool:
    try:
        return parse_bool(criteria)
    except ValueError as error:
        raise _StepSkipped(f"criteria: {error}") from None


def _rendered(part: str, value: Any, render: Callable[[str], str]) -> Any:
    """``value`` with all text in it rendered, but no keys; null in an object disappears."""
    if isinstance(value, str):
        try:
            return clean(render(value))
        except Exception as error:
            # Whatever a template does, it fails one step, not the event.
            raise _StepSkipped(f"{part}: {error}") from error
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
        raise _StepSkipped(f"{part}: null in a list cannot be rendered; leave it out")
    return _rendered(part, item, render)


def event_variables(event: PackEvent) -> GoStruct:
    """``Event`` as templates see it."""
    pack = {
        "Id": event.pack.id,
        "Name": event.pack.name,
        "Labels": StringMap(event.pack.labels),
    }
    return GoStruct(
        "execution.Event",
        {
            "Name": event.name,
            "Pack": GoStruct("execution.Pack", pack),
            "Payload": event.payload,
            "ReceivedAt": event.received_at,
            "CreatedAt": event.created_at,
        },
    )

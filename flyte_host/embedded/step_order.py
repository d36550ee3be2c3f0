"""Finds mistakes in the order of a flow's steps: ids, circles and loops.

Must not know templates or packs, except which events a command may end with.
"""

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet

from flyte_host.embedded.finding import Mistakes
from flyte_host.embedded.flow import CommandCall, Flow, FlowStep
from flyte_host.embedded.model import FATAL
from flyte_host.text import nearest

Outputs = Callable[[CommandCall], AbstractSet[str] | None]
"""The events that a command may end with, or None if they are not known."""


def mistakes_in_graph(flow: Flow) -> Mistakes:
    """What is wrong with ids and ``dependsOn``."""
    index = flow.index
    if not flow.steps:
        yield "F014", ("steps",), "is empty, expected at least one step"
    for number, step in enumerate(flow.steps):
        for place, name in enumerate(step.depends_on):
            if name not in index.by_id:
                words = f"is {name!r}, but no step has this id{nearest(name, index.by_id)}"
                yield "F004", ("steps", number, "dependsOn", place), words
        if _waits_for_itself(flow, number):
            words = f"leads back to {step.id!r}, so the step never runs; expected earlier steps"
            yield "F013", ("steps", number, "dependsOn"), words


def doubtful_in_graph(flow: Flow, outputs: Outputs) -> Mistakes:
    """Ids of two steps, and loops that criteria or labels may end."""
    for name, numbers in flow.index.by_id.items():
        for number in numbers[1:] if name else ():
            words = f"is {name!r}, like that of steps[{numbers[0]}]; expected another id"
            yield "F011", ("steps", number, "id"), words
    for number, step in enumerate(flow.steps):
        if step.depends_on:
            continue
        for cause in _causes(flow, number, outputs):
            words = (
                f"is {step.event.name!r}, without dependsOn, and may be the result of "
                f"{_name(flow, cause)}, which follows from this step: a loop; "
                "expected dependsOn, or another event"
            )
            yield "F012", ("steps", number, "event", "name"), words
            break


def _causes(flow: Flow, number: int, outputs: Outputs) -> Iterator[int]:
    """Steps that follow from the step ``number`` and may end with what it waits for."""
    follows, new = {number}, [number]
    while new:
        before = new.pop()
        for after, step in enumerate(flow.steps):
            if after not in follows and _may_follow(flow.steps[before], step, outputs):
                follows.add(after)
                new.append(after)
    waits = flow.steps[number]
    return (each for each in sorted(follows) if _may_end(flow.steps[each], waits, outputs))


def _may_follow(before: FlowStep, after: FlowStep, outputs: Outputs) -> bool:
    if after.depends_on and before.id not in after.depends_on:
        return False
    return _may_end(before, after, outputs)


def _may_end(before: FlowStep, after: FlowStep, outputs: Outputs) -> bool:
    if before.command.pack_name != after.event.pack_name:
        return False
    known = outputs(before.command)
    return known is None or after.event.name == FATAL or after.event.name in known


def _name(flow: Flow, number: int) -> str:
    return f"steps[{number}]" + (f" ({flow.steps[number].id})" if flow.steps[number].id else "")


def _waits_for_itself(flow: Flow, number: int) -> bool:
    """Whether every path of ``dependsOn``, of which one is enough, leads back to the step."""
    step = flow.steps[number]
    if not (step.id and step.depends_on):
        return False
    return step.id in _needed_only(flow, step) and not _can_start(flow, number)


def _needed_only(flow: Flow, step: FlowStep) -> AbstractSet[str]:
    needed, new = set(step.depends_on), list(step.depends_on)
    while new:
        for number in flow.index.by_id.get(new.pop(), ()):
            for name in flow.steps[number].depends_on:
                if name not in needed:
                    needed.add(name)
                    new.append(name)
    return needed


def _can_start(flow: Flow, number: int) -> bool:
    """Whether some chain of ``dependsOn`` begins at a step that needs none."""
    steps = flow.steps
    able = {each.id for each in steps if not each.depends_on}
    grows = True
    while grows:
        more = {each.id for each in steps if each.id not in able and able & set(each.depends_on)}
        able |= more
        grows = bool(more)
    return bool(able & set(steps[number].depends_on))

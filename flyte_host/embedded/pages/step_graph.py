"""The steps of a flow as a graph: their order, and the outcome of each.

Owns where boxes and lines are. Pure. Must not know how a page is made of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flyte_host.records.execution_record import StepRecord

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 150, 36, 44, 14, 4
LONGEST_NAME = 18


@dataclass(frozen=True, slots=True)
class StepBox:
    """A step: where its box is, and the state that colours it."""

    name: str
    state: str
    x: int
    y: int

    @property
    def label(self) -> str:
        return self.name if len(self.name) <= LONGEST_NAME else f"{self.name[: LONGEST_NAME - 1]}…"


@dataclass(frozen=True, slots=True)
class StepLine:
    """From the right of one box to the left of another."""

    x1: int
    y1: int
    x2: int
    y2: int


@dataclass(frozen=True, slots=True)
class StepGraph:
    """Boxes in columns: a step is to the right of all that it depends on."""

    boxes: Sequence[StepBox]
    lines: Sequence[StepLine]
    width: int
    height: int


def draw_steps(steps: Sequence[StepRecord], states: dict[str, str]) -> StepGraph:
    """The graph of ``steps``; ``states`` has the state of each step by its name."""
    names = [step.id or str(number + 1) for number, step in enumerate(steps)]
    columns = _columns(names, steps)
    rows: dict[int, int] = {}
    boxes = {}
    for name in names:
        column = columns[name]
        row = rows[column] = rows.get(column, -1) + 1
        x, y = MARGIN + column * (WIDTH + GAP_X), MARGIN + row * (HEIGHT + GAP_Y)
        boxes[name] = StepBox(name, states.get(name, "none"), x, y)
    return StepGraph(
        list(boxes.values()),
        list(_lines(names, steps, boxes)),
        2 * MARGIN + (max(columns.values(), default=0) + 1) * (WIDTH + GAP_X) - GAP_X,
        2 * MARGIN + (max(rows.values(), default=0) + 1) * (HEIGHT + GAP_Y) - GAP_Y,
    )


def _columns(names: Sequence[str], steps: Sequence[StepRecord]) -> dict[str, int]:
    """The longest chain of steps before each; a cycle ends at the number of steps."""
    columns = dict.fromkeys(names, 0)
    for _ in names:
        changed = False
        for name, step in zip(names, steps, strict=True):
            before = [columns[each] for each in step.depends_on or () if each in columns]
            column = min(max(before, default=-1) + 1, len(names) - 1)
            changed = changed or column != columns[name]
            columns[name] = column
        if not changed:
            break
    return columns


def _lines(
    names: Sequence[str], steps: Sequence[StepRecord], boxes: dict[str, StepBox]
) -> Iterator[StepLine]:
    for name, step in zip(names, steps, strict=True):
        for other in step.depends_on or ():
            if other in boxes and other != name:
                before, box = boxes[other], boxes[name]
                middle = HEIGHT // 2
                yield StepLine(before.x + WIDTH, before.y + middle, box.x, box.y + middle)

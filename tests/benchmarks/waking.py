"""How soon the pack of a next step finds its action, against how many extra polls that costs.

``python -m tests.benchmarks.waking`` simulates hosts with real schedules and draws the plot of the
documentation. A simulation has no noise: the plot changes only with the rules.
"""

import math
import random
from collections.abc import Iterator, Mapping, Sequence

from tests.benchmarks.bar_chart import COLORS, line, svg, text
from tests.benchmarks.checkout import ROOT
from tests.support.flow_walk import ANSWER_SECONDS, FlowWalk

PLOT = ROOT / "docs" / "explanation" / "waking.svg"
PACKS = (1, 10, 100, 1000)
BUDGETS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
STEPS = 5
FLOWS = 30
EVERY_SECONDS = 2.0
Points = Sequence[tuple[float, float]]
"""Extra polls per second, and the median seconds that a step waits."""

WIDTH, HEIGHT = 760, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 100, 48, 48
MOST_POLLS, LEAST_SECONDS, MOST_SECONDS = 10.0, 0.005, 5.0


def simulate_waking(
    packs: int, *, budgets: Sequence[float] = BUDGETS, flows: int = FLOWS
) -> list[tuple[float, float]]:
    """A point for each budget of extra polls per second."""
    return [_simulate(packs, each, flows) for each in budgets]


def _simulate(packs: int, budget: float, flows: int) -> tuple[float, float]:
    walk = FlowWalk(packs, random.Random(1), extra_polls_per_second=budget)
    route = [walk.names[number * packs // STEPS] for number in range(STEPS)]
    walk.run([route] * flows, EVERY_SECONDS)  # learns who follows whom
    began, polls = walk.time.hand.seconds, walk.schedule.extra_polls
    walk.run([route] * flows, EVERY_SECONDS)
    seconds = walk.time.hand.seconds - began
    waits = walk.p50 / (STEPS - 1) - 2 * ANSWER_SECONDS
    return (walk.schedule.extra_polls - polls) / seconds, waits


def waking_plot(points: Mapping[int, Points]) -> str:
    """As SVG: a line for each number of packs."""
    parts = [*_axes()]
    for number, (packs, found) in enumerate(points.items()):
        parts += _curve(f"{packs} pack" + "s" * (packs > 1), found, COLORS[number], number)
    title = "Seconds until the pack of the next step has its action (median), against extra polls"
    return svg(title, WIDTH, HEIGHT, parts)


def _axes() -> Iterator[str]:
    base = HEIGHT - BOTTOM
    yield line(LEFT, base, WIDTH - RIGHT, base)
    yield line(LEFT, TOP, LEFT, base)
    for polls in range(0, int(MOST_POLLS) + 1, 2):
        yield text(_x(polls), base + 18, str(polls), 'text-anchor="middle"')
    yield text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "extra polls per second of the host",
               'text-anchor="middle"')  # fmt: skip
    for seconds in (0.01, 0.1, 1.0):
        yield text(LEFT - 8, _y(seconds) + 4, f"{seconds:g} s", 'text-anchor="end"')
        yield line(LEFT, _y(seconds), WIDTH - RIGHT, _y(seconds), 'stroke-opacity="0.2"')


def _curve(name: str, points: Points, color: str, number: int) -> Iterator[str]:
    places = [(_x(polls), _y(seconds)) for polls, seconds in points]
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{joined}" fill="none" stroke="{color}" stroke-width="2"/>'
    yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in places)
    style = f'font-weight="bold" style="fill:{color}"'
    yield text(WIDTH - RIGHT + 12, TOP + 16 + 20 * number, name, style)


def _x(polls: float) -> float:
    return LEFT + min(polls, MOST_POLLS) / MOST_POLLS * (WIDTH - LEFT - RIGHT)


def _y(seconds: float) -> float:
    """On a logarithmic scale."""
    part = math.log(max(seconds, LEAST_SECONDS) / LEAST_SECONDS) / math.log(
        MOST_SECONDS / LEAST_SECONDS
    )
    return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)


def main() -> None:
    PLOT.write_text(waking_plot({each: simulate_waking(each) for each in PACKS}), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Turns outcomes into Markdown tables and charts.

Owns which figures of a scenario are shown, each beside its ratio. Must not know where they are
written.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tests.benchmarks.bar_chart import Bar, BarGroup, bar_chart
from tests.benchmarks.measuring import Measured
from tests.benchmarks.rounds import Comparison, Figure, Range
from tests.benchmarks.scenarios import PACKS


@dataclass(frozen=True)
class Column:
    """``ratio`` is the heading of the column beside it, empty for none."""

    title: str
    figure: Figure
    digits: int = 0
    ratio: str = ""


def _actions(measured: Measured) -> float:
    return measured.actions_per_second


def _cpu(measured: Measured) -> float:
    return measured.cpu_microseconds


WORKING = (
    Column("actions/s", _actions, ratio="times the reference"),
    Column("CPU µs per action", _cpu, ratio="times the reference"),
    Column("stub: % of a core", lambda each: each.stub_core_percent),
)
COLLIDING = (
    *WORKING,
    Column("answers of 500 per action", lambda each: each.collisions_per_action, digits=2),
)
STARTING = (
    Column(
        "seconds from the first request",
        lambda each: each.registering_seconds,
        2,
        "times the reference",
    ),
    Column(
        "seconds from the start of the process",
        lambda each: each.start_seconds,
        2,
        "times the reference",
    ),
)
IDLING = (
    Column("MB resident", lambda each: each.megabytes, 1, "times the reference"),
    Column("% of a core", lambda each: each.core_percent, 1, "times the reference"),
    Column("takes per minute and pack", lambda each: each.takes_per_minute, 1),
    Column("threads", lambda each: each.threads),
    Column("descriptors", lambda each: each.descriptors),
)
FLOWING = (
    Column("median s", lambda each: each.flow_seconds(0.5), 2, "times the reference"),
    Column("p99 s", lambda each: each.flow_seconds(0.99), 2, "times the reference"),
    Column("takes per minute and pack", lambda each: each.takes_per_minute),
)
_IDLE = (
    ("Until flyte knows all packs, every answer 25 ms late:", STARTING),
    ("Idle after that:", IDLING),
)
TABLES: dict[str, tuple[tuple[str, Sequence[Column]], ...]] = {
    "sync": (("", WORKING),),
    "async": (("", WORKING),),
    "late": (("", WORKING),),
    "contention": (("", COLLIDING),),
    "near-contention": (("", COLLIDING),),
    "late-contention": (("", COLLIDING),),
    "flows": (("From the first pick-up to the last result, answers after 2 ms:", FLOWING),),
    **{f"packs-{each}": _IDLE for each in PACKS},
    "isolation": (("", WORKING),),
}
"""By the key of a scenario: a sentence before each table, and its columns."""
CHARTS = {
    "throughput": ("Actions per second, times R", _actions),
    "cpu": ("CPU time per action, times R", _cpu),
}
CHARTED = ("sync", "async", "late")


def markdown(outcome: Comparison) -> str:
    parts = [f"### {outcome.scenario.title}"]
    parts += [f"Reference: {outcome.reference}."] if outcome.scenario.references else []
    for sentence, columns in TABLES[outcome.scenario.key]:
        parts += [sentence] if sentence else []
        parts.append("\n".join(_rows(outcome, columns)))
    return "\n\n".join(parts) + "\n"


def charts(outcomes: Sequence[Comparison]) -> dict[str, str]:
    """Each chart as SVG by its name; empty if no outcome belongs in a chart."""
    drawn = [each for each in outcomes if each.scenario.key in CHARTED]
    if not drawn:
        return {}
    return {
        name: bar_chart(title, [_group(each, figure) for each in drawn])
        for name, (title, figure) in CHARTS.items()
    }


def _rows(outcome: Comparison, columns: Sequence[Column]) -> Iterator[str]:
    titles = ["process"]
    if not outcome.scenario.references:
        columns = [replace(each, ratio="") for each in columns]
    for column in columns:
        titles += [column.title, column.ratio] if column.ratio else [column.title]
    yield f"| {' | '.join(titles)} |"
    yield "|---" * len(titles) + "|"
    for name in outcome.names:
        cells = [name]
        for column in columns:
            cells.append(_cell(outcome.range_of(name, column.figure), column.digits))
            if column.ratio:
                cells.append(_cell(outcome.ratio_of(name, column.figure), 2))
        yield f"| {' | '.join(cells)} |"


def _cell(found: Range, digits: int) -> str:
    median, least, most = (
        f"{each:,.{digits}f}" for each in (found.median, found.least, found.most)
    )
    return median if least == most else f"{median} ({least} to {most})"


def _group(outcome: Comparison, figure: Figure) -> BarGroup:
    bars = [
        Bar(name.replace("`", ""), outcome.ratio_of(name, figure))
        for name in outcome.names
        if name != outcome.reference
    ]
    return BarGroup(outcome.scenario.title.replace("`", ""), bars)
